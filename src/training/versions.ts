import { readFileSync } from 'node:fs';
import { buildInfo } from '../tensor/index.js';

export interface Versions {
  'medical-afa': string;
  node: string;
  libtorch: string;
}

/** What computes: enough, with configuration and seed, to run the same again. */
export const versionsInUse = (): Versions => ({
  'medical-afa': packageVersion(),
  node: process.versions.node,
  libtorch: buildInfo().torchVersion,
});

export const packageVersion = (): string =>
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
