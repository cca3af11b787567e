#!/bin/bash
# Python with PyTorch on one node of a training job, in the container where there is one: slurm/torch.sh ARGUMENT...
#
# Into the container go NCCL_*, GLOO_*, TORCH_*, PYTORCH_*, CUDA_*, OMP_*, WANDB_*, MLFLOW_*, SLURM_*, FIELDS_*, the web
# proxy, PROJ_DATA, PYTHONPATH, CHECKPOINT_DIR, and what FIELDS_ENV names (comma-separated, NAME or PREFIX*). Set by
# this script where they are not set already:
#   OMP_NUM_THREADS     cores that one GPU has
#   NCCL_SOCKET_IFNAME  the node's InfiniBand interface, where one is up; GLOO_SOCKET_IFNAME likewise
set -uo pipefail
# shellcheck source=slurm/container-env.sh
. "$FIELDS_CODE/slurm/container-env.sh"

# The first InfiniBand interface that is up. Names and their order differ from node to node.
infiniband() {
  local net
  for net in "${FIELDS_SYSFS:-/sys}"/class/net/*; do
    # 32 is ARPHRD_INFINIBAND.
    if [ "$(cat "$net/type" "$net/operstate" 2> /dev/null)" = $'32\nup' ]; then
      echo "${net##*/}"
      return
    fi
  done
}

threads=$((${SLURM_CPUS_PER_TASK:-$(nproc)} / ${GPUS:-1}))
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((threads > 0 ? threads : 1))}
interface=$(infiniband)
if [ -n "$interface" ]; then
  # NCCL takes a name as a prefix unless = stands before it.
  export NCCL_SOCKET_IFNAME=${NCCL_SOCKET_IFNAME:-=$interface} GLOO_SOCKET_IFNAME=${GLOO_SOCKET_IFNAME:-$interface}
fi

[ -n "${FIELDS_CONTAINER:-}" ] || exec python3 "$@"

RUNTIME=$(container_runtime) || {
  echo "torch.sh: neither apptainer nor singularity is here to run $FIELDS_CONTAINER" >&2
  exit 8
}
pass_env '^(NCCL_|GLOO_|TORCH_|PYTORCH_|CUDA_|OMP_|WANDB_|MLFLOW_|SLURM_|SLURMD_|FIELDS_|https?_proxy$|no_proxy$|HTTPS?_PROXY$|NO_PROXY$|PROJ_DATA$|PYTHONPATH$|CHECKPOINT_DIR$)' || exit 2
exec "$RUNTIME" exec --nv --cleanenv --bind "$FIELDS_CODE,$PWD,$CHECKPOINT_DIR${FIELDS_BIND:+,$FIELDS_BIND}" --pwd "$PWD" \
  "$FIELDS_CONTAINER" python3 "$@"
