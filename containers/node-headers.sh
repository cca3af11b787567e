# shellcheck shell=bash
# Where node-gyp finds Node's headers. Source it after packages.sh.

# The version in NAME.h of a folder of headers, as process.versions.node has it.
headers_version() {
  awk '$1 == "#define" && $2 ~ /^NODE_(MAJOR|MINOR|PATCH)_VERSION$/ { v = v (v == "" ? "" : ".") $3 } END { print v }' \
    "$1" 2> /dev/null
}

# Print the folder to pass as --nodedir, or nothing when node-gyp shall download the headers.
# Headers of another version than the running Node's would build a module that does not load.
node_headers() {
  local version prefix
  version=$(node -p process.versions.node)
  prefix=$(node -p 'path.dirname(path.dirname(fs.realpathSync(process.execPath)))')
  if [ "$(headers_version "$prefix/include/node/node_version.h")" = "$version" ]; then
    echo "$prefix"
    return
  fi
  # Debian's and Ubuntu's own nodejs keeps them apart, in the package libnode-dev.
  if dpkg -S "$prefix/bin/node" 2> /dev/null | grep -q '^nodejs:' && has_candidate libnode-dev; then
    install_packages libnode-dev >&2 || true
  fi
  if [ "$(headers_version /usr/include/nodejs/src/node_version.h)" = "$version" ]; then
    echo /usr/include/nodejs
  fi
}

# node_gyp ARGUMENT...: the project's own node-gyp (npm's may be too old for this Python), with those headers.
node_gyp() {
  local headers
  headers=$(node_headers)
  node "$(node -p 'require.resolve("node-gyp/bin/node-gyp.js", { paths: [process.argv[1]] })' "$PROJECT")" "$@" ${headers:+"--nodedir=$headers"}
}
