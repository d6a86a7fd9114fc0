#!/usr/bin/env bash
# Packs all that a machine without internet needs, except PyTorch, a compiler and CMake, which it has.
set -euo pipefail

MAX_MB=60
root=$(cd "$(dirname "$0")/.." && pwd)

usage() {
  cat <<TEXT
Usage: scripts/bundle-offline.sh [--out FILE] [--node FILE] [--level N]

Packs the checkout's tracked files, dist/, the Node packages that running and testing need, Node-API's headers and a
Node runtime into one archive under ${MAX_MB} MB. On the target, unpack it and run bundle/setup.sh: it builds the addon
against that machine's PyTorch and runs the tests, without a network. The target must be of this platform.

Options:
  --out FILE    the archive (default: medical-afa-VERSION-PLATFORM.tar.xz here)
  --node FILE   Node runtime to pack (default: the one on PATH)
  --level N     of xz, 0 to 9 (default: 6); 1 packs five times faster and 10 % larger
  --list        only print what would be packed, with sizes in bytes
  --help        this text

Examples:
  scripts/bundle-offline.sh
  scripts/bundle-offline.sh --out /tmp/medical-afa.tar.xz
  # on the target:  tar -xf medical-afa-*.tar.xz && medical-afa/bundle/setup.sh
TEXT
}
fail() { printf '%s\n' "$*" >&2; exit 1; }
refuse() { printf '%s\nSee --help.\n' "$*" >&2; exit 2; }

out='' runtime='' level=6 list=''
while [ $# -gt 0 ]; do
  case $1 in
    --help) usage; exit 0 ;;
    --list) list=1; shift ;;
    --out | --node | --level)
      [ $# -ge 2 ] || refuse "Expected a value after $1 but received nothing."
      case $1 in --out) out=$2 ;; --node) runtime=$2 ;; --level) level=$2 ;; esac
      shift 2 ;;
    *) refuse "Expected --out, --node, --level, --list or --help but received $1." ;;
  esac
done
[[ $level =~ ^[0-9]$ ]] || refuse "Expected 0 to 9 for --level but received $level."
for tool in git node tar xz; do
  command -v "$tool" >/dev/null || fail "Expected $tool on PATH, which packing needs, but found none."
done
[ -z "$runtime" ] || [ -x "$runtime" ] || refuse "Expected an executable file for --node but received $runtime."
runtime=$(readlink -f "${runtime:-$(node -p process.execPath)}")
platform=$(node -p '`${process.platform}-${process.arch}`')
version=$(node -p "require('$root/package.json').version")
out=${out:-medical-afa-$version-$platform.tar.xz}
[ -d "$(dirname "$out")" ] || refuse "Expected an existing folder for --out but received $out."
[ ! -d "$out" ] || refuse "Expected a file for --out but $out is a folder."
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
git -C "$root" rev-parse --git-dir >/dev/null 2>&1 || fail "Expected a git checkout in $root, whose tracked files are packed."
[ -e "$root/node_modules/.package-lock.json" ] || fail "Expected node_modules. Run: npm run setup"

# Distributions split Node into a small program and libnode.so, of which the target has none.
if ldd "$runtime" | grep -q libnode; then
  fail "Expected a Node that stands alone, but $runtime needs libnode.so. Give one from https://nodejs.org with --node."
fi
# Unpacked from nodejs.org, or as Debian's packages keep it.
licence=''
for file in "$(dirname "$runtime")/../LICENSE" /usr/share/doc/nodejs/LICENSE /usr/share/doc/nodejs/copyright; do
  [ -n "$licence" ] || [ ! -f "$file" ] || licence=$file
done
[ -n "$licence" ] || fail "Expected Node's licence beside $runtime, as it must go along. Give a Node from https://nodejs.org with --node."

work=$(mktemp -d "${TMPDIR:-/tmp}/afa-bundle-XXXXXX")
trap 'rm -rf "$work" "$out.part"' EXIT
trap 'echo "Interrupted." >&2; exit 130' INT TERM
stage=$work/medical-afa
mkdir -p "$stage/bundle/node/bin"
cd "$root"

# Copies the paths on standard input, NUL between them.
copy() { tar "$@" --null --files-from=- -cf - | tar -xf - -C "$stage"; }
node --input-type=module -e '
  import { buildTypescript } from "./scripts/lib/build-typescript.mjs";
  import { step } from "./scripts/lib/report.mjs";
  import { runMain } from "./scripts/lib/run.mjs";
  await runMain(async () => (await step("TypeScript", (report) => buildTypescript(process.cwd(), report)), 0));'
git ls-files -z --deduplicate | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done | copy
printf 'dist\0' | copy --exclude='*.map' --exclude=.tsbuildinfo
node scripts/lib/bundle-packages.mjs list | tr '\n' '\0' | copy --exclude='*.map'
node scripts/lib/bundle-packages.mjs lock "$stage"
cp "$runtime" "$stage/bundle/node/bin/node"
cp "$licence" "$stage/bundle/node/LICENSE"
strip --strip-unneeded "$stage/bundle/node/bin/node" 2>/dev/null || true # a sixth smaller; without strip it stays
"$stage/bundle/node/bin/node" -e 0 || fail "Expected the packed Node to run, but it does not."
cat >"$stage/bundle/bundle.json" <<JSON
{
  "version": "$version",
  "commit": "$(git describe --always --dirty --abbrev=12)",
  "platform": "$platform",
  "node": "$("$runtime" -p process.versions.node)"
}
JSON
if [ -n "$list" ]; then
  (cd "$work" && find medical-afa -type f -printf '%s %p\n' | sort -k 2)
  exit 0
fi

# Same files, same archive: names in order, nobody's user, the commit's time.
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -cf - medical-afa |
  xz --threads=0 "-$level" >"$out.part"
size=$(stat -c %s "$out.part")
if [ "$size" -gt $((MAX_MB * 1000000)) ]; then
  (cd "$stage" && du -sm -- * .[!.]* node_modules/* | sort -n | tail -n 12) >&2
  fail "Expected an archive under $MAX_MB MB but it has $((size / 1000000)) MB. The largest parts (MB, unpacked) are above."
fi
mv "$out.part" "$out"
printf '%s: %d.%d MB\nOn the target:  tar -xf %s && medical-afa/bundle/setup.sh\n' \
  "$out" $((size / 1000000)) $((size % 1000000 / 100000)) "$(basename "$out")"
