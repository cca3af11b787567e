#!/bin/bash
# Years on the nodes of a job, one a node at a time, the next one as a node gets free:
#
#   slurm/years.sh 2008-2024 [options of node dist/year.js]
#
# A year is done when its outputs are verified (node dist/cluster.js check), whatever srun's exit code says:
# srun may exit 0 when its node dies. One that is not done is taken up once more (FIELDS_ATTEMPTS times in all, a
# dead node not counted), unless its error is of the kind that no repetition mends. No year ends another one.
#
# Exit codes: 0 all years are valid, 3 some are not, 143 the job was told to end.
set -uo pipefail
# shellcheck source=slurm/job.sh
. "${FIELDS_CODE:-$SLURM_SUBMIT_DIR}/slurm/job.sh"

LIST=${1:?years, as 2008-2024}
shift
OPTIONS=("$@")
YEARS=$(years "$LIST") || exit 2
mapfile -t QUEUE <<< "$YEARS"
LOGS=${FIELDS_LOGS:-logs}
mkdir -p "$LOGS" || die "cannot make the folder of logs: $LOGS"
mapfile -t FREE < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
NODES=${#FREE[@]}
CPUS=${SLURM_CPUS_PER_TASK:-128}
ATTEMPTS=${FIELDS_ATTEMPTS:-2}
LOST=0
declare -A NODE_OF=() TRIED=()

# Slurm loses count of a job's free CPUs when a node has left it, and would never start another exclusive step;
# the nodes are told apart by name all the same.
share() {
  local now
  now=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%D)
  if [ "$LOST" -gt 0 ] || [ "${now:-$NODES}" -lt "$NODES" ]; then echo --overlap; else echo --exclusive; fi
}

start() {
  local year=$1 node=${FREE[0]}
  FREE=("${FREE[@]:1}")
  TRIED[$year]=$((${TRIED[$year]:-0} + 1))
  say "year $year begins on $node, attempt ${TRIED[$year]}"
  srun "$(share)" --nodes=1 --ntasks=1 --cpus-per-task="$CPUS" --nodelist="$node" --job-name="year_$year" \
    bash "$RUN" year "$year" "${OPTIONS[@]}" < /dev/null >> "$LOGS/year_$year.out" 2>&1 &
  STEPS[$!]=$year
  NODE_OF[$!]=$node
}

# One step more, on another node: see slurm/sentinel.sh.
watch_over_this_node() {
  [ "$NODES" -gt 1 ] || return 0
  [ -z "${SENTINEL:-}" ] || ! kill -0 "$SENTINEL" 2> /dev/null || return 0
  srun --overlap --nodes=1 --ntasks=1 --cpus-per-task=1 --exclude="$SLURMD_NODENAME" --job-name=sentinel \
    bash "$CODE/slurm/sentinel.sh" < /dev/null > /dev/null 2>&1 &
  SENTINEL=$!
}

is_done() { bash "$RUN" cluster check "$1" --quiet "${OPTIONS[@]}" > /dev/null 2>> "$LOGS/year_$1.out"; }

answers() {
  timeout 60 srun --overlap --nodes=1 --ntasks=1 --cpus-per-task=1 --nodelist="$1" true < /dev/null > /dev/null 2>&1
}

ended() {
  local year=$1 node=$2 code=$3
  if is_done "$year"; then
    say "year $year is done"
  elif [ -n "$STOP" ]; then
    say "year $year is not done yet (exit code $code)"
  elif [[ $code =~ ^(2|4|5)$ ]]; then
    say "year $year FAILED, and would again (exit code $code): see $LOGS/year_$year.out"
  elif ! answers "$node"; then
    say "year $year is not done, and $node does not answer: taken up again on another node"
    LOST=$((LOST + 1))
    # It may have been there; another one is started.
    kill "${SENTINEL:-}" 2> /dev/null
    SENTINEL=
    TRIED[$year]=$((${TRIED[$year]} - 1))
    QUEUE=("$year" "${QUEUE[@]}")
    return
  elif [ "${TRIED[$year]}" -lt "$ATTEMPTS" ]; then
    say "year $year is not done (exit code $code): taken up again"
    QUEUE+=("$year")
  else
    say "year $year FAILED ${TRIED[$year]} times (exit code $code): see $LOGS/year_$year.out"
  fi
  FREE+=("$node")
}

listen USR1
# What an earlier run of this job, or another one, has done needs no node. Any other code than 0 and 3: not known.
STATE=$(bash "$RUN" cluster check "$LIST" "${OPTIONS[@]}" 2> /dev/null)
[[ ! $? =~ ^(0|3)$ ]] || mapfile -t QUEUE < <(sed -n 's/^\([0-9]\{4\}\) *NOT DONE.*/\1/p' <<< "$STATE")
say "job ${SLURM_JOB_ID:-} on $SLURM_JOB_NODELIST: ${QUEUE[*]:-all years are done}${SLURM_RESTART_COUNT:+ (requeued $SLURM_RESTART_COUNT times)}"
while :; do
  while [ -z "$STOP" ] && [ ${#QUEUE[@]} -gt 0 ] && [ ${#FREE[@]} -gt 0 ]; do
    start "${QUEUE[0]}"
    QUEUE=("${QUEUE[@]:1}")
  done
  [ ${#STEPS[@]} -gt 0 ] || break
  watch_over_this_node
  # Ends with any year, and with a trap. (-p would tell which year, but needs bash 5.1.)
  wait -n
  for pid in "${!STEPS[@]}"; do
    kill -0 "$pid" 2> /dev/null && continue
    wait "$pid"
    code=$?
    year=${STEPS[$pid]}
    unset "STEPS[$pid]"
    ended "$year" "${NODE_OF[$pid]}" "$code"
  done
done
end_timer
[ -z "${SENTINEL:-}" ] || kill "$SENTINEL" 2> /dev/null

[ "$STOP" != term ] || {
  say "ended before all years were done; the same command goes on from here"
  exit 143
}
say "summary"
bash "$RUN" cluster check "$LIST" "${OPTIONS[@]}"
ALL=$?
# Out of time, or out of nodes.
if [ "$ALL" != 0 ] && { [ "$STOP" = notice ] || [ ${#QUEUE[@]} -gt 0 ]; }; then requeue && exit 0; fi
exit "$ALL"
