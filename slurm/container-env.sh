# shellcheck shell=bash
# What goes into a container besides its own environment. Source it.

# pass_env PATTERN: hand the variables whose names match the extended regular expression PATTERN, and those that
# FIELDS_ENV names (comma-separated; a trailing * stands for any end), into apptainer and singularity. To be called
# where the container is started: Slurm's variables differ from step to step. Values never are on a command line.
pass_env() {
  local pattern=$1 names=${FIELDS_ENV:-} name variable
  for name in ${names//,/ }; do
    [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*\*?$ ]] || {
      echo "FIELDS_ENV: not a variable's name: $name" >&2
      return 2
    }
    if [[ $name == *\* ]]; then pattern+="|^${name%\*}"; else pattern+="|^$name\$"; fi
  done
  while read -r variable; do
    export "APPTAINERENV_$variable=${!variable}" "SINGULARITYENV_$variable=${!variable}"
  done < <(compgen -e | grep -E "$pattern" | grep -Ev '^(APPTAINER|SINGULARITY)')
}

# container_runtime: apptainer or singularity, whichever is here; fails where neither is.
container_runtime() { command -v apptainer || command -v singularity; }
