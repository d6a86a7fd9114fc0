// What a CUDA libtorch tells about itself without being loaded: for native/cuda.cmake, doctor and the offline bundle.
//
//   node scripts/lib/cuda-libtorch.mjs ROOT   prints CMake's set() commands
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { capture, isMain } from './run.mjs';

/** @param {string} library @returns {string | undefined} the CUDA runtime that it loads here, as the loader finds it */
export function cudaRuntime(library) {
  const { stdout } = spawnSync('ldd', [library], { encoding: 'utf8' });
  const file = stdout?.match(/^\s*libcudart\S* => (\/\S+)/m)?.[1];
  return file && realpathSync(file);
}

/**
 * @param {string} root  libtorch's folder
 * @returns {string | undefined} the CUDA release it was built with, e.g. `13.0`; undefined for a CPU build
 */
export function cudaVersion(root) {
  const python = join(root, 'version.py');
  const text = existsSync(python) ? readFileSync(python, 'utf8') : '';
  const stated = text.match(/^cuda\b.*=\s*'(\d+\.\d+)/m)?.[1];
  if (stated) return stated;
  // An unpacked zip says it in its version alone: 2.13.0+cu130.
  const zip = join(root, 'build-version');
  const suffix = existsSync(zip) ? readFileSync(zip, 'utf8').match(/\+cu(\d+)(\d)\b/) : null;
  return suffix ? `${suffix[1]}.${suffix[2]}` : undefined;
}

/**
 * The nvcc flags that the library was compiled with, which it keeps for torch.__config__.show().
 * @param {string} library  libtorch_cuda.so, half a gigabyte: read in pieces
 * @returns {string[]} GPU architectures in CMake's form: `90-real` for machine code, `120-virtual` for PTX
 */
export function builtArchitectures(library) {
  const overlap = 4096;
  const buffer = Buffer.alloc(8 << 20);
  const descriptor = openSync(library, 'r');
  try {
    for (let start = 0; ; start += buffer.length - overlap) {
      const length = readSync(descriptor, buffer, 0, buffer.length, start);
      const at = buffer.subarray(0, length).indexOf('-gencode;arch=compute_');
      // Found near the end it may be cut off; the next piece begins before it.
      if (at >= 0 && (at < length - overlap || length < buffer.length))
        return parseFlags(buffer.toString('latin1', at, Math.min(length, at + overlap)));
      if (length < buffer.length) return [];
    }
  } finally {
    closeSync(descriptor);
  }
}

/** @param {string} text  nvcc's flags, then anything @returns {string[]} */
export function parseFlags(text) {
  const flags = text.match(/^(?:;?-gencode[;=\s]arch=compute_\w+,code=(?:sm|compute)_\w+)+/)?.[0] ?? '';
  const codes = [...flags.matchAll(/code=(sm|compute)_(\w+)/g)];
  return codes.map(([, kind, number]) => `${number}-${kind === 'sm' ? 'real' : 'virtual'}`);
}

/**
 * PyTorch's TORCH_CUDA_ARCH_LIST, which NVIDIA's images set: `8.0 9.0+PTX`, also with semicolons or commas.
 * @param {string} text @returns {string[]} in CMake's form
 * @throws Error for anything else, as a misspelt architecture would only fail on the GPU
 */
export function askedArchitectures(text) {
  const words = text.split(/[\s;,]+/).filter(Boolean);
  return words.flatMap((word) => {
    const [, major, minor, ptx] = word.match(/^(\d{1,2})\.(\d[af]?)(\+PTX)?$/) ?? [];
    if (!major)
      throw new Error(
        `Expected TORCH_CUDA_ARCH_LIST as compute capabilities such as "8.0 9.0+PTX" but received "${word}"`,
      );
    return [`${major}${minor}-real`, ...(ptx ? [`${major}${minor}-virtual`] : [])];
  });
}

/**
 * The CUDA compiler: $CUDACXX, else the first on PATH, in $CUDA_HOME, $CUDA_PATH or /usr/local/cuda, or of PyPI, that
 * is of libtorch's CUDA generation; where none is, the first at all.
 * @param {string} root  libtorch's folder @param {NodeJS.ProcessEnv} [env]
 * @returns {{ path: string, version: string } | undefined}
 */
export function findNvcc(root, env = process.env) {
  const generation = cudaVersion(root)?.split('.')[0];
  const folders = [
    ...(env.PATH ?? '').split(delimiter),
    ...[env.CUDA_HOME, env.CUDA_PATH, '/usr/local/cuda'].flatMap((home) => (home ? join(home, 'bin') : [])),
    join(root, `../nvidia/cu${generation}/bin`),
  ];
  const places = env.CUDACXX
    ? [env.CUDACXX]
    : folders.map((folder) => join(folder, 'nvcc')).filter((path) => existsSync(path));
  const found = places.flatMap((path) => {
    const version = capture(path, ['--version'])?.match(/release (\d+\.\d+)/)?.[1];
    return version ? [{ path, version }] : [];
  });
  return found.find(({ version }) => version.split('.')[0] === generation) ?? found[0];
}

/** @param {string} root @param {string} library @param {string} [asked] */
function describe(root, library, asked = '') {
  const nvcc = findNvcc(root);
  const built = builtArchitectures(library);
  const runtime = cudaRuntime(library);
  return {
    LIBTORCH_CUDA_VERSION: cudaVersion(root) ?? runtime?.match(/\.so\.([\d.]+)$/)?.[1] ?? '',
    NVCC: nvcc?.path ?? '',
    NVCC_VERSION: nvcc?.version ?? '',
    LIBTORCH_CUDART: runtime ?? '',
    LIBTORCH_CUDA_ARCHITECTURES: built.join(';'),
    KERNEL_CUDA_ARCHITECTURES: (asked.trim() ? askedArchitectures(asked) : built).join(';'),
  };
}

if (isMain(import.meta.url)) {
  const root = process.argv[2] ?? '';
  try {
    const facts = describe(root, join(root, 'lib/libtorch_cuda.so'), process.env.TORCH_CUDA_ARCH_LIST);
    for (const [name, value] of Object.entries(facts)) console.log(`set(${name} "${value}")`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  }
}
