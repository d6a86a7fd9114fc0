// Judges one folder: is it a libtorch that this package can be compiled against and loaded with?
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** Inclusive range of libtorch releases whose C++ interface this package uses. */
export const SUPPORTED = /** @type {const} */ ({ min: [2, 11], max: [2, 15] });
export const SUPPORTED_TEXT = `${SUPPORTED.min.join('.')} to ${SUPPORTED.max.join('.')}`;

/**
 * @typedef {object} Inspection
 * @property {string} path       the folder itself, links resolved
 * @property {boolean} ok
 * @property {string} [version]  e.g. `2.13.0+cpu`
 * @property {'cpu' | 'cuda' | 'rocm'} [flavour]
 * @property {string[]} [include]  header folders, for -I
 * @property {string} [lib]      folder of the shared libraries
 * @property {string} [reason]   why it was refused
 * @property {string} [fix]      what mends it, as a command or a sentence
 */

/** @param {string} file @returns {string | undefined} */
const readText = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);

/** @param {string} include @returns {string | undefined} release that the headers belong to */
function headerVersion(include) {
  const text =
    readText(join(include, 'torch/headeronly/version.h')) ??
    readText(join(include, 'torch/csrc/api/include/torch/version.h'));
  const part = (/** @type {string} */ name) =>
    text?.match(new RegExp(`#define\\s+TORCH_VERSION_${name}\\s+(\\d+)`))?.[1];
  const parts = [part('MAJOR'), part('MINOR'), part('PATCH')];
  return parts.includes(undefined) ? undefined : parts.join('.');
}

/** @param {string} root @returns {string | undefined} release that the folder says it is */
function statedVersion(root) {
  const python = readText(join(root, 'version.py'))?.match(/__version__\s*=\s*['"]([^'"]+)['"]/)?.[1];
  return python ?? (readText(join(root, 'build-version')) ?? readText(join(root, 'version.txt')))?.trim();
}

/** @param {string} version */
function isSupported(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const { min, max } = SUPPORTED;
  return major === min[0] && minor >= min[1] && minor <= max[1];
}

/** Machine type from a library's first bytes (ELF or Mach-O), in Node's names. @param {string} file */
function architecture(file) {
  const head = Buffer.alloc(20);
  const descriptor = openSync(file, 'r');
  try {
    if (readSync(descriptor, head, 0, 20, 0) < 20) return 'truncated file';
  } finally {
    closeSync(descriptor);
  }
  if (head.readUInt32BE(0) === 0x7f454c46) {
    const machine = head.readUInt16LE(18);
    return { 62: 'x64', 183: 'arm64' }[machine] ?? `ELF machine ${machine}`;
  }
  if (head.readUInt32LE(0) === 0xfeedfacf) {
    const machine = head.readUInt32LE(4);
    return { 16777223: 'x64', 16777228: 'arm64' }[machine] ?? `Mach-O machine ${machine}`;
  }
  return undefined; // a universal Mach-O file, or a linker script: left to the loader
}

/**
 * Libraries that the dynamic loader would not find; asked of the loader itself, as rpaths, LD_LIBRARY_PATH
 * and its cache all count. Empty where there is no ldd (macOS).
 * @param {string} file @returns {string[]}
 */
export function missingLibraries(file) {
  const { stdout } = spawnSync('ldd', [file], { encoding: 'utf8' });
  return [...(stdout ?? '').matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1] ?? '');
}

/** Folder with `file`: root/lib, root/lib64 or Debian's root/lib/<triplet>. @param {string} root @param {string} file */
function libraryFolder(root, file) {
  const lib = join(root, 'lib');
  const triplets = existsSync(lib)
    ? readdirSync(lib, { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-gnu'))
        .map((entry) => join(lib, entry.name))
    : [];
  return [lib, join(root, 'lib64'), ...triplets].find((folder) => existsSync(join(folder, file)));
}

/**
 * @param {string} folder  an unpacked libtorch, or the `torch` folder of a Python wheel
 * @param {{ platform?: NodeJS.Platform, arch?: string }} [target]  what it must run on; this process by default
 * @returns {Inspection}
 */
export function inspectLibtorch(folder, { platform = process.platform, arch = process.arch } = {}) {
  if (!existsSync(folder)) return { path: folder, ok: false, reason: 'no such folder' };
  const path = realpathSync(folder);
  const suffix = platform === 'darwin' ? 'dylib' : 'so';
  /** @param {string} reason @param {Partial<Inspection>} [more] @returns {Inspection} */
  const refuse = (reason, more) => ({ path, ok: false, reason, ...more });

  const core = `libtorch_cpu.${suffix}`;
  const lib = libraryFolder(path, core);
  if (!lib) {
    const nested = ['libtorch', 'torch'].find((name) => existsSync(join(path, name, 'lib')));
    if (nested)
      return refuse(`lib/${core} is missing, but it has a folder ${nested}/`, {
        fix: `use ${join(path, nested)}`,
      });
    const foreign = [`libtorch_cpu.${suffix === 'so' ? 'dylib' : 'so'}`, 'torch_cpu.dll', 'torch_cpu.lib'];
    const other = foreign.find((name) => existsSync(join(path, 'lib', name)));
    if (other) return refuse(`it is for another system (lib/${other}; this is ${platform}-${arch})`);
    return refuse(`lib/${core} is missing`);
  }
  const machine = architecture(join(lib, core));
  if (machine && machine !== arch)
    return refuse(`${core} is for ${machine}, and this Node runs on ${arch}`, { lib });

  const include = [join(path, 'include'), join(path, 'include/torch/csrc/api/include')];
  if (!existsSync(join(path, 'include/torch/csrc/api/include/torch/torch.h'))) {
    return refuse('the C++ headers are missing (include/torch/csrc/api/include/torch/torch.h)', { lib });
  }
  const headers = headerVersion(join(path, 'include'));
  const version = statedVersion(path) ?? headers;
  const flavour = existsSync(join(lib, `libtorch_cuda.${suffix}`))
    ? 'cuda'
    : existsSync(join(lib, `libtorch_hip.${suffix}`))
      ? 'rocm'
      : 'cpu';
  /** @type {Partial<Inspection>} */
  const facts = { version, flavour, include, lib };
  if (!version)
    return refuse('its version cannot be told (no version.py, build-version or version.h)', facts);
  if (headers && !version.startsWith(headers)) {
    return refuse(`its headers are of ${headers} but it says that it is ${version}`, facts);
  }
  if (!isSupported(version))
    return refuse(`version ${version} is not supported (${SUPPORTED_TEXT} are)`, facts);
  if (flavour !== 'cpu') {
    // `pip install --no-deps` of a GPU wheel leaves out the libraries without which nothing of it loads.
    const missing = missingLibraries(join(lib, `libtorch.${suffix}`));
    if (missing.length > 0) {
      const shown =
        missing.slice(0, 3).join(', ') + (missing.length > 3 ? `, and ${missing.length - 3} more` : '');
      return refuse(`it is a ${flavour.toUpperCase()} build whose libraries are missing (${shown})`, facts);
    }
  }
  return { path, ok: true, ...facts };
}
