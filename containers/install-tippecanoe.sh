#!/bin/bash
# Install tippecanoe, tippecanoe-decode and tile-join, and try them on a small layer.
#
# From the distribution where it has the package (Debian 13, Ubuntu 24.04 and newer).
# On an older one the package of the next release is unpacked in a folder of its own,
# beside that release's C and C++ libraries, and started through that release's loader:
# nothing of the system is upgraded. Does nothing when tippecanoe works already.
set -euo pipefail

# shellcheck source=containers/packages.sh
. "$(dirname "$0")/packages.sh"

PROGRAMS=(tippecanoe tippecanoe-decode tile-join)
# What a tippecanoe of another release needs beside it: every library it links.
WITH_LIBRARIES=(tippecanoe libc6 libstdc++6 libgcc-s1 libsqlite3-0 zlib1g)

ASKED_PATH=$PATH
works() { "$1" --version > /dev/null 2>&1; }

warn_of_path() {
  PATH=$ASKED_PATH command -v tippecanoe > /dev/null || warn "$HOME/.local/bin is not on your PATH: add it"
}

# makes_tiles BIN_DIR: the programs there write an archive and read it back.
makes_tiles() {
  local layer=$SCRATCH/layer.geojson archive=$SCRATCH/layer.pmtiles
  echo '{"type":"Feature","properties":{"crop":5},"geometry":{"type":"Polygon","coordinates":[[[-98,38],[-97.9,38],[-97.9,38.1],[-98,38]]]}}' > "$layer"
  "$1/tippecanoe" -q -f -z4 -Z4 -l fields -o "$archive" "$layer" 2> "$SCRATCH/log" &&
    "$1/tippecanoe-decode" "$archive" 2>> "$SCRATCH/log" | grep -q '"crop": *5'
}

# The release to borrow from, when this one is too old to have the package.
newer_release() {
  # shellcheck source=/dev/null
  . /etc/os-release
  case "${VERSION_CODENAME:-}" in
    bookworm | bullseye) echo trixie ;;
    jammy | focal) echo noble ;;
  esac
}

# One line of sources.list for RELEASE, from this machine's own mirror.
sources_of() {
  local release=$1 components=main keyring=debian-archive-keyring uri suite component
  [ "$release" != noble ] || { components="main universe" keyring=ubuntu-archive-keyring; }
  for keyring in /usr/share/keyrings/$keyring.{gpg,pgp}; do [ ! -e "$keyring" ] || break; done
  # Without that file apt's own trusted keys decide.
  [ -e "$keyring" ] && keyring="[signed-by=$keyring] " || keyring=
  # shellcheck disable=SC2016 # apt expands these
  while read -r uri suite component; do
    case "$uri $suite $component" in
      *security*) ;;
      *" bookworm main" | *" bullseye main" | *" jammy main" | *" focal main" | *stable" main")
        echo "deb $keyring$uri $release $components"
        return 0
        ;;
    esac
  done < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages')
  return 1
}

# A second apt: its own sources, lists, cache and package status; the system's are untouched.
other_apt() {
  apt-get -qq \
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 \
    -o Dir::Etc::sourcelist="$SCRATCH/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::State="$SCRATCH/apt/state" -o Dir::State::status="$SCRATCH/apt/status" \
    -o Dir::Cache="$SCRATCH/apt/cache" "$@"
}

# download_packages RELEASE: the .deb files of WITH_LIBRARIES into $SCRATCH/debs.
download_packages() {
  mkdir -p "$SCRATCH"/apt/{state/lists/partial,cache/archives/partial} "$SCRATCH/debs"
  : > "$SCRATCH/apt/status"
  sources_of "$1" > "$SCRATCH/apt/sources.list" || {
    warn "no mirror of this distribution among apt's sources"
    return 1
  }
  if ! other_apt update 2> "$SCRATCH/log"; then
    # An old keyring does not know the next release's keys; its update does.
    say "updating the archive keyring"
    refresh_lists
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debian-archive-keyring > /dev/null
    other_apt update || return 1
  fi
  (cd "$SCRATCH/debs" && other_apt download "${WITH_LIBRARIES[@]}")
}

