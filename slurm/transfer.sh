# shellcheck shell=bash
# What push.sh and pull.sh share: their options, and the copying. Source it.

die() {
  echo "${0##*/}: $*" >&2
  exit 2
}

GO='' SCP='' PLACES=()
for argument in "$@"; do
  case $argument in
    --go) GO=yes ;;
    --scp) SCP=yes ;;
    -h | --help)
      sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"
      exit 0
      ;;
    -*) die "unknown option $argument; there are --go and --scp" ;;
    *) PLACES+=("$argument") ;;
  esac
done

# make_folder PLACE, here or on another host.
make_folder() {
  case $1 in
    *:*) ssh "${1%%:*}" mkdir -p -- "$(printf %q "${1#*:}")" ;;
    *) mkdir -p -- "$1" ;;
  esac
}

# copy FROM... TO, as rsync reads them: a folder that ends in a slash means what is in it.
copy() {
  local to=${*: -1} from=("${@:1:$#-1}")
  [ -z "$GO" ] || make_folder "$to"
  if [ -z "$SCP" ]; then
    # What a broken connection left is kept out of sight, and the next run goes on from there. Links between
    # project and work space come as what they lead to.
    local options=(-avP --copy-links --partial-dir=.rsync-partial)
    [ -n "$GO" ] || options+=(--dry-run)
    rsync "${options[@]}" "${from[@]}" "$to"
  elif [ -z "$GO" ]; then
    printf 'would be copied by scp to %s: %s\n' "$to" "${from[*]}"
  else
    scp -rp "${from[@]/%\//\/.}" "$to"
  fi
}
