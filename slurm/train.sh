#!/bin/bash
# Distributed training as a resumable job: slurm/train.sh train.py [its options]
#
# Before any GPU computes, slurm/preflight.py checks on every node that PROJ_DATA, PYTHONPATH, the script and the
# GPUs are as training needs them. The script finds in its environment
#   CHECKPOINT_DIR  folder on the work space, the same after a requeue; it goes on from its newest checkpoint
# and gets SIGUSR2 some minutes ahead of the time limit (NCCL keeps SIGUSR1 for itself): it saves a checkpoint and
# ends with another code than 0, and the job goes back into the queue. Exit code 0 means that training is over.
set -uo pipefail
# shellcheck source=slurm/job.sh
. "${FIELDS_CODE:-$SLURM_SUBMIT_DIR}/slurm/job.sh"

[ -n "${1:-}" ] || die "a training script is expected, and its options"
[ -n "${FIELDS_CHECKPOINTS:-}" ] || die "FIELDS_CHECKPOINTS is not set: a folder on the work space"
export CHECKPOINT_DIR=$FIELDS_CHECKPOINTS
mkdir -p "$CHECKPOINT_DIR" || die "cannot make the folder of checkpoints: $CHECKPOINT_DIR"
GPUS=${SLURM_GPUS_ON_NODE:-4}
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
PORT=$((20000 + SLURM_JOB_ID % 20000))

PYTHON=(python3)
if [ -n "${FIELDS_CONTAINER:-}" ]; then
  RUNTIME=$(command -v apptainer || command -v singularity) || die "neither apptainer nor singularity is here"
  for variable in PROJ_DATA PYTHONPATH CHECKPOINT_DIR; do
    [ -z "${!variable:-}" ] || export "APPTAINERENV_$variable=${!variable}" "SINGULARITYENV_$variable=${!variable}"
  done
  PYTHON=("$RUNTIME" exec --nv --cleanenv --bind "$CODE,$PWD,$CHECKPOINT_DIR${FIELDS_BIND:+,$FIELDS_BIND}" --pwd "$PWD"
    "$FIELDS_CONTAINER" python3)
fi
NODES=(--nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1)
NODES+=(--cpus-per-task="${SLURM_CPUS_PER_TASK:-64}" --kill-on-bad-exit=1)

say "preflight"
srun "${NODES[@]}" "${PYTHON[@]}" "$CODE/slurm/preflight.py" --gpus "$GPUS" --checkpoints "$CHECKPOINT_DIR" "$1" < /dev/null ||
  die "preflight failed: no GPU time was spent"

listen USR2
say "training on $SLURM_JOB_NUM_NODES nodes of $GPUS GPUs, checkpoints in $CHECKPOINT_DIR${SLURM_RESTART_COUNT:+ (requeued $SLURM_RESTART_COUNT times)}"
# torchrun itself would end by SIGUSR2; ignored here it stays so for it, and the script sets its own handler.
# --wait ends the others when a node's part is over: they would wait for it for hours.
# shellcheck disable=SC2016 # expanded by the inner shell
srun "${NODES[@]}" --wait=60 bash -c 'trap "" USR2; exec "$@"' torchrun \
  "${PYTHON[@]}" -m torch.distributed.run --nnodes="$SLURM_JOB_NUM_NODES" --nproc_per_node="$GPUS" \
  --rdzv_backend=c10d --rdzv_endpoint="$HEAD:$PORT" --rdzv_id="$SLURM_JOB_ID" "$@" < /dev/null &
wait_for $!
end_timer
say "exit code $EXIT"
[ "$STOP" != notice ] || [ "$EXIT" = 0 ] || ! requeue || exit 0
exit "$EXIT"