# borrow RELEASE: unpack, try, then put the programs where the PATH finds them.
borrow() {
  local home bin prefix=() name deb loader libraries
  if [ "$(id -u)" = 0 ] || command -v sudo > /dev/null; then
    home=/usr/local/lib/tippecanoe-$1 bin=/usr/local/bin prefix=(as_root)
  else
    home=$HOME/.local/lib/tippecanoe-$1 bin=$HOME/.local/bin
  fi
  say "fetching tippecanoe of $1 and the libraries it runs with"
  download_packages "$1" || return 1
  mkdir -p "$SCRATCH/root" "$SCRATCH/bin"
  for deb in "$SCRATCH"/debs/*.deb; do dpkg -x "$deb" "$SCRATCH/root"; done
  loader=$(cd "$SCRATCH/root" && find . -type f -name 'ld-linux*.so.*' | head -n 1)
  libraries=$(cd "$SCRATCH/root" && find . -name 'libstdc++.so.6' -printf '%h\n' | head -n 1)
  if [ -z "$loader" ] || [ -z "$libraries" ]; then
    warn "the packages of $1 hold no loader or no libstdc++"
    return 1
  fi
  rm -rf "$SCRATCH"/root/usr/share "$SCRATCH"/root/usr/lib/*/{gconv,audit}

  write_wrappers "$SCRATCH/root" "$SCRATCH/bin" "$loader" "$libraries"
  makes_tiles "$SCRATCH/bin" || {
    warn "tippecanoe of $1 does not run here: $(tail -n 3 "$SCRATCH/log")"
    return 1
  }
  chmod -R u=rwX,go=rX "$SCRATCH/root"
  write_wrappers "$home" "$SCRATCH/bin" "$loader" "$libraries"
  "${prefix[@]}" mkdir -p "$(dirname "$home")" "$bin" &&
    "${prefix[@]}" rm -rf "$home" "$home.partial" &&
    "${prefix[@]}" cp -r "$SCRATCH/root" "$home.partial" &&
    "${prefix[@]}" mv -T "$home.partial" "$home" &&
    "${prefix[@]}" install -m 755 "${PROGRAMS[@]/#/$SCRATCH/bin/}" "$bin" || return 1
  INSTALLED_IN=$bin
}

# write_wrappers HOME BIN LOADER LIBRARIES: scripts in BIN that start HOME's programs.
write_wrappers() {
  local name
  for name in "${PROGRAMS[@]}"; do
    printf '#!/bin/sh\nexec "%s" --argv0 %s --library-path "%s" "%s" "$@"\n' \
      "$1/${3#./}" "$name" "$1/${4#./}" "$1/usr/bin/$name" > "$2/$name"
    chmod 755 "$2/$name"
  done
}

# Where it goes without root; a login shell of Debian has it on the PATH once it exists.
PATH=$PATH:$HOME/.local/bin
if works tippecanoe; then
  say "$(tippecanoe --version 2>&1 | head -n 1) is there"
  warn_of_path
  exit 0
fi
command -v apt-get > /dev/null || die "no apt-get here; build https://github.com/felt/tippecanoe and put it on the PATH"
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
INSTALLED_IN=
RELEASE=$(newer_release)
if [ -z "$RELEASE" ] || has_candidate tippecanoe; then
  install_packages tippecanoe || die "apt cannot install tippecanoe"
  INSTALLED_IN=$(dirname "$(command -v tippecanoe)")
else
  borrow "$RELEASE" || die "cannot be had from $RELEASE"
fi
makes_tiles "$INSTALLED_IN" || die "installed in $INSTALLED_IN, but it makes no tiles: $(tail -n 3 "$SCRATCH/log")"
say "installed $("$INSTALLED_IN/tippecanoe" --version 2>&1 | head -n 1) in $INSTALLED_IN"
warn_of_path
