#!/bin/bash
# Install OpenStack Swift with its S3 API, which the publish tests start on loopback.
#
# Installs from the distribution: swift-proxy swift-account swift-container swift-object.
# Does nothing when they are there. Starts no service.
set -euo pipefail

if command -v swift-proxy-server swift-account-server swift-container-server swift-object-server > /dev/null; then
  echo "swift: already installed"
  exit 0
fi
AS_ROOT=()
[ "$(id -u)" = 0 ] || AS_ROOT=(sudo)
PACKAGES=(swift-proxy swift-account swift-container swift-object)
echo "swift: installing ${PACKAGES[*]}"
"${AS_ROOT[@]}" apt-get update -qq
# RUNLEVEL=1 keeps the packages' scripts from starting daemons: the tests start their own.
"${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" > /dev/null
echo "swift: installed"
