#!/bin/bash
# Fetch results from a cluster. Lists what would be fetched; --go fetches it. Nothing is ever deleted.
#
#   slurm/pull.sh zonal HOST:FOLDER ROOT     the zonal tables, for history and legend
#   slurm/pull.sh tiles HOST:FOLDER ROOT     the archives and the manifest
#   slurm/pull.sh state HOST:FOLDER ROOT     records and logs
#   slurm/pull.sh all HOST:FOLDER ROOT
#
#   --go    do it
#   --scp   by scp instead of rsync
set -euo pipefail
CODE=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=slurm/transfer.sh
. "$CODE/slurm/transfer.sh"

[ ${#PLACES[@]} = 3 ] || die "what, from where and to where; see --help"
FROM=${PLACES[1]%/}
TO=${PLACES[2]%/}
case ${PLACES[0]} in
  zonal) FOLDERS=(outputs/zonal) ;;
  tiles) FOLDERS=(outputs/tiles outputs/web) ;;
  state) FOLDERS=(outputs/state logs) ;;
  all) FOLDERS=(outputs/zonal outputs/tiles outputs/web outputs/state logs) ;;
  *) die "zonal, tiles, state or all is expected; see --help" ;;
esac
for folder in "${FOLDERS[@]}"; do
  copy "$FROM/$folder/" "$TO/$folder/"
done
