// What is known of a CUDA libtorch without a GPU, and the words for why CUDA cannot be used.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cudaNotes } from '../../scripts/lib/build-addon.mjs';
import {
  type BuildInfo,
  type CudaStatus,
  cudaFault,
  type Machine,
  runsOn,
} from '../../scripts/lib/cuda-fault.mjs';
import {
  askedArchitectures,
  builtArchitectures,
  cudaVersion,
  findNvcc,
  parseFlags,
} from '../../scripts/lib/cuda-libtorch.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'afa-cuda-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

// The very bytes of libtorch_cuda.so in the wheel 2.14.1+cu130, from its .rodata.
const FLAGS =
  '-gencode;arch=compute_75,code=sm_75;-gencode;arch=compute_80,code=sm_80;-gencode;arch=compute_86,code=sm_86;' +
  '-gencode;arch=compute_90,code=sm_90;-gencode;arch=compute_100,code=sm_100;-gencode;arch=compute_120,code=sm_120';
const ARCHITECTURES = ['75', '80', '86', '90', '100', '120'].map((number) => `${number}-real`);

describe('a CUDA libtorch', () => {
  it('tells the architectures that it was compiled for', () => {
    expect(parseFlags(`${FLAGS}\0and on`)).toEqual(ARCHITECTURES);
    // NVIDIA's images add PTX for what comes after the last.
    expect(parseFlags('-gencode;arch=compute_120,code=compute_120\0')).toEqual(['120-virtual']);
    expect(parseFlags('nothing')).toEqual([]);
  });

  // The library is read in pieces of 8 MiB.
  it.each([0, 100, (8 << 20) - 4096, (8 << 20) - 40, (8 << 20) - 1, 9 << 20])(
    'tells them from wherever they lie: at byte %i',
    (position) => {
      const bytes = Buffer.alloc(10 << 20, 7);
      bytes.write(`${FLAGS}\0`, position, 'latin1');
      writeFileSync(join(folder, 'libtorch_cuda.so'), bytes);
      expect(builtArchitectures(join(folder, 'libtorch_cuda.so'))).toEqual(ARCHITECTURES);
    },
  );

  it('that keeps no flags tells none', () => {
    writeFileSync(join(folder, 'libtorch_cuda.so'), Buffer.alloc(9 << 20));
    expect(builtArchitectures(join(folder, 'libtorch_cuda.so'))).toEqual([]);
  });

  it('tells its CUDA release as a wheel, as a zip and not at all', () => {
    const write = (name: string, text: string) => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      writeFileSync(join(folder, name), text);
    };
    write('version.py', "__version__ = '2.14.1+cu130'\ndebug = False\ncuda: Optional[str] = '13.0'\n");
    expect(cudaVersion(folder)).toBe('13.0');
    write('version.py', "__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n");
    expect(cudaVersion(folder)).toBeUndefined();
    write('build-version', '2.13.0+cu126\n');
    expect(cudaVersion(folder)).toBe('12.6');
  });
});

it('nvcc is the first of the right CUDA generation, or the one asked for', () => {
  const nvcc = (home: string, version: string) => {
    mkdirSync(join(folder, home, 'bin'), { recursive: true });
    const path = join(folder, home, 'bin/nvcc');
    writeFileSync(path, `#!/bin/sh\necho "Cuda compilation tools, release ${version}, V${version}.1"\n`);
    chmodSync(path, 0o755);
    return path;
  };
  writeFileSync(join(folder, 'version.py'), "cuda: Optional[str] = '12.6'\n");
  const [old, right, other] = [nvcc('old', '11.8'), nvcc('right', '12.4'), nvcc('other', '99.0')];
  const PATH = `${join(folder, 'old/bin')}:${process.env.PATH}`;
  expect(findNvcc(folder, { PATH, CUDA_HOME: join(folder, 'right') })).toEqual({
    path: right,
    version: '12.4',
  });
  expect(findNvcc(folder, { PATH: join(folder, 'old/bin') })?.path).toBe(old);
  expect(findNvcc(folder, { PATH, CUDACXX: other })).toEqual({ path: other, version: '99.0' });
  expect(findNvcc(folder, { PATH, CUDACXX: join(folder, 'none') })).toBeUndefined();
});

