#!/usr/bin/env bash
# On a machine without internet: builds the addon against its PyTorch and runs the tests. See docs/cuda.md.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)

usage() {
  cat <<TEXT
Usage: bundle/setup.sh [--no-tests]

Builds the addon against this machine's PyTorch (2.11 to 2.15) and runs the tests: on the CPU, and on the GPU where one
answers. Nothing is downloaded. Takes 5 to 15 minutes and 1 GB of disk; needs PyTorch, a C++20 compiler, CMake and make,
and for the fused kernels of an NVIDIA GPU nvcc of PyTorch's CUDA generation.

Options:
  --no-tests   only build
  --help       this text

Environment:
  PYTHON                       Python whose torch is used (default: python3)
  LIBTORCH                     a libtorch to use instead
  CUDACXX, CUDA_HOME           where nvcc is, if not on PATH
  TORCH_CUDA_ARCH_LIST         compute capabilities, e.g. "9.0" (default: those of the libtorch)
  CMAKE_BUILD_PARALLEL_LEVEL   compilers at a time, 1.5 GB of memory each

Examples:
  bundle/setup.sh
  PYTHON=~/venv/bin/python CUDA_HOME=/usr/local/cuda-13.0 bundle/setup.sh
TEXT
}
fail() { printf '%s\n' "$*" >&2; exit 1; }

tests=1
while [ $# -gt 0 ]; do
  case $1 in
    --help) usage; exit 0 ;;
    --no-tests) tests='' ;;
    *) printf 'Expected --no-tests or --help but received %s.\nSee --help.\n' "$1" >&2; exit 2 ;;
  esac
  shift
done
cd "$root"

# The bundle's own Node, unless this system is too old for it.
export PATH="$root/bundle/node/bin:$PATH"
if ! node=$("$root/bundle/node/bin/node" -p process.execPath 2>&1); then
  export PATH="${PATH#*:}"
  command -v node >/dev/null || fail "Expected the bundle's Node to run here, but it says:
$node
Put a Node 20.9 or newer of your own on PATH (module load nodejs, or conda install nodejs), and run this again."
fi

# Which libtorch; a refusal ends here with every place searched and every remedy.
[ -n "${LIBTORCH:-}" ] || export LIBTORCH_USE_PYTORCH=1
torch=$(node scripts/libtorch.mjs root) || fail "
Here, where npm is not needed:  PYTHON=/path/to/python bundle/setup.sh  or  LIBTORCH=/path/to/libtorch bundle/setup.sh"
cuda=$(node --input-type=module -e '
  import { cudaVersion } from "./scripts/lib/cuda-libtorch.mjs";
  console.log(cudaVersion(process.argv[1]) ?? "");' "$torch")
echo "Node $(node -p process.versions.node), libtorch $(node scripts/libtorch.mjs version) in $torch"

node --input-type=module -e '
  import { runMain, SetupError } from "./scripts/lib/run.mjs";
  import { BUILD_TOOLS, checkTools, nodeFault, toolFault } from "./scripts/lib/tools.mjs";
  await runMain(async () => {
    const fault = nodeFault() ?? toolFault(checkTools(BUILD_TOOLS));
    if (fault) throw new SetupError(`${fault}\nOn a cluster without administrator: module load gcc cmake, or conda install gxx cmake make`);
    return 0;
  });'

# From now on this libtorch is found without any variable, and the place can be moved.
mkdir -p .libtorch
ln -sfn "$torch" .libtorch/torch
node scripts/build-native.mjs
unset LIBTORCH LIBTORCH_USE_PYTORCH
node scripts/doctor.mjs || true

if [ -n "$tests" ]; then
  paths=(test/native test/parity test/unit/cam-par.test.ts test/unit/losses.test.ts test/e2e/train.test.ts)
  # They skip themselves, with the reason, where no GPU answers.
  if [ -d test/cuda ]; then paths+=(test/cuda); fi
  # Whole trainings are among them, and login nodes are shared: slow is no fault here.
  node node_modules/vitest/vitest.mjs run --hookTimeout=1200000 --testTimeout=1200000 "${paths[@]}"
fi
cat <<TEXT

Ready${cuda:+, with CUDA $cuda}. In a new shell:
  export PATH=$root/bundle/node/bin:\$PATH
  cd $root && node dist/train.js --help
TEXT
