// Loads the addon in a process of its own, so that a crash or a missing library is a line in doctor's report.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/**
 * @typedef {{ torchVersion: string, cudaLibrary?: boolean, mpsLibrary?: boolean, cpuCapability?: string }} AddonInfo
 * @typedef {{ file: string, info: AddonInfo, devices: Record<string, boolean> }} Probe
 */

const PROGRAM = `
const loader = require(process.argv[1]);
const addon = loader(process.argv[2]);
const devices = Object.fromEntries(['cpu', 'cuda', 'mps'].map((name) => [name, addon.deviceAvailable(name)]));
console.log(JSON.stringify({ file: loader.resolve(process.argv[2]), info: addon.buildInfo(), devices }));
`;

/** @param {string} root @returns {{ probe?: Probe, fault?: string }} */
export function probeAddon(root) {
  let loader;
  try {
    loader = createRequire(join(root, 'package.json')).resolve('node-gyp-build');
  } catch {
    return { fault: 'node_modules is missing' };
  }
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', PROGRAM, loader, root], {
    encoding: 'utf8',
  });
  if (status === 0) return { probe: JSON.parse(stdout.trim().split('\n').pop() ?? '') };
  if (signal) return { fault: `loading it ended with ${signal}` };
  const message = stderr.match(/^\w*Error: (.*)$/m)?.[1] ?? stderr.trim().split('\n').pop();
  return { fault: message || `loading it ended with code ${status}` };
}

/**
 * Why a device cannot be used, or undefined when it can.
 * @param {'cuda' | 'mps'} name @param {Probe} probe @returns {string | undefined}
 */
export function deviceFault(name, { info, devices }) {
  if (devices[name]) return undefined;
  const version = info.torchVersion;
  if (name === 'cuda') {
    return info.cudaLibrary
      ? `libtorch ${version} has CUDA, but no CUDA device answers (nvidia-smi shows whether the driver runs)`
      : `libtorch ${version} here is a CPU build; for one with CUDA set LIBTORCH or LIBTORCH_USE_PYTORCH=1`;
  }
  return process.platform === 'darwin'
    ? `libtorch ${version} finds no Metal device`
    : 'MPS is a device of Apple computers';
}
