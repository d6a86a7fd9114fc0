// Why CUDA cannot be used here, and what mends it: the one explanation for `npm run doctor` and for a refused --cuda.
// Plain JavaScript without dependencies, as doctor runs before anything is compiled.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findLibtorch } from '../libtorch.mjs';

/** Oldest Linux driver for all releases of a CUDA generation (CUDA's release notes, minor version compatibility). */
const MIN_DRIVER = /** @type {Record<string, string>} */ ({ 11: '450', 12: '525', 13: '580' });

/**
 * @typedef {object} BuildInfo  of the addon's buildInfo()
 * @property {string} torchVersion
 * @property {boolean} [cudaLibrary]
 * @property {{ version: string, libraryArchitectures: string[], kernelArchitectures: string[], nccl: string | null } | null} [cuda]
 *
 * @typedef {object} CudaStatus  of the addon's cudaStatus()
 * @property {string | null} driver  newest CUDA release that the driver runs
 * @property {{ code: string, message: string } | null} error
 * @property {{ name: string, computeCapability: string, memoryBytes: number }[]} devices
 *
 * @typedef {object} Machine
 * @property {boolean} gpu          an NVIDIA display or compute device is on the PCI bus
 * @property {string} [kernelDriver]  release of NVIDIA's kernel module, where one is loaded
 * @property {boolean} wsl
 * @property {string} [visible]     CUDA_VISIBLE_DEVICES
 * @property {string} [newLibtorch] a CUDA libtorch that was found, whatever the addon was built with
 *
 * @typedef {{ reason: string, fix: string }} Fault  reason: a clause; fix: an order to the reader
 */

const REBUILD = 'LIBTORCH_USE_PYTORCH=1 npm run setup';

