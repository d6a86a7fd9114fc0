#!/usr/bin/env node
/** npm run download-pretrained: ImageNet weights from the Hugging Face hub. */
import './cli/load-faults.js';
import { runMain } from './cli/run-main.js';
import { runDownload } from './download/pretrained-command.js';

await runMain(() => runDownload(process.argv.slice(2)));
