#!/bin/bash
# Watches over the node of a job's own script, from another node of the job.
#
# With --no-kill Slurm lets a job go on when one of its nodes fails, also when it is the one whose script hands out
# the work. The steps on the other nodes then end one by one, and the job stays, idle and billed, until its time is
# up. Seen from here: the host of the script is no longer among the job's nodes. The steps that still run are let
# come to their end, then the job goes back into the queue.
set -uo pipefail

while sleep "${FIELDS_SENTINEL_S:-60}"; do
  HOST='' NODES=''
  read -r HOST NODES < <(squeue --noheader --jobs="$SLURM_JOB_ID" --format='%B %N')
  # No answer is no news.
  [ -n "$NODES" ] || continue
  LIVE=$(scontrol show hostnames "$NODES")
  ! grep -qxF "$HOST" <<< "$LIVE" || continue
  # Steps of a node that failed stay listed.
  OTHERS=$(squeue --noheader --steps --jobs="$SLURM_JOB_ID" --format='%N %i' | grep -vE "\.(batch|extern|$SLURM_STEP_ID)$" |
    cut -d ' ' -f 1 | grep -cxF "$LIVE")
  [ "$OTHERS" = 0 ] || continue
  scontrol requeue "$SLURM_JOB_ID" && exit 0
done
