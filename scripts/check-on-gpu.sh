#!/usr/bin/env bash
# What only a GPU can show, in one go and within a time: correctness, memory errors of the kernels, speed, a training.
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
PARTS=(tests sanitizer races bench demo)

usage() {
  cat <<TEXT
Usage: scripts/check-on-gpu.sh [--dir FOLDER] [--only PART[,PART]] [--minutes N]

Runs on a machine with an NVIDIA GPU, after \`LIBTORCH_USE_PYTORCH=1 npm run setup\` or an offline bundle's setup.sh:

  tests      every reference fixture at 1e-3 in float32, bf16, the kernels against the CPU, graphs, --deterministic
  sanitizer  the kernels' tests once more under compute-sanitizer: reads and writes beside their arrays
  races      and once more: hazards in shared memory
  bench      npm run bench -- --cuda: speed, memory, each kernel's share, the targets
  demo       the demo's training with --cuda --amp bf16, validation and maps; its scores against README's

All outputs are kept as files. It ends with code 0 where every part ran and passed.

Options:
  --dir FOLDER      where they go (default: gpu-check)
  --only PARTS      some of the parts
  --minutes N       at most so long for each part (default: 10)
  --help            this text

Examples:
  scripts/check-on-gpu.sh
  scripts/check-on-gpu.sh --only tests,sanitizer --minutes 3
TEXT
}
refuse() { printf '%s\nSee --help.\n' "$*" >&2; exit 2; }

folder=gpu-check minutes=10 only=()
while [ $# -gt 0 ]; do
  case $1 in
    --help) usage; exit 0 ;;
    --dir | --only | --minutes)
      [ $# -ge 2 ] || refuse "Expected a value after $1 but received nothing."
      case $1 in --dir) folder=$2 ;; --minutes) minutes=$2 ;; --only) IFS=, read -ra only <<<"$2" ;; esac
      shift 2 ;;
    *) refuse "Expected --dir, --only, --minutes or --help but received $1." ;;
  esac
done
[[ $minutes =~ ^[1-9][0-9]*$ ]] || refuse "Expected a number of minutes for --minutes but received $minutes."
[ ${#only[@]} -gt 0 ] || only=("${PARTS[@]}")
for part in "${only[@]}"; do
  [[ " ${PARTS[*]} " = *" $part "* ]] || refuse "Expected parts among ${PARTS[*]} for --only but received $part."
done
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || refuse "Expected a folder that can be written for --dir."
cd "$root" || exit 2

# The product's own words for why there is none.
node scripts/doctor.mjs >"$folder/doctor.txt" 2>&1
reason=$(node --input-type=module -e '
  const { whyUnavailable } = await import(`${process.argv[1]}/dist/tensor/index.js`);
  console.log(whyUnavailable("cuda") ?? "");' "$root" 2>&1)
[ -z "$reason" ] || refuse "Expected a GPU but $reason"

failed=0
# part NAME COMMAND...: its output goes to NAME.txt, the end of it here.
part() {
  local name=$1 started=$SECONDS code
  shift
  [[ " ${only[*]} " = *" $name "* ]] || return 0
  printf '%s ... ' "$name"
  NO_COLOR=1 timeout --kill-after=20 "${minutes}m" "$@" >"$folder/$name.txt" 2>&1
  code=$?
  case $code in
    0) echo "ok ($((SECONDS - started)) s)" ;;
    124 | 137) echo "NOT FINISHED within $minutes minutes" ;;
    *) echo "FAILED with code $code ($((SECONDS - started)) s)" ;;
  esac
  [ $code = 0 ] || failed=1
  tail -n 12 "$folder/$name.txt" | sed 's/^/    /'
}

vitest=(node node_modules/vitest/vitest.mjs run test/cuda/on-gpu.test.ts)
# Our own kernels, for libtorch's would take hours. Names are mangled: types of this package, or the one without such.
sanitizer=("$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)" --error-exitcode 9
  --kernel-name kns=afa --kernel-name kns=gradientsKernel)
part tests "${vitest[@]}"
part sanitizer "${sanitizer[@]}" --tool memcheck "${vitest[@]}" -t 'CPU’s'
part races "${sanitizer[@]}" --tool racecheck "${vitest[@]}" -t 'CPU’s'
# A test's process may end well all the same.
if grep -qsE 'SUMMARY: [1-9]' "$folder/sanitizer.txt" "$folder/races.txt"; then failed=1; fi
part bench node bench/index.mjs cuda
part demo node scripts/demo.mjs --cuda --amp bf16 --work_dir "$folder/demo"
# README's are 1.000, 0.81 and 0.82; other roundings than a CPU's lead to other weights, not to other scores.
[[ " ${only[*]} " != *" demo "* ]] || node -e '
  const { auroc, camDiceBest, segDice } = JSON.parse(require("node:fs").readFileSync(`${process.argv[1]}/demo/summary.json`, "utf8"));
  const good = auroc >= 0.98 && camDiceBest.dice >= 0.75 && segDice >= 0.7;
  console.log(`    scores ${good ? "as they should be" : "BELOW what they should be"}: AUROC ${auroc}, CAM Dice ${camDiceBest.dice}, segmentation Dice ${segDice}`);
  process.exit(good ? 0 : 1);' "$folder" || failed=1
echo "Outputs: $folder"
exit $failed
