#!/bin/sh
# Finds libtorch 2.11.0 and leaves a link .libtorch to it, which .cargo/config.toml builds against:
#   1. $LIBTORCH, if it is set;
#   2. else a PyTorch of this version in the active Python (which also brings CUDA, if it has it);
#   3. else PyPI's wheels, of which the CPU part is kept in ${XDG_CACHE_HOME:-~/.cache}/unbraid.
# A second run changes nothing. What is missing is reported in one line.
set -eu

version=2.11.0
cd "$(dirname "$0")/.."
link=.libtorch

die() {
    echo "scripts/libtorch.sh: $*" >&2
    exit 1
}

# The version of the libtorch in a folder, or nothing.
version_of() {
    for header in "$1/include/torch/headeronly/version.h" \
        "$1/include/torch/csrc/api/include/torch/version.h"; do
        if [ -f "$header" ]; then
            sed -n 's/^ *"\{0,1\}\([0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\)".*/\1/p
                    s/^#define TORCH_VERSION "\([0-9.]*\)".*/\1/p' "$header" | head -n 1
            return
        fi
    done
    if [ -f "$1/build-version" ]; then
        sed 's/+.*//' "$1/build-version"
    fi
}

is_whole() {
    [ -f "$1/lib/libtorch_cpu.so" ] && [ -f "$1/lib/libc10.so" ] && [ "$(version_of "$1")" = "$version" ]
}

# Points the link at a folder, by a rename, so that a build that runs at the same time never sees it missing.
point_to() {
    ln -s "$1" "$link.new.$$"
    mv -T "$link.new.$$" "$link"
    echo "libtorch $version: $1"
}

python=$(command -v python3 || command -v python || true)

pytorch_of_python() {
    [ -n "$python" ] || return 0
    "$python" - <<'PYTHON' 2>/dev/null || true
import importlib.util
spec = importlib.util.find_spec("torch")
print(spec.submodule_search_locations[0] if spec else "")
PYTHON
}

fetch() {
    target=$1
    alternative="or set LIBTORCH to a folder with libtorch $version"
    [ -n "$python" ] || die "no python3: install it (Debian: apt-get install python3 python3-pip), $alternative"
    "$python" -m pip --version >/dev/null 2>&1 ||
        die "$python has no pip: install it (Debian: apt-get install python3-pip), $alternative"
    mkdir -p "$(dirname "$target")" || die "cannot make $(dirname "$target"): set XDG_CACHE_HOME to a folder that can be written"
    temp=$(mktemp -d "$target.XXXXXX")
    trap 'rm -rf "$temp"' EXIT
    trap 'exit 1' HUP INT TERM
    echo "fetching libtorch $version (550 MB, once) into $target" >&2
    # The libraries do not depend on the version of the Python that fetches them.
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --python-version 3.12 --dest "$temp/wheels" --require-hashes --requirement scripts/libtorch.txt 2>"$temp/log" ||
        die "pip cannot fetch torch==$version ($(grep -v '^$' "$temp/log" | tail -n 1)): check the network, $alternative"
    "$python" - "$temp" <<'PYTHON' || die "cannot unpack libtorch into $temp: is the disk full?"
import pathlib, shutil, sys, zipfile
temp = pathlib.Path(sys.argv[1])
# libtorch_cpu.so of the PyPI build is linked with the CUDA runtime and CUPTI even where there is no GPU.
KEPT = {"libtorch.so", "libtorch_cpu.so", "libc10.so", "libcudart.so.13", "libcupti.so.13"}
for wheel in sorted((temp / "wheels").glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            base = name.rsplit("/", 1)[-1]
            if name.startswith("torch/include/") and base:
                target = temp / "lt" / name.removeprefix("torch/")
            elif base in KEPT:
                target = temp / "lt/lib" / base
            elif base.startswith("libgomp") and ".so" in base:
                target = temp / "lt/lib/libgomp.so.1"
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
PYTHON
    is_whole "$temp/lt" || die "the wheels of torch==$version do not hold libtorch $version for this machine: set LIBTORCH"
    rm -rf "$target"
    mv -T "$temp/lt" "$target"
}

if [ -n "${LIBTORCH:-}" ]; then
    [ -d "$LIBTORCH" ] || die "LIBTORCH=$LIBTORCH: expected a folder with libtorch $version, found none"
    folder=$(cd "$LIBTORCH" && pwd -P)
    # Under cargo and make, LIBTORCH may be this link itself.
    [ -f "$folder/lib/libtorch_cpu.so" ] || die "LIBTORCH=$LIBTORCH: expected lib/libtorch_cpu.so in it, found none"
    found=$(version_of "$folder")
    [ "$found" = "$version" ] || die "LIBTORCH=$LIBTORCH: expected libtorch $version, found ${found:-no version}"
    [ "$(readlink -f "$link" 2>/dev/null)" = "$folder" ] || point_to "$folder"
    exit
fi

if is_whole "$link"; then
    exit
fi

folder=$(pytorch_of_python)
if [ -n "$folder" ] && is_whole "$folder"; then
    point_to "$folder"
    exit
fi

folder=${XDG_CACHE_HOME:-${HOME:?set HOME or XDG_CACHE_HOME}/.cache}/unbraid/libtorch-$version
is_whole "$folder" || fetch "$folder"
point_to "$folder"
