#!/bin/sh
# references.sh [REQUIREMENTS] prints the path of a Python that has the packages of a file, tests/requirements.txt by
# default, in the versions and with the hashes of the .lock beside it, which scripts/lock.sh makes. If $UNBRAID_PYTHON is
# set ($UNBRAID_BASELINES for another file), that is printed; else one is made once in ${XDG_CACHE_HOME:-~/.cache}/unbraid
# (no virtual environment is needed).
set -eu

cd "$(dirname "$0")/.."

die() {
    echo "scripts/references.sh: $*" >&2
    exit 1
}

requirements=${1:-tests/requirements.txt}
case $requirements in
    tests/requirements.txt) name=UNBRAID_PYTHON given=${UNBRAID_PYTHON:-} ;;
    *) name=UNBRAID_BASELINES given=${UNBRAID_BASELINES:-${UNBRAID_PEERS:-}} ;; # The second is its name in earlier versions.
esac
if [ -n "$given" ]; then
    command -v "$given" || die "$name=$given: expected a Python, found none"
    exit
fi
python=$(command -v python3) || die "no python3: install it (Debian: apt-get install python3 python3-pip) or set $name"
"$python" -m pip --version >/dev/null 2>&1 ||
    die "$python has no pip: install it (Debian: apt-get install python3-pip) or set $name"

lock=${requirements%.txt}.lock
key=$({ cat "$lock"; "$python" -V; } | sha256sum | cut -c 1-16)
target=${XDG_CACHE_HOME:-${HOME:?set HOME or XDG_CACHE_HOME}/.cache}/unbraid/references-$key
if [ ! -x "$target/python" ]; then
    mkdir -p "$(dirname "$target")"
    temp=$(mktemp -d "$target.XXXXXX")
    trap 'rm -rf "$temp"' EXIT
    trap 'exit 1' HUP INT TERM
    "$python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
        --no-binary=srt,openai-whisper --target "$temp/packages" --require-hashes -r "$lock" 2>"$temp/log" >&2 ||
        die "pip cannot install $lock ($(grep -v '^$' "$temp/log" | tail -n 1)): check the network or set $name"
    rm -f "$temp/log"
    printf '#!/bin/sh\nPYTHONPATH=%s/packages exec %s "$@"\n' "'$target'" "'$python'" >"$temp/python"
    chmod +x "$temp/python"
    chmod go+rx "$temp"
    rm -rf "$target"
    mv -T "$temp" "$target"
fi
echo "$target/python"
