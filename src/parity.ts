#!/usr/bin/env node
/** npm run parity -- FILE.safetensors: compares this implementation with a reference fixture, number by number. */
import './cli/load-faults.js';
import { createCommand } from './cli/command.js';
import { addDeviceOptions, type DeviceArguments, deviceArgument } from './cli/compute-options.js';
import { runMain } from './cli/run-main.js';
import { runParity } from './parity/run.js';
import { getDevice } from './training/device.js';

await runMain(async () => {
  const command = createCommand(
    'npm run parity --',
    'Compare this implementation with a reference fixture (FILE.safetensors, FILE.json beside it). Prints JSON; exits 1 where they differ.',
    [['one fixture', 'npm run parity -- test/fixtures/model/binary_b1_128.safetensors']],
  ).argument('<file>', 'the fixture');
  addDeviceOptions(command, 'cpu');
  command.parse(process.argv.slice(2), { from: 'user' });
  const device = getDevice(deviceArgument(command.opts<DeviceArguments>()) ?? 'cpu');
  const report = runParity(command.args[0]!, device);
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  return report.ok ? 0 : 1;
});
