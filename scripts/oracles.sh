#!/bin/sh
# Prints the path of a Python that has the references of tests/requirements.txt: $UNBRAID_PYTHON if it is
# set, else one that is made once in ${XDG_CACHE_HOME:-~/.cache}/unbraid (no virtual environment is needed).
set -eu

cd "$(dirname "$0")/.."

die() {
    echo "scripts/oracles.sh: $*" >&2
    exit 1
}

if [ -n "${UNBRAID_PYTHON:-}" ]; then
    command -v "$UNBRAID_PYTHON" || die "UNBRAID_PYTHON=$UNBRAID_PYTHON: expected a Python, found none"
    exit
fi
python=$(command -v python3) || die "no python3: install it (Debian: apt-get install python3 python3-pip) or set UNBRAID_PYTHON"
"$python" -m pip --version >/dev/null 2>&1 ||
    die "$python has no pip: install it (Debian: apt-get install python3-pip) or set UNBRAID_PYTHON"

key=$({ cat tests/requirements.txt; "$python" -V; } | sha256sum | cut -c 1-16)
target=${XDG_CACHE_HOME:-${HOME:?set HOME or XDG_CACHE_HOME}/.cache}/unbraid/oracles-$key
if [ ! -x "$target/python" ]; then
    mkdir -p "$(dirname "$target")"
    temp=$(mktemp -d "$target.XXXXXX")
    trap 'rm -rf "$temp"' EXIT
    trap 'exit 1' HUP INT TERM
    "$python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
        --no-binary=srt --target "$temp/packages" -r tests/requirements.txt 2>"$temp/log" >&2 ||
        die "pip cannot install tests/requirements.txt ($(grep -v '^$' "$temp/log" | tail -n 1)): check the network or set UNBRAID_PYTHON"
    rm -f "$temp/log"
    printf '#!/bin/sh\nPYTHONPATH=%s/packages exec %s "$@"\n' "'$target'" "'$python'" >"$temp/python"
    chmod +x "$temp/python"
    chmod go+rx "$temp"
    rm -rf "$target"
    mv -T "$temp" "$target"
fi
echo "$target/python"
