#!/bin/bash
# Give node_modules/gdal-async its native module, the quickest way that works:
# the one that is there, one built before (cache), the project's prebuilt one, and last
# one built here against the system's libgdal (a few minutes; the bundled GDAL would take an hour).
# GDAL_PREBUILT=no leaves the prebuilt one out.
set -euo pipefail

PROJECT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=containers/packages.sh
. "$PROJECT/containers/packages.sh"
# shellcheck source=containers/node-headers.sh
. "$PROJECT/containers/node-headers.sh"

cd "$PROJECT"
PACKAGE=$(node -p 'path.dirname(require.resolve("gdal-async/package.json"))')
PRE_GYP=$(cd "$PACKAGE" && node -p 'require.resolve("@mapbox/node-pre-gyp/bin/node-pre-gyp")')
# Name of the module's folder, as the package's own module_path has it.
PLATFORM=$(node -p '["node-v" + process.versions.modules, process.platform, process.arch].join("-")')
MODULE=$PACKAGE/lib/binding/$PLATFORM/gdal.node
PREBUILT_LIMIT_S=120

# It loads, has the formats of the Cropland Data Layer, and finds PROJ's database.
works() {
  node -e '
    const gdal = require("gdal-async");
    gdal.drivers.get("GTiff"); gdal.drivers.get("HFA");
    if (!gdal.SpatialReference.fromEPSG(5070).isProjected()) throw new Error("PROJ does not know EPSG:5070");
  ' > "$LOG" 2>&1
}

version() { node -p '"gdal-async " + require("gdal-async/package.json").version + " with GDAL " + require("gdal-async").version'; }

# Where a module linked to the system's libgdal is kept; nothing when there is no libgdal to link to.
cached_module() {
  local libgdal
  libgdal=$(gdal-config --version 2> /dev/null) || return 1
  echo "$CACHE/gdal-async-$(node -p 'require("gdal-async/package.json").version')-$PLATFORM-libgdal-$libgdal.node"
}

from_cache() {
  local cached
  cached=$(cached_module) && [ -e "$cached" ] || return 1
  mkdir -p "$(dirname "$MODULE")"
  cp "$cached" "$MODULE"
  works
}

prebuilt() {
  # node-pre-gyp has no time limit of its own; a firewall that swallows packets would hold it for long.
  (cd "$PACKAGE" && timeout "$PREBUILT_LIMIT_S" node "$PRE_GYP" install) > "$LOG" 2>&1 < /dev/null && works
}

build() {
  local headers
  headers=$(node_headers)
  # npm sets npm_config_node_gyp to its own node-gyp, which may be too old for this Python.
  (cd "$PACKAGE" && npm_config_node_gyp=$PROJECT/node_modules/node-gyp/bin/node-gyp.js \
    node "$PRE_GYP" install --build-from-source --shared_gdal=true ${headers:+"--nodedir=$headers"} -j "$(nproc)") \
    > "$LOG" 2>&1 < /dev/null
}

LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
if works; then
  say "$(version) is there"
  exit 0
fi
if from_cache; then
  say "$(version), built here before"
  exit 0
fi
rm -rf "$(dirname "$MODULE")"
if [ "${GDAL_PREBUILT:-yes}" = yes ]; then
  say "fetching gdal-async's prebuilt module"
  if prebuilt; then
    say "$(version), prebuilt"
    exit 0
  fi
  say "not to be had here; using the system's libgdal instead"
fi
rm -rf "$(dirname "$MODULE")"
install_packages libgdal-dev || die "apt cannot install libgdal-dev, which gdal-async links to"
if from_cache; then
  say "$(version), built here before"
  exit 0
fi
say "building gdal-async against libgdal $(gdal-config --version) (a few minutes)"
if ! build; then
  tail -n 60 "$LOG" >&2
  die "gdal-async does not compile against libgdal $(gdal-config --version)"
fi
rm -rf "$PACKAGE/build"
works || die "gdal-async was built but does not load: $(tail -n 5 "$LOG")"
CACHED=$(cached_module)
mkdir -p "$CACHE"
cp "$MODULE" "$CACHED.partial" && mv "$CACHED.partial" "$CACHED"
say "$(version), built"
