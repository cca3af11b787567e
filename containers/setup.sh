#!/bin/bash
# Make this machine ready: system packages, node packages, native modules, build.
#
#   containers/setup.sh          what running the pipeline needs
#   containers/setup.sh --test   also what only the tests need (tippecanoe, independent readers, S3 servers)
#
# For Debian 12 or newer and Ubuntu 22.04 or newer, with Node 20.15 or newer; root or sudo where
# something is missing. May be run again at any time: what is there is left alone.
set -euo pipefail

PROJECT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=containers/packages.sh
. "$PROJECT/containers/packages.sh"

FOR_TESTS=
case "${1:-}" in
  "") ;;
  --test) FOR_TESTS=yes ;;
  *) die "unknown option $1; there is only --test" ;;
esac
cd "$PROJECT"

# Two set-ups at once would remove each other's node_modules. flock -o keeps the lock from
# daemons that a package's installation may start.
if [ -z "${SETUP_IS_ALONE:-}" ]; then
  mkdir -p "$CACHE"
  flock -n "$CACHE/setup.lock" true || say "waiting for another set-up to end"
  SETUP_IS_ALONE=yes exec flock -o "$CACHE/setup.lock" bash "$PROJECT/containers/setup.sh" "$@"
fi

check_machine() {
  command -v node > /dev/null || die "no node on the PATH; install Node.js 20.15 or newer"
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 15) ? 0 : 1)' ||
    die "Node.js $(node -p process.versions.node) is too old; install 20.15 or newer"
  command -v npm > /dev/null || die "no npm on the PATH; install it beside Node.js"
  command -v apt-get > /dev/null ||
    die "no apt-get: this script knows Debian and Ubuntu. Elsewhere install by hand: g++, make, python3," \
      "GDAL with headers; then npm install, containers/install-gdal-async.sh, npm run build:native, npm run build"
}

install_compilers() {
  local missing=()
  command -v g++ > /dev/null || missing+=(g++)
  command -v make > /dev/null || missing+=(make)
  command -v python3 > /dev/null || missing+=(python3)
  if [ ${#missing[@]} -gt 0 ]; then
    install_packages "${missing[@]}" || die "apt cannot install: ${missing[*]}"
  fi
  # The kernel's own; without one of them it goes a slower way.
  install_packages libdeflate-dev libzstd-dev libsnappy-dev liblz4-dev ||
    warn "not all compression libraries can be had: tiles or parquet files take longer"
}

# npm ci would remove the native module that gdal-async was given, and refuses a lock file that leaves
# out other platforms' packages. With --no-save npm install keeps to the lock file and does not touch it.
install_node_packages() {
  if node containers/packages-in-step.mjs; then
    say "node packages are in step with package-lock.json"
    return
  fi
  say "installing node packages"
  # Asked first, as npm would try each package for over a minute where there is no network.
  npm view gdal-async version --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 \
    --fetch-timeout=20000 > /dev/null || die "the npm registry is out of reach: $(npm config get registry 2> /dev/null)"
  npm install --no-save --no-audit --no-fund || die "npm cannot install the node packages"
  node containers/packages-in-step.mjs || die "package.json, package-lock.json and node_modules disagree; run: npm install"
}

# Tests that need one of these say so and are skipped without it.
install_test_tools() {
  bash containers/install-tippecanoe.sh || warn "no tippecanoe: the tests of it will fail"
  install_packages python3-rasterio python3-pyproj python3-shapely || warn "no rasterio: the tests against it will be skipped"
  bash containers/install-python-writers.sh || warn "no pyarrow, GeoPandas or polars: the test of their files will be skipped"
  # Ubuntu's package of that name is a stub for a snap, which containers do not run.
  if ! command -v google-chrome > /dev/null; then
    install_packages chromium || warn "no chromium: the tests of the map viewer in a browser will be skipped"
  fi
  install_packages gdal-bin || warn "no ogrinfo: the test of tiles in GDAL will be skipped"
  install_packages strace || warn "no strace: the test of the order of flushes will be skipped"
  install_packages zsh fish || warn "no zsh or fish: the tests of their completion scripts will be skipped"
  install_packages bubblewrap || warn "no bubblewrap: the tests of items in it will be skipped"
  install_packages tinyproxy-bin || warn "no tinyproxy: the tests by way of it will be skipped"
  install_slurm || warn "no Slurm: the tests on a cluster will be skipped"
  local tool
  for tool in swift moto; do
    [ ! -e "containers/install-$tool.sh" ] || bash "containers/install-$tool.sh" ||
      warn "no $tool: the tests against that S3 server will be skipped"
  done
}

# RUNLEVEL=1 keeps the packages' scripts from starting daemons: the tests start their own.
install_slurm() {
  RUNLEVEL=1 install_packages slurm-wlm munge rsync openssh-client shellcheck
}

check_machine
install_compilers
install_node_packages
bash containers/install-gdal-async.sh
bash containers/build-native.sh
[ -z "$FOR_TESTS" ] || install_test_tools
say "building"
npm run --silent build
say "ready"
