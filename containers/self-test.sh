#!/bin/bash
# Is this installation whole? The doctor has nothing to fail, and a sample year comes out valid.
set -euo pipefail

PROJECT=$(cd "$(dirname "$0")/.." && pwd)
ROOT=$(mktemp -d)
trap 'rm -rf "$ROOT"' EXIT
run() { node "$PROJECT/dist/$1.js" "${@:2}" --root "$ROOT" --quiet; }

run sample --fields 500 --years 2020 > /dev/null
# 3 is fit with remarks: a build machine has no way to the rasters, as a rule.
run doctor --cdl-source "$ROOT/cdl-source" || [ $? = 3 ]
run year 2020 --cdl-source "$ROOT/cdl-source"
node "$PROJECT/dist/archive.js" verify "$ROOT/outputs/tiles/fields_us_2020_full.pmtiles" --quiet
echo "self-test: passed"
