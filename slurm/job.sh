# shellcheck shell=bash
# What the job scripts share: words, and what becomes of a job that is told to end. Source it.

CODE=${FIELDS_CODE:-$SLURM_SUBMIT_DIR}
# shellcheck disable=SC2034 # used by the scripts that source this
RUN=$CODE/slurm/run.sh
# Seconds from Slurm's notice (SIGUSR1) until steps that still run are ended.
GRACE_S=${FIELDS_GRACE_S:-780}
MAX_REQUEUES=${FIELDS_MAX_REQUEUES:-20}

say() { echo "$(date '+%F %T') $*"; }
die() {
  say "ERROR $*" >&2
  exit 2
}

[ -e "$CODE/dist/year.js" ] || [ -n "${FIELDS_CONTAINER:-}" ] || die "no built project in $CODE; set FIELDS_CODE, or build it (npm run setup)"

# years TEXT...: `2008-2010,2020` as lines.
years() {
  local text part
  for text in "$@"; do
    for part in ${text//,/ }; do
      [[ $part =~ ^[0-9]{4}(-[0-9]{4})?$ ]] || die "not a year or a range of years: $part"
      seq "${part%-*}" "${part#*-}"
    done
  done
}

# What ended the job early: notice (the time limit is near), term (scancel, preemption, the limit), or nothing.
STOP=

# The sruns that run, by pid; they hand signals on to their steps.
declare -A STEPS=()
signal_steps() {
  local pid
  for pid in "${!STEPS[@]}"; do kill "-$1" "$pid" 2> /dev/null; done
}

# listen SIGNAL: take SIGNAL for the notice. Bash runs traps between commands and while it waits.
listen() {
  NOTICE=$1
  trap on_notice "$1"
  trap on_grace_over HUP
  trap on_term TERM INT
}
on_notice() {
  [ -z "$STOP" ] || return 0
  STOP=notice
  say "the time limit is near: running steps finish what they can save, nothing new is begun"
  signal_steps "$NOTICE"
  (
    trap - TERM INT HUP
    sleep "$GRACE_S" &
    trap 'kill $!' TERM
    wait $! && kill -HUP $$
  ) &
  TIMER=$!
}
on_grace_over() {
  say "steps that still run are ended now"
  signal_steps TERM
}
on_term() {
  STOP=term
  say "told to end: steps are ended"
  signal_steps TERM
}
end_timer() { [ -z "${TIMER:-}" ] || kill "$TIMER" 2> /dev/null; }

# wait_for PID: to the end of that step, which a trap's end of `wait` is not. Its exit code is in EXIT.
wait_for() {
  STEPS[$1]=
  while wait "$1"; kill -0 "$1" 2> /dev/null; do :; done
  # Bash keeps the code of a child that ended while a trap ran.
  wait "$1"
  # shellcheck disable=SC2034 # for the scripts that source this
  EXIT=$?
}

# requeue: back into the queue under the same id, unless that was done too often. Returns 1 where it was not done.
requeue() {
  local restarts=${SLURM_RESTART_COUNT:-0}
  if [ "$restarts" -ge "$MAX_REQUEUES" ]; then
    say "requeued $restarts times already: not again (FIELDS_MAX_REQUEUES)"
    return 1
  fi
  say "back into the queue"
  if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
  else
    scontrol requeue "$SLURM_JOB_ID"
  fi
}
