#!/bin/bash
# Send fields, code and container to a cluster. Lists what would be sent; --go sends it. Nothing is ever deleted.
#
#   slurm/push.sh data WORK_FOLDER HOST:FOLDER        data/*.parquet of a root, and rasters that are there
#   slurm/push.sh code HOST:FOLDER                    this project, without what is built or installed there
#   slurm/push.sh container IMAGE HOST:FOLDER         an image
#
#   --go    do it
#   --scp   by scp: rsync first writes a second, hidden file, for which the small quota of a project space has no room
set -euo pipefail
CODE=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=slurm/transfer.sh
. "$CODE/slurm/transfer.sh"

case "${PLACES[0]:-} ${#PLACES[@]}" in
  "data 3")
    FROM=${PLACES[1]%/}
    [ -d "$FROM/data" ] || die "no data folder in $FROM"
    shopt -s nullglob
    TABLES=("$FROM"/data/*.parquet)
    [ ${#TABLES[@]} -gt 0 ] || die "no parquet in $FROM/data"
    copy "${TABLES[@]}" "${PLACES[2]%/}/data/"
    RASTERS=("$FROM"/data/cdl/*.zip "$FROM"/data/cdl/*.tif)
    [ ${#RASTERS[@]} = 0 ] || copy "${RASTERS[@]}" "${PLACES[2]%/}/data/cdl/"
    ;;
  "code 2")
    # What is built or installed is made there anew (npm run setup), or lies in the image.
    COPY=$(mktemp -d)
    trap 'rm -rf "$COPY"' EXIT
    tar -C "$CODE" -c --exclude-vcs --exclude={./node_modules,./dist,./dist-bench,./dist-test,./native/build,./work} . |
      tar -C "$COPY" -x
    copy "$COPY/" "${PLACES[1]%/}/"
    ;;
  "container 3")
    [ -e "${PLACES[1]}" ] || die "no image at ${PLACES[1]}"
    copy "${PLACES[1]}" "${PLACES[2]%/}/"
    ;;
  *) die "data, code or container is expected; see --help" ;;
esac
