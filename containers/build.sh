#!/bin/bash
# Build the cluster's container from the commit that is checked out.
#
#   containers/build.sh [OUT.sif] [--build-arg NAME=VALUE ...]     (default: fields.sif)
#
# Needs apptainer (or singularity); as a normal user it builds by --fakeroot. A base of one's
# own, offline: --build-arg BOOTSTRAP=localimage --build-arg BASE=/path/to/base.sif
set -euo pipefail

PROJECT=$(cd "$(dirname "$0")/.." && pwd)
STEP=build
# shellcheck source=containers/packages.sh
. "$PROJECT/containers/packages.sh"

OUT=fields.sif
case "${1:-}" in
  -h | --help)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *.sif) OUT=$1 && shift ;;
esac
RUNTIME=$(command -v apptainer || command -v singularity) || die "no apptainer and no singularity here; Dockerfile is for Docker"
[ -z "$(git -C "$PROJECT" status --porcelain)" ] || warn "changes that are not committed do not get into the image"
SOURCE=$(mktemp -d)
trap 'rm -rf "$SOURCE" "$OUT.partial"' EXIT
git -C "$PROJECT" archive HEAD | tar -x -C "$SOURCE"
say "building $OUT of commit $(git -C "$PROJECT" rev-parse --short HEAD)"
FAKEROOT=()
[ "$(id -u)" = 0 ] || FAKEROOT=(--fakeroot)
# Its own test runs in it before the name is given.
"$RUNTIME" build "${FAKEROOT[@]}" --force --build-arg "SOURCE=$SOURCE" "$@" "$OUT.partial" "$PROJECT/containers/fields.def"
mv "$OUT.partial" "$OUT"
say "built $OUT"
