#!/bin/bash
# Run one of the project's commands; where there is a container, the image's own build of it:
#
#   slurm/run.sh year 2020 --root /cluster/work/...
#
# FIELDS_CODE       this project's folder (default: the one this script lies in)
# FIELDS_CONTAINER  image to run in, made by containers/build.sh (default: none, the node's own programs)
# FIELDS_BIND       folders that the container sees in addition to this project's and the working one, comma-separated
# FIELDS_ENV        variables that go into the container in addition to those that the pipeline needs, comma-separated
set -euo pipefail

CODE=${FIELDS_CODE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
NAME=${1:?name of a command, as year}
shift

# Slurm may send SIGUSR1 before node listens to it; ignored, it does no harm until then.
trap '' USR1

[ -n "${FIELDS_CONTAINER:-}" ] || exec node "$CODE/dist/$NAME.js" "$@"

# shellcheck source=slurm/container-env.sh
. "$CODE/slurm/container-env.sh"
RUNTIME=$(container_runtime) || {
  echo "run.sh: neither apptainer nor singularity is here to run $FIELDS_CONTAINER" >&2
  exit 8
}
# --cleanenv keeps the host's modules (PROJ_DATA, PYTHONPATH, GDAL_DATA) out; what the job needs is named.
pass_env '^(SLURM_|SLURMD_|FIELDS_|AWS_|TMPDIR$|UV_THREADPOOL_SIZE$|NODE_|https?_proxy$|no_proxy$|HTTPS?_PROXY$|NO_PROXY$)'
exec "$RUNTIME" exec --cleanenv --bind "$CODE,$PWD,/dev/shm${FIELDS_BIND:+,$FIELDS_BIND}" --pwd "$PWD" \
  "$FIELDS_CONTAINER" node "/opt/fields-pipeline/dist/$NAME.js" "$@"
