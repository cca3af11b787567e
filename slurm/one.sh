#!/bin/bash
# One resumable command as a job: slurm/one.sh prepare --fields ... Slurm's notice ahead of the time limit is
# handed on; a command that was paused by it, or ended when its grace was over, goes back into the queue.
set -uo pipefail
# shellcheck source=slurm/job.sh
. "${FIELDS_CODE:-$SLURM_SUBMIT_DIR}/slurm/job.sh"

listen USR1
srun --exclusive --nodes=1 --ntasks=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" bash "$RUN" "$@" < /dev/null &
wait_for $!
end_timer
say "exit code $EXIT"
[ "$STOP" != notice ] || ! [[ $EXIT =~ ^(11|143)$ ]] || ! requeue || exit 0
exit "$EXIT"
