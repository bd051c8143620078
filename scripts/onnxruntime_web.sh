#!/bin/sh
# onnxruntime_web.sh prints the folder of npm's package onnxruntime-web, in the version that examples/browser names. It is
# $UNBRAID_ONNXRUNTIME_WEB where that is set, else it is fetched once to target/onnxruntime-web.
set -eu

cd "$(dirname "$0")/.."

die() {
    echo "scripts/onnxruntime_web.sh: $*" >&2
    exit 1
}

given=${UNBRAID_ONNXRUNTIME_WEB:-}
if [ -n "$given" ]; then
    [ -d "$given/dist" ] || die "UNBRAID_ONNXRUNTIME_WEB=$given: expected the package with its folder dist, found none"
    echo "$given"
    exit
fi
version=$(sed -n 's/.*onnxruntime-web@\([0-9.]*\)\/.*/\1/p' examples/browser/index.html)
target=$PWD/target/onnxruntime-web/$version
if [ ! -d "$target/node_modules/onnxruntime-web/dist" ]; then
    command -v npm >/dev/null || die "no npm: install it (Debian: apt-get install npm) or set UNBRAID_ONNXRUNTIME_WEB"
    mkdir -p "$target"
    # Without a network npm would try for many minutes.
    timeout 180 npm install --silent --no-audit --no-fund --ignore-scripts --fetch-retries 1 --fetch-timeout 60000 \
        --prefix "$target" "onnxruntime-web@$version" >&2 ||
        {
            rm -rf "$target"
            die "npm cannot install onnxruntime-web $version: check the network or set UNBRAID_ONNXRUNTIME_WEB"
        }
fi
echo "$target/node_modules/onnxruntime-web"
