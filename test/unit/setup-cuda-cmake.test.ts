/**
 * Where native/cuda.cmake finds CUDA's headers, and which GPUs it compiles for: configured as by the addon's CMakeLists.txt,
 * for a PyTorch made up of empty files. Its CUDA generations, 9 and 99, are on no machine of today.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const repository = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

const write = (path: string, text = '', mode = 0o644) => {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode });
  return file;
};
const compile = (args: readonly string[]) => {
  const { status, stderr } = spawnSync('c++', ['-shared', '-fPIC', ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
};
const runtimeHeader = (path: string, version: number) =>
  write(`${path}/include/cuda_runtime_api.h`, `#define CUDART_VERSION  ${version}\n`);
const headers = (path: string, names: readonly string[]) => {
  for (const name of names) write(`${path}/include/${name}`);
};
const LIBRARIES = ['cublas_v2.h', 'cublasLt.h', 'cusparse.h', 'cusolverDn.h', 'nccl.h'];

/** A PyTorch whose library loads a CUDA runtime, as in a wheel. */
function torch(cuda: string): void {
  write('site/torch/version.py', `cuda: Optional[str] = '${cuda}'\n`);
  write('site/torch/lib/.keep');
  write('empty.cc', 'extern "C" const char flags[] = "-gencode;arch=compute_80,code=sm_80";\n');
  compile(['empty.cc', '-o', 'site/torch/lib/libcudart.so.0', '-Wl,-soname,libcudart.so.0']);
  compile([
    ...['empty.cc', '-o', 'site/torch/lib/libtorch_cuda.so', '-Wl,--no-as-needed'],
    ...['site/torch/lib/libcudart.so.0', '-Wl,-rpath,$ORIGIN'],
  ]);
}

/** What CMake says, and the header folders that it took, relative to the made-up machine. */
function configure(environment: Readonly<Record<string, string>>): { said: string; includes: string[] } {
  const env: NodeJS.ProcessEnv = { ...process.env, CUDACXX: '/no/nvcc', ...environment };
  for (const name of ['CUDA_HOME', 'CUDA_PATH', 'TORCH_CUDA_ARCH_LIST'])
    if (!(name in environment)) delete env[name];
  const { stdout, stderr } = spawnSync(
    'cmake',
    ['-S', 'project', '-B', 'made', `-DTORCH_ROOT=${join(folder, 'site/torch')}`],
    { cwd: folder, env, encoding: 'utf8' },
  );
  const includes = stdout.match(/INCLUDES \$<\$<COMPILE_LANGUAGE:CXX>:(.*)>/)?.[1]?.split(';') ?? [];
  return {
    said: `${stdout}${stderr}`.replaceAll(/\s+/g, ' '),
    includes: includes.map((path) => path.replace(`${folder}/`, '')),
  };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'afa-cmake-'));
  write(
    'project/CMakeLists.txt',
    `cmake_minimum_required(VERSION 3.18)
project(made_up CXX)
add_library(libtorch INTERFACE)
add_library(medical_afa SHARED a.cc)
include(native/cuda.cmake)
get_target_property(folders libtorch INTERFACE_INCLUDE_DIRECTORIES)
message(STATUS "INCLUDES \${folders}")
`,
  );
  write('project/a.cc');
  for (const name of ['native', 'scripts'])
    symlinkSync(join(repository, name), join(folder, 'project', name));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('takes the headers of wheels with a folder for each library', () => {
  torch('9.2');
  runtimeHeader('site/nvidia/cuda_runtime', 9020);
  headers('site/nvidia/cuda_nvcc', ['crt/host_defines.h']);
  headers('site/nvidia/cuda_cccl', ['nv/target']);
  headers('site/nvidia/libraries', LIBRARIES);
  // Left behind by a PyTorch for another CUDA.
  runtimeHeader('site/nvidia/cu99', 99010);
  headers('site/nvidia/cu99', LIBRARIES);
  expect(configure({}).includes).toEqual(
    ['cuda_cccl', 'cuda_nvcc', 'cuda_runtime', 'libraries'].map((name) => `site/nvidia/${name}/include`),
  );
});

it('takes nothing of wheels for the generation before', () => {
  torch('99.1');
  runtimeHeader('site/nvidia/cu99', 99010);
  headers('site/nvidia/cu99', LIBRARIES);
  headers('site/nvidia/cuda_nvcc', ['crt/host_defines.h']);
  headers('site/nvidia/cuda_cccl', ['nv/target']);
  expect(configure({}).said).toContain('are missing (crt/host_defines.h, nv/target).');
  // As conda lays a toolkit out.
  runtimeHeader('conda/targets/x86_64-linux', 99000);
  headers('conda/targets/x86_64-linux', ['crt/host_defines.h', 'nv/target']);
  expect(configure({ CUDA_HOME: join(folder, 'conda') }).includes).toEqual([
    'site/nvidia/cu99/include',
    'conda/targets/x86_64-linux/include',
  ]);
});

it('takes from a toolkit of the same generation what the wheels leave out, and only after them', () => {
  torch('99.1');
  runtimeHeader('site/nvidia/cu99', 99010);
  headers('site/nvidia/cu99', LIBRARIES);
  runtimeHeader('toolkit', 99000);
  headers('toolkit', ['crt/host_defines.h', 'nv/target', ...LIBRARIES]);
  expect(configure({ CUDA_HOME: join(folder, 'toolkit') }).includes).toEqual([
    'site/nvidia/cu99/include',
    'toolkit/include',
  ]);
});

it('takes nothing from a toolkit of another generation, and says which packages have what is missing', () => {
  torch('9.2');
  runtimeHeader('site/nvidia/cuda_runtime', 9020);
  headers('site/nvidia/libraries', LIBRARIES);
  runtimeHeader('toolkit', 13000);
  headers('toolkit', ['crt/host_defines.h', 'nv/target']);
  const { said } = configure({ CUDA_HOME: join(folder, 'toolkit') });
  expect(said).toContain('are missing (crt/host_defines.h, nv/target). CUDA tensors work all the same.');
  expect(said).toContain('nvidia-cuda-nvcc-cu9 crt/, nvidia-cuda-cccl-cu9 nv/; else the CUDA 9.2 toolkit');
});

it('says what becomes of GPUs that nvcc does not know', () => {
  torch('99.1');
  runtimeHeader('site/nvidia/cu99', 99010);
  headers('site/nvidia/cu99', ['crt/host_defines.h', 'nv/target', ...LIBRARIES]);
  const nvcc = write(
    'nvcc',
    `#!/bin/sh
case $1 in
  --version) echo "Cuda compilation tools, release 99.0" ;;
  --list-gpu-code) printf 'sm_80\\nsm_90\\nsm_100\\n' ;;
  *) exit 1 ;;
esac
`,
    0o755,
  );
  // It ends there, as this nvcc compiles nothing.
  const { said } = configure({ CUDACXX: nvcc, TORCH_CUDA_ARCH_LIST: '7.0 8.0 9.0 10.0 10.3 12.0' });
  expect(said).toContain('compute capability 70, which nvcc 99.0 does not know: such a GPU is refused.');
  expect(said).toContain(
    'compute capability 103, which nvcc 99.0 does not know: such a GPU runs the code for 100.',
  );
  expect(said).toContain(
    'compute capability 120, which nvcc 99.0 does not know: such a GPU compiles the code for 100 itself, at its first start.',
  );
});
