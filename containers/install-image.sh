#!/bin/bash
# Inside an image that is being built: install and build the project that lies beside this
# script, hold GDAL and tippecanoe to the pinned versions, and remove what only building needs.
set -euo pipefail

PROJECT=$(cd "$(dirname "$0")/.." && pwd)
STEP=image
# shellcheck source=containers/packages.sh
. "$PROJECT/containers/packages.sh"
cd "$PROJECT"

# has_pinned NAME FOUND PINNED
has_pinned() { [[ $2 == "$3"* ]] || die "$1 $2 is not the pinned $3; pin another version, or take another base"; }

# The distribution's GDAL, whose version can be pinned and whose PROJ_DATA is known.
export FIELDS_PIPELINE_CACHE=/tmp/image-cache GDAL_PREBUILT=no
install_packages ca-certificates python3 make g++ util-linux
bash containers/setup.sh
# For --tiler tippecanoe.
bash containers/install-tippecanoe.sh
[ -z "${GDAL_PINNED:-}" ] || has_pinned GDAL "$(node -p 'require("gdal-async").version')" "$GDAL_PINNED"
[ -z "${TIPPECANOE_PINNED:-}" ] ||
  has_pinned tippecanoe "$(tippecanoe --version 2>&1 | sed -n 's/.*v//p;q')" "$TIPPECANOE_PINNED"
npm prune --omit=dev --no-audit --no-fund > /dev/null
rm -rf "$FIELDS_PIPELINE_CACHE" "$HOME/.npm" "$HOME/.cache" native/build/Release/obj*
apt-get clean
rm -rf /var/lib/apt/lists/*
# Whoever runs it is another user.
chmod -R a+rX "$PROJECT"
