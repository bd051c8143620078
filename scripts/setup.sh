#!/bin/sh
# Prepares a build: checks for cargo and a C++ compiler, and finds or fetches libtorch.
set -eu

die() {
    echo "scripts/setup.sh: $*" >&2
    exit 1
}

command -v cargo >/dev/null || die "no cargo: install Rust 1.90 or later (rustup.rs)"
# The compiler that the build of torch-sys calls.
compiler=${CXX:-c++}
command -v "${compiler%% *}" >/dev/null ||
    die "no C++ compiler '$compiler': install one (Debian: apt-get install g++) or set CXX"
exec "$(dirname "$0")/libtorch.sh"
