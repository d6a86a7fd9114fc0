// Loads the addon in a process of its own, so that a crash or a missing library is a line in doctor's report.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cudaFault } from './cuda-fault.mjs';

/**
 * @typedef {import('./cuda-fault.mjs').BuildInfo & { mpsLibrary?: boolean, cpuCapability?: string }} AddonInfo
 * @typedef {import('./cuda-fault.mjs').CudaStatus} CudaStatus
 * @typedef {object} Probe
 * @property {string} file
 * @property {AddonInfo} info
 * @property {CudaStatus | null} cuda
 * @property {Record<string, boolean>} devices
 * @property {string[]} differences  from what dist/ declares: none where both are of one version, or nothing is compiled yet
 */

const PROGRAM = `
const [loaderFile, root, declarations] = process.argv.slice(1);
const loader = require(loaderFile);
const addon = loader(root);
const devices = Object.fromEntries(['cpu', 'cuda', 'mps'].map((name) => [name, addon.deviceAvailable(name)]));
const facts = { info: addon.buildInfo(), cuda: addon.cudaStatus?.() ?? null, devices }; // an old addon lacks some
const compare = import(declarations).then(({ differences }) => differences(addon), () => []);
compare.then((differences) => console.log(JSON.stringify({ file: loader.resolve(root), ...facts, differences })));
`;

/** @param {string} root @returns {{ probe?: Probe, fault?: string }} */
export function probeAddon(root) {
  let loader;
  try {
    loader = createRequire(join(root, 'package.json')).resolve('node-gyp-build');
  } catch {
    return { fault: 'node_modules is missing' };
  }
  const declarations = pathToFileURL(join(root, 'dist/native/bindings.js')).href;
  const args = ['-e', PROGRAM, loader, root, declarations];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status === 0) return { probe: JSON.parse(stdout.trim().split('\n').pop() ?? '') };
  if (signal) return { fault: `loading it ended with ${signal}` };
  const message = stderr.match(/^\w*Error: (.*)$/m)?.[1] ?? stderr.trim().split('\n').pop();
  return { fault: message || `loading it ended with code ${status}` };
}

/**
 * Why a device cannot be used and, where the reader can do something, what mends it; undefined when it can be used.
 * @param {'cuda' | 'mps'} name @param {Probe} probe @returns {{ reason: string, fix?: string } | undefined}
 */
export function deviceFault(name, { info, cuda, devices }) {
  if (name === 'cuda') return cudaFault(info, cuda, { answers: devices.cuda });
  if (devices.mps) return undefined;
  return {
    reason:
      process.platform === 'darwin'
        ? `libtorch ${info.torchVersion} finds no Metal device`
        : 'MPS is a device of Apple computers',
  };
}

/** What CUDA is here, one line a fact. @param {Probe} probe @returns {string[]} */
export function describeCuda({ info, cuda }) {
  if (!info.cuda) return [];
  const { version, libraryArchitectures, kernelArchitectures, nccl } = info.cuda;
  const kernels =
    kernelArchitectures.length > 0
      ? `for ${kernelArchitectures.join(', ')}`
      : `none (no nvcc ${version.split('.')[0]} when it was built): libtorch’s generic ones compute; put one on PATH, then npm run setup`;
  const gpus = (cuda?.devices ?? []).map(
    ({ name, computeCapability, memoryBytes }, index) =>
      `cuda:${index}: ${name}, compute capability ${computeCapability}, ${(memoryBytes / 1e9).toFixed(0)} GB`,
  );
  return [
    `CUDA ${version} for compute capabilities ${libraryArchitectures.join(', ')}; driver: ${cuda?.driver ? `up to CUDA ${cuda.driver}` : 'none'}`,
    `NCCL: ${nccl ?? 'none: one GPU only'}; own kernels: ${kernels}`,
    ...gpus,
  ];
}