/** @param {string} file */
function readFirst(file) {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

/** @param {NodeJS.ProcessEnv} [env] @returns {Machine} */
export function readMachine(env = process.env) {
  const bus = '/sys/bus/pci/devices';
  const devices = existsSync(bus) ? readdirSync(bus).map((name) => join(bus, name)) : [];
  return {
    // PCI's numbers: vendor 10de is NVIDIA, class 03 displays and 3D controllers.
    gpu: devices.some(
      (path) =>
        readFirst(join(path, 'vendor')) === '0x10de' && readFirst(join(path, 'class')).startsWith('0x03'),
    ),
    kernelDriver: readFirst('/proc/driver/nvidia/version').match(/\s(\d+\.\d[\d.]*)\s/)?.[1],
    wsl: existsSync('/dev/dxg'),
    visible: env.CUDA_VISIBLE_DEVICES,
    // Asks the loader about half a gigabyte of libraries, so only when it matters.
    get newLibtorch() {
      const libtorch = findLibtorch({ env });
      return libtorch?.flavour === 'cuda' ? libtorch.path : undefined;
    },
  };
}

/**
 * Whether code compiled for `architectures` runs on a GPU: machine code within a generation from its own minor
 * release on, PTX on everything newer, code for `9.0a` on 9.0 alone.
 * @param {string} capability  e.g. `8.6` @param {string[]} architectures  e.g. `8.0`, `9.0a`, `9.0+PTX`
 */
export function runsOn(capability, architectures) {
  const [major = 0, minor = 0] = capability.split('.').map(Number);
  return architectures.some((architecture) => {
    const [, a = '', b = '', special, ptx] = architecture.match(/^(\d+)\.(\d)([af])?(\+PTX)?$/) ?? [];
    const [builtMajor, builtMinor] = [Number(a), Number(b)];
    if (special === 'a') return major === builtMajor && minor === builtMinor;
    if (ptx) return major > builtMajor || (major === builtMajor && minor >= builtMinor);
    return major === builtMajor && minor >= builtMinor;
  });
}

/** @param {BuildInfo} info @param {Machine} machine @returns {Fault} */
function cpuBuild({ torchVersion }, { gpu, newLibtorch }) {
  if (newLibtorch)
    return {
      reason: `the addon was built with libtorch ${torchVersion} without CUDA, before the one with CUDA in ${newLibtorch} was there`,
      fix: 'npm run setup',
    };
  const release = torchVersion.split('+')[0];
  return {
    reason: `libtorch ${torchVersion} here was built without CUDA${gpu ? '' : ', and this machine shows no NVIDIA GPU'}`,
    fix: `install a PyTorch with CUDA and build with it: pip install torch==${release}, then ${REBUILD}; or set LIBTORCH to a CUDA libtorch`,
  };
}

/** libcuda.so.1, the driver's part in user space, is not there. @param {string} version @param {Machine} machine @returns {Fault} */
function noDriver(version, { gpu, kernelDriver, wsl }) {
  const minimum = MIN_DRIVER[version.split('.')[0] ?? ''];
  const container =
    'in a container or job, ask for the GPU: docker run --gpus all, apptainer --nv, sbatch --gres=gpu:1';
  if (wsl)
    return {
      reason: 'libcuda.so.1, which WSL keeps in /usr/lib/wsl/lib, is not found',
      fix: 'export LD_LIBRARY_PATH=/usr/lib/wsl/lib:$LD_LIBRARY_PATH, and install the NVIDIA driver on the Windows side',
    };
  if (kernelDriver)
    return {
      reason: `the NVIDIA driver ${kernelDriver} runs on this machine, but its library libcuda.so.1 is not found here`,
      fix: `${container}; outside of one, install the driver's libraries (package libcuda1 or libnvidia-compute)`,
    };
  if (gpu)
    return {
      reason: 'this machine has an NVIDIA GPU but no NVIDIA driver (libcuda.so.1 is not found)',
      fix: `install the NVIDIA driver${minimum ? `, ${minimum} or newer` : ''} (nvidia-smi shows that it runs); ${container}`,
    };
  return {
    reason: 'this machine shows no NVIDIA GPU and no NVIDIA driver (libcuda.so.1 is not found)',
    fix: `use another machine; ${container}`,
  };
}

/** @param {NonNullable<CudaStatus['error']>} error @param {Machine} machine @returns {Fault} */
function refusedByDriver({ code, message }, { visible }) {
  if (code === 'cudaErrorNoDevice' && visible !== undefined)
    return {
      reason: `CUDA_VISIBLE_DEVICES=${visible} leaves no GPU visible`,
      fix: 'unset CUDA_VISIBLE_DEVICES, or name GPUs that nvidia-smi -L lists',
    };
  const fixes = /** @type {Record<string, string>} */ ({
    cudaErrorNoDevice: 'see whether nvidia-smi -L lists a GPU, and whether this user may open /dev/nvidia*',
    cudaErrorSystemNotReady: 'start the fabric manager: systemctl start nvidia-fabricmanager',
    cudaErrorSystemDriverMismatch: 'restart the machine: the driver was updated while its module was in use',
  });
  return {
    reason: `CUDA does not start: ${message} (${code})`,
    fix: fixes[code] ?? 'see what nvidia-smi and dmesg say',
  };
}

/** @param {CudaStatus['devices'][number]} device @param {number} index @param {NonNullable<BuildInfo['cuda']>} cuda @returns {Fault | undefined} */
function wrongArchitecture(
  { name, computeCapability },
  index,
  { libraryArchitectures, kernelArchitectures },
) {
  const gpu = `cuda:${index} (${name}) has compute capability ${computeCapability}`;
  if (libraryArchitectures.length > 0 && !runsOn(computeCapability, libraryArchitectures))
    return {
      reason: `${gpu}, and this libtorch was built for ${libraryArchitectures.join(', ')}`,
      fix: `use a PyTorch built for it (older GPUs: pip install torch --index-url https://download.pytorch.org/whl/cu126), then ${REBUILD}`,
    };
  if (kernelArchitectures.length > 0 && !runsOn(computeCapability, kernelArchitectures))
    return {
      reason: `${gpu}, and the addon's own kernels were built for ${kernelArchitectures.join(', ')}`,
      fix: `TORCH_CUDA_ARCH_LIST="${computeCapability}" npm run setup`,
    };
  return undefined;
}

/**
 * @param {BuildInfo} info
 * @param {CudaStatus | null} status  null where the addon was built without CUDA's headers
 * @param {object} [options]
 * @param {number} [options.index]    of the GPU asked for
 * @param {boolean} [options.answers] whether libtorch itself sees that GPU; decides where status is null
 * @param {() => Machine} [options.machine]
 * @returns {Fault | undefined} undefined when CUDA can be used
 */
export function cudaFault(info, status, { index = 0, answers = false, machine = readMachine } = {}) {
  const { cuda } = info;
  if (!info.cudaLibrary || !cuda) return cpuBuild(info, machine());
  if (!status)
    return answers
      ? undefined
      : {
          reason: `libtorch ${info.torchVersion} has CUDA but no device answers, and the addon was built without CUDA's headers, which it would need to say why`,
          fix: 'see what nvidia-smi says',
        };
  const { driver, error, devices } = status;
  if (driver === null) return noDriver(cuda.version, machine());
  const [needed = '', has = 0] = [cuda.version.split('.')[0], Number(driver.split('.')[0])];
  if (has < Number(needed))
    return {
      reason: `the NVIDIA driver runs CUDA up to ${driver}, and this libtorch was built for CUDA ${cuda.version}`,
      fix:
        `update the driver${MIN_DRIVER[needed] ? ` (${MIN_DRIVER[needed]} or newer)` : ''}, or use a PyTorch for CUDA ${has}` +
        ` (https://pytorch.org/get-started/locally), then ${REBUILD}`,
    };
  if (error) return refusedByDriver(error, machine());
  const device = devices[index];
  if (!device)
    return {
      reason: `there is no such device: CUDA shows ${devices.map(({ name }, i) => `cuda:${i} (${name})`).join(', ') || 'no GPU'}`,
      fix: 'name one that nvidia-smi -L lists and CUDA_VISIBLE_DEVICES leaves visible',
    };
  return wrongArchitecture(device, index, cuda);
}
