#!/bin/bash
# Distributed training as a resumable job: slurm/train.sh [--max-restarts N] train.py [its options]
#
# Before any GPU computes, slurm/preflight.py checks on every node that PROJ_DATA, PYTHONPATH, the script and the
# GPUs are as training needs them; then all ranks add up a small tensor, within FIELDS_PREFLIGHT_S seconds (180).
# The script finds in its environment
#   CHECKPOINT_DIR  folder on the work space, the same after a requeue; it goes on from its newest checkpoint
# and gets SIGUSR2 some minutes ahead of the time limit (NCCL keeps SIGUSR1 for itself): it saves a checkpoint and
# ends with another code than 0, and the job goes back into the queue. Exit code 0 means that training is over.
# --max-restarts is torchrun's: how often it starts all ranks again after one has failed (0). slurm/torch.sh says what
# reaches PyTorch in a container.
set -uo pipefail
# shellcheck source=slurm/job.sh
. "${FIELDS_CODE:-$SLURM_SUBMIT_DIR}/slurm/job.sh"

MAX_RESTARTS=0
if [[ ${1:-} =~ ^--max-restarts(=(.*))?$ ]]; then
  if [ -n "${BASH_REMATCH[1]}" ]; then MAX_RESTARTS=${BASH_REMATCH[2]}; else
    MAX_RESTARTS=${2:-}
    shift
  fi
  shift
  [[ $MAX_RESTARTS =~ ^[0-9]+$ ]] || die "--max-restarts: a whole number is expected, not '$MAX_RESTARTS'"
fi
[ -n "${1:-}" ] || die "a training script is expected, and its options"
[ -n "${FIELDS_CHECKPOINTS:-}" ] || die "FIELDS_CHECKPOINTS is not set: a folder on the work space"
export CHECKPOINT_DIR=$FIELDS_CHECKPOINTS
mkdir -p "$CHECKPOINT_DIR" || die "cannot make the folder of checkpoints: $CHECKPOINT_DIR"
GPUS=${SLURM_GPUS_ON_NODE:-4}
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
PORT=$((20000 + SLURM_JOB_ID % 20000))

[ -z "${FIELDS_CONTAINER:-}" ] || command -v apptainer > /dev/null || command -v singularity > /dev/null ||
  die "neither apptainer nor singularity is here"
PYTHON=(bash "$CODE/slurm/torch.sh")
export FIELDS_CODE=$CODE GPUS
PREFLIGHT_S=${FIELDS_PREFLIGHT_S:-180}
NODES=(--nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1)
NODES+=(--cpus-per-task="${SLURM_CPUS_PER_TASK:-64}" --kill-on-bad-exit=1)

say "preflight"
srun "${NODES[@]}" "${PYTHON[@]}" "$CODE/slurm/preflight.py" --gpus "$GPUS" --checkpoints "$CHECKPOINT_DIR" "$1" < /dev/null ||
  die "preflight failed: no GPU time was spent"

# torchrun [OPTION...] -- SCRIPT [ITS OPTIONS]: its command line for a node.
torchrun() {
  TORCHRUN=("${PYTHON[@]}" -m torch.distributed.run --nnodes="$SLURM_JOB_NUM_NODES" --nproc_per_node="$GPUS"
    --rdzv_backend=c10d --rdzv_endpoint="$HEAD:$PORT" --rdzv_id="$SLURM_JOB_ID" "$@")
}

# A node that cannot reach the others, or one broken GPU, holds all ranks up for hours otherwise.
say "all-reduce over $((SLURM_JOB_NUM_NODES * GPUS)) ranks, $PREFLIGHT_S s at most"
torchrun "$CODE/slurm/preflight.py" --all-reduce "$PREFLIGHT_S"
srun "${NODES[@]}" --wait=10 timeout --kill-after=10 "$PREFLIGHT_S" "${TORCHRUN[@]}" < /dev/null ||
  die "the ranks cannot add up a tensor within $PREFLIGHT_S s: training would hang. Look at NCCL_DEBUG=INFO, NCCL_SOCKET_IFNAME and NCCL_IB_HCA; FIELDS_PREFLIGHT_S sets the limit"

listen USR2
say "training on $SLURM_JOB_NUM_NODES nodes of $GPUS GPUs, checkpoints in $CHECKPOINT_DIR${SLURM_RESTART_COUNT:+ (requeued $SLURM_RESTART_COUNT times)}"
# torchrun itself would end by SIGUSR2; ignored here it stays so for it, and the script sets its own handler.
# --wait ends the others when a node's part is over: they would wait for it for hours.
torchrun --max_restarts="$MAX_RESTARTS" "$@"
# shellcheck disable=SC2016 # expanded by the inner shell
srun "${NODES[@]}" --wait=60 bash -c 'trap "" USR2; exec "$@"' torchrun "${TORCHRUN[@]}" < /dev/null &
wait_for $!
end_timer
say "exit code $EXIT"
[ "$STOP" != notice ] || [ "$EXIT" = 0 ] || ! requeue || exit 0
exit "$EXIT"
