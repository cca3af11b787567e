# shellcheck shell=bash
# Functions shared by the set-up scripts: what they say, and system packages by apt.
# Source it; it does nothing by itself. Messages start with $STEP.

STEP=${STEP:-setup}
# What was fetched or built once, for other checkouts too.
# shellcheck disable=SC2034 # used by the scripts that source this
CACHE=${FIELDS_PIPELINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fields-pipeline}

say() { echo "$STEP: $*"; }
warn() { echo "$STEP: warning: $*" >&2; }
die() {
  echo "$STEP: error: $*" >&2
  exit 1
}

# Run a command as root: directly, or by sudo. --preserve-env would be refused by
# stricter sudoers, so variables are passed through env.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo > /dev/null; then
    sudo "$@"
  else
    die "need root for: $* (run as root, or install sudo)"
  fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]; }

# Another apt may hold the lock of the lists, which (unlike dpkg's) has no waiting option.
refresh_lists() {
  [ -z "${LISTS_ARE_FRESH:-}" ] || return 0
  local output deadline=$((SECONDS + 300))
  until output=$(LC_ALL=C as_root apt-get update -qq 2>&1); do
    if [ "$SECONDS" -gt "$deadline" ] || [[ $output != *"Could not get lock"* ]]; then
      echo "$output" >&2
      return 1
    fi
    sleep 3
  done
  LISTS_ARE_FRESH=yes
}

has_candidate() { apt-cache policy "$1" 2> /dev/null | grep -q '^  Candidate: [^(]'; }

# install_packages NAME...: those that are missing; asks the mirror only if any is.
install_packages() {
  local name missing=()
  for name in "$@"; do is_installed "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing system packages: ${missing[*]}"
  refresh_lists || return 1
  as_root env DEBIAN_FRONTEND=noninteractive ${RUNLEVEL:+"RUNLEVEL=$RUNLEVEL"} apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "${missing[@]}" > /dev/null
}