describe('TORCH_CUDA_ARCH_LIST', () => {
  it.each([
    ['9.0', ['90-real']],
    // As NVIDIA's PyTorch images set it.
    ['8.0 8.6 9.0 10.0 12.0+PTX', ['80-real', '86-real', '90-real', '100-real', '120-real', '120-virtual']],
    ['8.0;9.0a, 10.0f', ['80-real', '90a-real', '100f-real']],
  ])('%s is understood', (text, expected) => expect(askedArchitectures(text)).toEqual(expected));

  it.each(['Hopper', '90', '9.0+ptx', '9', 'sm_90'])('%s is refused', (text) => {
    expect(() => askedArchitectures(text)).toThrow(
      `Expected TORCH_CUDA_ARCH_LIST as compute capabilities such as "8.0 9.0+PTX" but received "${text}"`,
    );
  });
});

// CUDA's programming guide, binary and PTX compatibility.
it.each([
  ['9.0', ['9.0'], true],
  ['8.9', ['8.6'], true],
  ['8.0', ['8.6'], false],
  ['9.0', ['8.6'], false],
  ['7.0', ['7.5', '8.0'], false],
  ['10.3', ['9.0', '10.0'], true],
  ['9.0', ['9.0a'], true],
  ['10.0', ['9.0a'], false],
  ['12.0', ['9.0+PTX'], true],
  ['8.0', ['9.0+PTX'], false],
  ['12.1', [], false],
])('a GPU of compute capability %s runs code for %j: %s', (capability, architectures, runs) => {
  expect(runsOn(capability, architectures)).toBe(runs);
});

it("CMake's words about CUDA are shown, and nobody else's", () => {
  const output = `-- The CXX compiler identification is GNU 12.2.0
CMake Warning at native/cuda.cmake:90 (message):
  CUDA: without own kernels, libtorch's generic ones compute instead: nvcc
  13.0 is not found.  Put it on PATH, or set CUDA_HOME or CUDACXX.
Call Stack (most recent call first):
  CMakeLists.txt:60 (include)


CMake Warning (dev) in CMakeLists.txt:
  A developer's matter.

-- CUDA: libtorch for 13.0; NCCL from /include
-- Configuring done
`;
  expect(cudaNotes(output)).toEqual([
    "CUDA: without own kernels, libtorch's generic ones compute instead: nvcc 13.0 is not found. Put it on PATH, or set CUDA_HOME or CUDACXX.",
    'CUDA: libtorch for 13.0; NCCL from /include',
  ]);
});

