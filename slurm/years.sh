#!/bin/bash
# Years on the nodes of a job, one a node at a time, the next one as a node gets free:
#
#   slurm/years.sh 2008-2024 [options of node dist/year.js]
#
# A year is done when its outputs are verified (node dist/cluster.js check), whatever srun's exit code says:
# srun may exit 0 when its node dies. One that is not done is taken up once more (FIELDS_ATTEMPTS times in all),
# unless its error is of the kind that no repetition mends. No year ends another one.
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
NODES=${SLURM_JOB_NUM_NODES:-1}
CPUS=${SLURM_CPUS_PER_TASK:-128}
ATTEMPTS=${FIELDS_ATTEMPTS:-2}

declare -A YEAR_OF=() TRIED=()

start() {
  local year=$1
  TRIED[$year]=$((${TRIED[$year]:-0} + 1))
  say "year $year begins, attempt ${TRIED[$year]}"
  # --exclusive waits for CPUs that no other step has; all of a node's, so a year has its node to itself.
  srun --exclusive --nodes=1 --ntasks=1 --cpus-per-task="$CPUS" --job-name="year_$year" \
    bash "$RUN" year "$year" "${OPTIONS[@]}" < /dev/null >> "$LOGS/year_$year.out" 2>&1 &
  YEAR_OF[$!]=$year
}

is_done() { bash "$RUN" cluster check "$1" --quiet "${OPTIONS[@]}" > /dev/null 2>> "$LOGS/year_$1.out"; }

ended() {
  local year=$1 code=$2
  if is_done "$year"; then
    say "year $year is done"
  elif [ -n "$STOP" ]; then
    say "year $year is not done yet (exit code $code)"
  elif [[ $code =~ ^(2|4|5)$ ]]; then
    say "year $year FAILED, and would again (exit code $code): see $LOGS/year_$year.out"
  elif [ "${TRIED[$year]}" -lt "$ATTEMPTS" ]; then
    say "year $year is not done (exit code $code): taken up again"
    QUEUE+=("$year")
  else
    say "year $year FAILED ${TRIED[$year]} times (exit code $code): see $LOGS/year_$year.out"
  fi
}

listen USR1
say "job ${SLURM_JOB_ID:-} on ${SLURM_JOB_NODELIST:-this node}: ${QUEUE[*]}${SLURM_RESTART_COUNT:+ (requeued $SLURM_RESTART_COUNT times)}"
while :; do
  while [ -z "$STOP" ] && [ ${#QUEUE[@]} -gt 0 ] && [ ${#YEAR_OF[@]} -lt "$NODES" ]; do
    start "${QUEUE[0]}"
    QUEUE=("${QUEUE[@]:1}")
  done
  [ ${#YEAR_OF[@]} -gt 0 ] || break
  # Ends with any year, and with a trap. (-p would tell which year, but needs bash 5.1.)
  wait -n
  for pid in "${!YEAR_OF[@]}"; do
    kill -0 "$pid" 2> /dev/null && continue
    wait "$pid"
    code=$?
    year=${YEAR_OF[$pid]}
    unset "YEAR_OF[$pid]"
    ended "$year" "$code"
  done
done
end_timer

[ "$STOP" != term ] || {
  say "ended before all years were done; the same command goes on from here"
  exit 143
}
say "summary"
bash "$RUN" cluster check "$LIST" "${OPTIONS[@]}"
ALL=$?
[ "$STOP" != notice ] || [ "$ALL" = 0 ] || ! requeue || exit 0
exit "$ALL"
