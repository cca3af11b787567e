#!/bin/bash
# Install moto_server, the test suite's stand-in for S3's conditional writes and for CloudFront.
#
# Installs from the distribution the Python libraries it needs; moto itself is one
# pure-Python package of Debian sid, unpacked (not installed) into a cache folder:
#   ${FIELDS_PIPELINE_CACHE:-~/.cache/fields-pipeline}/moto
# sid's package lists are kept beside it while this runs, so the system's lists stay as they are.
# Does nothing when moto is there and starts.
set -euo pipefail

CACHE=${FIELDS_PIPELINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fields-pipeline}
MOTO=$CACHE/moto
LIBRARIES=(python3-boto3 python3-flask python3-flask-cors python3-responses python3-xmltodict
  python3-cryptography python3-yaml python3-antlr4 python3-werkzeug python3-jinja2 python3-dateutil
  python3-requests)

works() {
  PYTHONPATH=$MOTO/usr/lib/python3/dist-packages /usr/bin/python3 -c 'import moto.server, moto.s3.responses, moto.cloudfront.responses' 2> /dev/null
}

if works; then
  echo "moto: already installed in $MOTO"
  exit 0
fi
AS_ROOT=()
[ "$(id -u)" = 0 ] || AS_ROOT=(sudo)
echo "moto: installing ${LIBRARIES[*]}"
"${AS_ROOT[@]}" apt-get update -qq
"${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${LIBRARIES[@]}" debian-archive-keyring > /dev/null

# The mirror that this machine has its own packages from; DEBIAN_MIRROR names one on another distribution.
own_mirror() {
  # shellcheck source=/dev/null
  . /etc/os-release
  # shellcheck disable=SC2016 # apt expands these
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="${VERSION_CODENAME:-}" '$2 == release && $3 == "main" && $1 !~ /security/ { print $1; exit }'
}
MIRROR=${DEBIAN_MIRROR:-$(own_mirror)}
[ -n "$MIRROR" ] || {
  echo "moto: no mirror of this distribution among apt's sources" >&2
  exit 1
}

APT=$MOTO.apt
rm -rf "$APT"
mkdir -p "$APT"/{lists/partial,cache/archives/partial,parts}
trap 'rm -rf "$APT"' EXIT
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR sid main" > "$APT/sources.list"
sid() {
  apt-get -qq -o APT::Sandbox::User=root -o Acquire::Languages=none \
    -o Dir::Etc::sourcelist="$APT/sources.list" -o Dir::Etc::sourceparts="$APT/parts" \
    -o Dir::State::lists="$APT/lists" -o Dir::Cache="$APT/cache" "$@"
}
echo "moto: fetching python3-moto of Debian sid"
sid update
(cd "$APT" && sid download python3-moto)
rm -rf "$MOTO"
dpkg -x "$APT"/python3-moto_*.deb "$MOTO"
works || {
  echo "moto: unpacked, but does not start:" >&2
  PYTHONPATH=$MOTO/usr/lib/python3/dist-packages /usr/bin/python3 -c 'import moto.server, moto.s3.responses, moto.cloudfront.responses' >&2
}
echo "moto: installed in $MOTO"