describe('why CUDA cannot be used', () => {
  const LIBRARY = ['7.5', '8.0', '8.6', '9.0', '10.0', '12.0'];
  const info = (kernelArchitectures: string[] = LIBRARY): BuildInfo => ({
    torchVersion: '2.14.1',
    cudaLibrary: true,
    cuda: { version: '13.0', libraryArchitectures: LIBRARY, kernelArchitectures, nccl: '2.30.7' },
  });
  const gpu = (computeCapability: string) => ({ name: 'NVIDIA X', computeCapability, memoryBytes: 80e9 });
  const status = (more: Partial<CudaStatus> = {}): CudaStatus => ({
    driver: '13.0',
    error: null,
    devices: [gpu('9.0')],
    ...more,
  });
  const bare: Machine = { gpu: false, wsl: false };
  const explain = (cuda: CudaStatus | null, machine: Partial<Machine> = {}, build = info(), index = 0) =>
    cudaFault(build, cuda, { index, machine: () => ({ ...bare, ...machine }) });
  const noDriver = status({ driver: null, devices: [] });
  const failed = (code: string) => status({ error: { code, message: 'words of CUDA' }, devices: [] });

  it('is nothing where a GPU, its driver and the build fit', () => {
    expect(explain(status())).toBeUndefined();
    expect(cudaFault(info(), null, { answers: true, machine: () => bare })).toBeUndefined();
    // CUDA 12.6 on a driver for 12.4: one generation.
    const twelve = info();
    twelve.cuda = { ...twelve.cuda!, version: '12.6' };
    expect(explain(status({ driver: '12.4' }), {}, twelve)).toBeUndefined();
  });

  it.each([
    ['no driver and no GPU', noDriver, {}, /shows no NVIDIA GPU and no NVIDIA driver/, /--gpus all/],
    [
      'no driver for a GPU',
      noDriver,
      { gpu: true },
      /has an NVIDIA GPU but no NVIDIA driver/,
      /580 or newer/,
    ],
    ['a container', noDriver, { kernelDriver: '580.65.06' }, /driver 580\.65\.06 runs/, /--gpus all.*--nv/],
    ['WSL', noDriver, { wsl: true }, /WSL keeps in/, /LD_LIBRARY_PATH=\/usr\/lib\/wsl\/lib/],
    [
      'an old driver',
      status({ driver: '12.4', devices: [] }),
      {},
      /driver runs CUDA up to 12\.4, and this libtorch was built for CUDA 13\.0/,
      /580 or newer\), or use a PyTorch for CUDA 12/,
    ],
    [
      'hidden GPUs',
      failed('cudaErrorNoDevice'),
      { visible: '' },
      /CUDA_VISIBLE_DEVICES= leaves no GPU visible/,
      /unset/,
    ],
    ['no GPU', failed('cudaErrorNoDevice'), {}, /words of CUDA \(cudaErrorNoDevice\)/, /nvidia-smi -L/],
    ['no fabric', failed('cudaErrorSystemNotReady'), {}, /cudaErrorSystemNotReady/, /fabricmanager/],
    ['anything else', failed('cudaErrorUnknown'), {}, /does not start: words of CUDA/, /dmesg/],
    [
      'an old GPU',
      status({ devices: [gpu('7.0')] }),
      {},
      /compute capability 7\.0, and this libtorch was built for 7\.5, 8\.0/,
      /older GPUs/,
    ],
    ['a build without headers', null, {}, /no device answers/, /nvidia-smi/],
  ] as const)('is said with its remedy: %s', (_, cuda, machine, reason, fix) => {
    const fault = explain(cuda, machine);
    expect(fault?.reason).toMatch(reason);
    expect(fault?.fix).toMatch(fix);
  });

  it('is a GPU that the own kernels were not compiled for', () => {
    expect(explain(status(), {}, info(['8.0']))).toEqual({
      reason: "cuda:0 (NVIDIA X) has compute capability 9.0, and the addon's own kernels were built for 8.0",
      fix: 'TORCH_CUDA_ARCH_LIST="9.0" npm run setup',
    });
    expect(explain(status(), {}, info([]))).toBeUndefined(); // none: libtorch's own compute
  });

  it('is an index beyond the last GPU', () => {
    expect(explain(status(), {}, info(), 1)?.reason).toBe(
      'there is no such device: CUDA shows cuda:0 (NVIDIA X)',
    );
  });

  it('is a CPU build, with the one that is to be used where one is found', () => {
    const cpu: BuildInfo = { torchVersion: '2.13.0+cpu', cudaLibrary: false, cuda: null };
    expect(explain(null, {}, cpu)?.reason).toBe(
      'libtorch 2.13.0+cpu here was built without CUDA, and this machine shows no NVIDIA GPU',
    );
    expect(explain(null, { gpu: true }, cpu)?.reason).toBe('libtorch 2.13.0+cpu here was built without CUDA');
    expect(explain(null, {}, cpu)?.fix).toContain('pip install torch==2.13.0, then LIBTORCH_USE_PYTORCH=1');
    expect(explain(null, { newLibtorch: '/opt/torch' }, cpu)).toMatchObject({ fix: 'npm run setup' });
  });
});
