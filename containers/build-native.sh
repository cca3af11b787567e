#!/bin/bash
# Build the native kernel, native/build/Release/fields.node.
#
# Does nothing when it was built from these sources, for this Node and this machine.
set -euo pipefail

PROJECT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=containers/packages.sh
. "$PROJECT/containers/packages.sh"
# shellcheck source=containers/node-headers.sh
. "$PROJECT/containers/node-headers.sh"

cd "$PROJECT"
[ -e native/binding.gyp ] || exit 0
MISSING=()
for program in g++ make python3; do command -v "$program" > /dev/null || MISSING+=("$program"); done
[ ${#MISSING[@]} = 0 ] || die "the native kernel needs a C++17 compiler, make and Python; missing: ${MISSING[*]}"
node -e 'require.resolve("node-gyp/package.json")' 2> /dev/null || die "no node packages yet; run: npm run setup"

# Everything that the module is made of.
origin() {
  find native \( -path native/build -o -path native/fuzz \) -prune -o -type f ! -name '*.md' -print | LC_ALL=C sort | xargs sha256sum
  node -p 'require("node-addon-api/package.json").version'
  node -p '[process.version, process.versions.modules, process.platform, process.arch].join(" ")'
  g++ -dumpfullversion
  # It compresses tiles where it is there; else zlib does.
  (cd native && for library in 'zstd.h zstd' 'snappy-c.h snappy' 'libdeflate.h deflate' 'lz4.h lz4'; do
    # shellcheck disable=SC2086 # header and name
    sh has-library.sh $library
  done)
}

STAMP=native/build/Release/fields.node.origin
ORIGIN=$(origin)
if [ -e native/build/Release/fields.node ] && [ "$(cat "$STAMP" 2> /dev/null)" = "$ORIGIN" ]; then
  say "native kernel is up to date"
  exit 0
fi
say "building the native kernel"
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
if ! node_gyp rebuild --directory native --jobs max > "$LOG" 2>&1; then
  tail -n 60 "$LOG" >&2
  die "the native kernel does not compile"
fi
grep -i 'warning' "$LOG" >&2 || true
echo "$ORIGIN" > "$STAMP"
say "built native/build/Release/fields.node"
