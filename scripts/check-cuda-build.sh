#!/usr/bin/env bash
# Shows, with or without a GPU, that the whole addon compiles, links and loads against a CUDA libtorch, from nothing.
set -euo pipefail

TORCH_VERSION=2.14.1
NEEDED_GB=12
root=$(cd "$(dirname "$0")/.." && pwd)

usage() {
  cat <<TEXT
Usage: scripts/check-cuda-build.sh [--dir FOLDER] [--torch VERSION] [--jobs N] [--keep]

Installs PyTorch with CUDA and NCCL into an environment of its own, builds the addon with every .cu file in a folder of
its own, looks into what came out (nm, ldd, cuobjdump), loads it, and runs tests on the CPU device with it, on the GPU
too where one answers, and of the host's side of CUDA on a stand-in for one. This checkout (its build/ included) stays as it is. Takes 10 to 40 minutes, about 3 GB of
downloads and ${NEEDED_GB} GB of disk. Needs \`npm run setup\` to have been run, Python with venv, and nvcc (which is
installed from PyPI where there is none that fits).

Options:
  --dir FOLDER      where to work (default: a temporary folder); what is there from an earlier run is used again
  --torch VERSION   release of PyTorch (default: ${TORCH_VERSION})
  --jobs N          compilers at a time, 1.5 GB of memory each (default: 2)
  --keep            leave the folder behind
  --help            this text

Environment:
  TORCH_CUDA_ARCH_LIST   compute capabilities, e.g. "9.0" (default: those of the libtorch)

Examples:
  scripts/check-cuda-build.sh
  scripts/check-cuda-build.sh --dir ~/afa-cuda --keep      # again later, in a few minutes
TEXT
}
fail() { printf '\n%s\n' "$*" >&2; exit 1; }
refuse() { printf '%s\nSee --help.\n' "$*" >&2; exit 2; }

folder='' keep='' jobs=2
while [ $# -gt 0 ]; do
  case $1 in
    --help) usage; exit 0 ;;
    --keep) keep=1; shift ;;
    --dir | --torch | --jobs)
      [ $# -ge 2 ] || refuse "Expected a value after $1 but received nothing."
      case $1 in --dir) folder=$2 ;; --torch) TORCH_VERSION=$2 ;; --jobs) jobs=$2 ;; esac
      shift 2 ;;
    *) refuse "Expected --dir, --torch, --jobs, --keep or --help but received $1." ;;
  esac
done
[[ $jobs =~ ^[1-9][0-9]*$ ]] || refuse "Expected a number of jobs for --jobs but received $jobs."
[[ $TORCH_VERSION =~ ^2\.1[1-5]\.[0-9]+$ ]] || refuse "Expected a PyTorch of 2.11 to 2.15, e.g. 2.14.1, for --torch but received $TORCH_VERSION."

case $(realpath -m -- "${folder:-/}")/ in "$root"/*) refuse "Expected a folder outside this checkout for --dir but received $folder." ;; esac
made=''
if [ -z "$folder" ]; then folder=$(mktemp -d "${TMPDIR:-/tmp}/afa-cuda-XXXXXX"); made=1; fi
mkdir -p "$folder/logs" || refuse "Expected a folder that can be written for --dir but received $folder."
folder=$(cd "$folder" && pwd)

done_well=''
finish() {
  if [ -n "$keep" ] || [ -z "$made" ] || { [ -z "$done_well" ] && [ -n "$failed_step" ]; }; then
    echo "Left behind: $folder"
  else
    rm -rf "$folder"
  fi
}
failed_step=''
trap finish EXIT
trap 'echo "Interrupted." >&2; exit 130' INT TERM

number=0
# step TITLE COMMAND...: runs it with its output in a log, and says how it went and how long it took.
step() {
  local title=$1 log started=$SECONDS
  shift
  number=$((number + 1))
  log=$folder/logs/$number.log
  printf '%2d. %s ... ' "$number" "$title"
  # Not in a condition: there, a command that fails inside of the function would be passed over.
  local code
  set +e
  (set -e; "$@") >"$log" 2>&1
  code=$?
  set -e
  if [ $code = 0 ]; then
    echo "ok ($((SECONDS - started)) s)"
    sed -n 's/^SAY /    /p' "$log"
  else
    failed_step=$number
    echo "FAILED ($((SECONDS - started)) s)"
    tail -n 25 "$log" | sed 's/^/    /' >&2
    fail "Step $number failed: $title. The whole log: $log"
  fi
}

venv=$folder/venv
output=$folder/output # output/build/Release is where node-gyp-build looks when MEDICAL_AFA_PREBUILD names output
addon=$output/build/Release/medical_afa.node
site() { "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

# What must not change: tracked and untracked files, and the addon that is built here.
checkout_state() {
  # Any of them may be missing: a package is no checkout, and without a set-up there is no build/.
  { cd "$root"; git status --porcelain 2>/dev/null || true; find build dist -type f -printf '%p %s %T@\n' 2>/dev/null | sort || true; } | sha256sum
}

check_tools() {
  command -v node cmake g++ nm ldd >/dev/null || { echo "Expected node, cmake, g++, nm and ldd on PATH"; return 1; }
  [ -e "$root/node_modules/cmake-js" ] || { echo "Expected node_modules. Run: npm run setup"; return 1; }
  [ -x "$venv/bin/python" ] || python3 -c 'import venv, ensurepip' || { echo "Expected Python's venv: apt-get install -y python3-venv"; return 1; }
  local free
  free=$(df -BG --output=avail "$folder" | tail -n 1 | tr -dc 0-9)
  [ -x "$venv/bin/python" ] || [ "$free" -ge "$NEEDED_GB" ] || {
    echo "Expected $NEEDED_GB GB free in $folder but found $free GB. Give another --dir."
    return 1
  }
  echo "SAY node $(node -p process.versions.node), $(g++ --version | head -n 1), $(nvcc --version 2>/dev/null | tail -n 1 || echo 'no nvcc on PATH')"
}

install_torch() {
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  local pip=("$venv/bin/python" -m pip --disable-pip-version-check)
  "${pip[@]}" install --no-cache-dir --no-compile --no-input "torch===$TORCH_VERSION" # not 2.13.0+cpu, where an index has that
  "$venv/bin/python" - <<'PY'
import torch
print(f"SAY torch {torch.__version__} for CUDA {torch.version.cuda}, {' '.join(torch.cuda.get_arch_list())}")
assert torch.version.cuda, "this PyTorch is a CPU build: pip's index has no other"
PY
}

# One that belongs to this CUDA's generation, else that of PyPI: what runs is the same.
find_nvcc() {
  local facts=$folder/logs/libtorch-cuda.txt
  fact() { sed -n "s/^set($1 \"\(.*\)\")/\1/p" "$facts"; }
  node "$root/scripts/lib/cuda-libtorch.mjs" "$(site)/torch" | tee "$facts"
  local cuda
  cuda=$(fact LIBTORCH_CUDA_VERSION)
  fits() { [ "$(fact NVCC_VERSION | cut -d . -f 1)" = "${cuda%%.*}" ]; }
  if ! fits; then
    # CUDA 12's packages bring headers, but of nvcc only parts.
    "$venv/bin/python" -m pip install --no-cache-dir --no-compile --no-input "cuda-toolkit[nvcc,cccl,crt]==$cuda.*"
    node "$root/scripts/lib/cuda-libtorch.mjs" "$(site)/torch" | tee "$facts"
    fits || { echo "Expected nvcc ${cuda%%.*}.x on PATH or in CUDACXX but found $(fact NVCC) $(fact NVCC_VERSION)."; return 1; }
  fi
  echo "SAY $(fact NVCC) $(fact NVCC_VERSION)"
}

configure() {
  node "$root/node_modules/cmake-js/bin/cmake-js" configure --directory "$root" --out "$output/build" \
    "--CDTORCH_ROOT=$(site)/torch" 2>&1 | tee "$folder/logs/configure.txt"
  if grep -q 'CMake Warning' "$folder/logs/configure.txt"; then
    echo "Expected a build with all its parts but CMake left some out (see above)."
    return 1
  fi
  sed -n 's/^-- CUDA: /SAY /p' "$folder/logs/configure.txt"
}

build() { cmake --build "$output/build" --config Release --parallel "$jobs"; }

check_links() {
  local links=$folder/logs/links.txt
  ldd "$addon" | tee "$links"
  if grep 'not found' "$links"; then return 1; fi
  grep -q 'libtorch_cuda\.so' "$links"
  # One CUDA runtime, the one that libtorch loads.
  [ "$(grep -c 'libcudart\.so' "$links")" = 1 ]
  nm --dynamic --demangle --undefined-only "$addon" >"$folder/logs/undefined.txt"
  grep -q 'c10d::ProcessGroupNCCL::ProcessGroupNCCL' "$folder/logs/undefined.txt"
  nm --demangle "$addon" >"$folder/logs/symbols.txt"
  echo "SAY ProcessGroupNCCL is linked; $(du -h "$addon" | cut -f 1) in $(basename "$addon")"
}

# Every .cu file's launchers, and machine code of every kernel for every architecture asked.
check_kernels() {
  local sources cuobjdump architectures
  mapfile -t sources < <(cd "$root" && find native -name '*.cu' | sort)
  if [ ${#sources[@]} = 0 ]; then echo "SAY there is no .cu file yet"; return 0; fi
  cuobjdump=$(command -v cuobjdump || find "$(site)" -name cuobjdump -type f | head -n 1)
  [ -n "$cuobjdump" ] || { echo "Expected cuobjdump on PATH or in PyTorch's triton package"; return 1; }
  for source in "${sources[@]}"; do
    nm "$output/build/CMakeFiles/medical_afa.dir/$source.o" | awk '$2 == "T" && $3 !~ /^_Z/ { print $3 }' >"$folder/logs/launchers.txt"
    [ -s "$folder/logs/launchers.txt" ] || { echo "Expected a launcher in $source but its object exports none"; return 1; }
    while read -r launcher; do
      grep -qw "$launcher" "$folder/logs/symbols.txt" || { echo "$launcher of $source is not in the addon"; return 1; }
    done <"$folder/logs/launchers.txt"
  done
  architectures=$(node "$root/scripts/lib/cuda-libtorch.mjs" "$(site)/torch" |
    sed -n 's/^set(KERNEL_CUDA_ARCHITECTURES "\(.*\)")/\1/p' | tr ';' '\n' | sed -n 's/-real$//p')
  "$cuobjdump" --list-elf "$addon" | tee "$folder/logs/elf.txt"
  for architecture in $architectures; do
    grep -q "sm_$architecture\.cubin" "$folder/logs/elf.txt" || { echo "No machine code for sm_$architecture"; return 1; }
  done
  # Registers and spilled bytes of each kernel: a spill is not an error, and yet worth a look.
  "$cuobjdump" --dump-resource-usage --gpu-architecture "sm_$(tail -n 1 <<<"$architectures")" "$addon" >"$folder/logs/resources.txt" 2>&1 || true
  echo "SAY ${#sources[@]} .cu files, $(grep -c 'Function ' "$folder/logs/resources.txt") kernels, machine code for sm_${architectures//$'\n'/ sm_}"
}

load() {
  cat >"$folder/load.mjs" <<'JS'
import { createRequire } from 'node:module';
const [root] = process.argv.slice(2);
const require = createRequire(`${root}/package.json`);
const addon = require('node-gyp-build')(root);
const info = addon.buildInfo();
const status = addon.cudaStatus();
console.log(JSON.stringify({ file: require('node-gyp-build').resolve(root), info, status }, null, 2));
const expect = (condition, text) => {
  if (!condition) throw new Error(`Expected ${text}`);
};
expect(info.cudaLibrary && info.cuda, 'libtorch to say that it has CUDA');
expect(info.cuda.nccl, 'a version of NCCL');
expect(status, "the addon to know CUDA's runtime");
const devices = status.devices.length;
expect(addon.deviceAvailable('cuda') === devices > 0, 'libtorch and the driver to agree about devices');
expect(addon.backendAvailable('nccl') === devices > 0, 'NCCL exactly where there is a GPU');
console.log(`SAY CUDA ${info.cuda.version}, NCCL ${info.cuda.nccl}, driver: ${status.driver ?? 'none'}, GPUs: ${devices}`);
JS
  node "$folder/load.mjs" "$root"
}

# Through the command that people use: what --cuda says where it cannot be.
check_refusal() {
  [ -e "$root/dist/train.js" ] || { echo "SAY skipped: dist/ is not compiled"; return 0; }
  node -e 'process.exit(require(process.argv[1])(process.argv[2]).deviceAvailable("cuda") ? 1 : 0)' \
    "$root/node_modules/node-gyp-build" "$root" || { echo "SAY skipped: a GPU answers"; return 0; }
  local code=0 said=$folder/logs/refusal.txt
  (cd "$folder" && node "$root/dist/train.js" --config "$root/configs/lasc_attn_reg.yaml" --cuda) >"$said" 2>&1 || code=$?
  cat "$said"
  [ "$code" = 2 ] || { echo "Expected exit code 2 but received $code"; return 1; }
  grep -q "Expected device 'cuda' but " "$said"
  sed 's/^/SAY /' "$said"
}

run_tests() {
  local tests=(test/native/system.test.ts test/native/device-record.test.ts test/native/tensor-linear.test.ts test/unit/cam-par.test.ts test/parity/model.test.ts)
  # They skip themselves where no GPU answers.
  if [ -d "$root/test/cuda" ]; then tests+=(test/cuda); fi
  cd "$root"
  NO_COLOR=1 node node_modules/vitest/vitest.mjs run "${tests[@]}" 2>&1 | tee "$folder/logs/tests.txt"
  sed -n 's/^ *\(Tests  .*\)/SAY \1/p' "$folder/logs/tests.txt"
}

# All that the host does on a GPU, over a CUDA runtime whose kernels do nothing.
run_hollow() {
  local includes library=$folder/hollow-gpu.so
  mapfile -t includes < <(sed -n 's/^AFA_\(cuda_runtime_api_h\|crt_host_defines_h\|nv_target\|cublas_v2_h\|cublasLt_h\):PATH=//p' "$output/build/CMakeCache.txt" | sort -u)
  includes+=("$(site)/nvidia/cudnn/include")
  "$root/test/cuda/hollow/build.sh" "$(site)/torch" "$library" "${includes[@]}"
  cd "$root"
  HOLLOW_GPU=$library NO_COLOR=1 node node_modules/vitest/vitest.mjs run test/cuda/hollow.test.ts 2>&1 | tee "$folder/logs/hollow.txt"
  sed -n 's/^ *\(Tests  .*\)/SAY \1/p' "$folder/logs/hollow.txt"
}

before=$(checkout_state)
export MEDICAL_AFA_PREBUILD=$output
step "Tools" check_tools
step "PyTorch $TORCH_VERSION with CUDA" install_torch
step "nvcc" find_nvcc
step "Configure" configure
step "Compile and link" build
step "Libraries and NCCL" check_links
step "Kernels" check_kernels
step "Load with node" load
step "--cuda without a GPU" check_refusal
step "Tests" run_tests
step "A training on a GPU that computes nothing" run_hollow
[ "$(checkout_state)" = "$before" ] || fail "Expected the checkout to be as before, but git status or build/ has changed."
done_well=1
echo "All is well ($SECONDS s); the checkout is as it was."
