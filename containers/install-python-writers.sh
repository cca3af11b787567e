#!/bin/bash
# Install pyarrow, GeoPandas and polars, whose parquet files the tests read, into a Python environment of their own:
#   ${FIELDS_PIPELINE_CACHE:-~/.cache/fields-pipeline}/python-writers
# Does nothing when they are there.
set -euo pipefail

CACHE=${FIELDS_PIPELINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fields-pipeline}
WRITERS=$CACHE/python-writers

works() { "$1/bin/python" -c 'import geopandas, polars, pyarrow.parquet, pyproj, shapely' 2> /dev/null; }

if works "$WRITERS"; then
  echo "python-writers: already installed in $WRITERS"
  exit 0
fi
mkdir -p "$CACHE"
SCRATCH=$(mktemp -d "$CACHE/python-writers.XXXXXX")
trap 'rm -rf "$SCRATCH"' EXIT
python3 -m venv "$SCRATCH"
"$SCRATCH/bin/pip" install --quiet --retries 1 --timeout 20 pyarrow geopandas polars
works "$SCRATCH"
rm -rf "$WRITERS"
mv "$SCRATCH" "$WRITERS"
echo "python-writers: installed in $WRITERS"
