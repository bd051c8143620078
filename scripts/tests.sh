#!/bin/sh
# tests.sh: all tests of Rust. A test that needs more than Rust and a C++ compiler says so in its name and is ignored by
# default: with_python (UNBRAID_PYTHON, made here where pip can), with_baselines (UNBRAID_BASELINES), with_corpora
# (UNBRAID_CORPORA), with_installed (UNBRAID_INSTALLED, made here), with_browser (chromium), with_onnxruntime_web
# (UNBRAID_ONNXRUNTIME_WEB, fetched here where npm can), with_slurm (slurmctld, slurmd and munged). Those whose needs are
# met run here, the others are named.
set -eu
cd "$(dirname "$0")/.."

if [ -z "${UNBRAID_PYTHON:-}" ]; then
    UNBRAID_PYTHON=$(scripts/references.sh) || UNBRAID_PYTHON=
fi
if [ -n "$UNBRAID_PYTHON" ]; then export UNBRAID_PYTHON; else unset UNBRAID_PYTHON; fi

if [ -z "${UNBRAID_ONNXRUNTIME_WEB:-}" ]; then
    UNBRAID_ONNXRUNTIME_WEB=$(scripts/onnxruntime_web.sh) || UNBRAID_ONNXRUNTIME_WEB=
fi
if [ -n "$UNBRAID_ONNXRUNTIME_WEB" ]; then export UNBRAID_ONNXRUNTIME_WEB; else unset UNBRAID_ONNXRUNTIME_WEB; fi

# What `make install` makes is tested as it lies there.
${MAKE:-make} --silent install PREFIX="$PWD/target/installed"
UNBRAID_INSTALLED=$PWD/target/installed
export UNBRAID_INSTALLED

skips=
# unmet MARK REASON: leaves out the tests with MARK in their names, and names them.
unmet() {
    skips="$skips --skip $1"
    grep -rhoE "fn [a-z0-9_]*$1_[a-z0-9_]+" src tests --include='*.rs' | sort | sed "s/^fn //; s/^/skipped: /; s/\$/: $2/" >&2
}
[ -n "${UNBRAID_PYTHON:-}" ] || unmet with_python 'UNBRAID_PYTHON is not set'
[ -n "${UNBRAID_BASELINES:-}" ] || unmet with_baselines 'UNBRAID_BASELINES is not set'
[ -n "${UNBRAID_CORPORA:-}" ] || unmet with_corpora 'UNBRAID_CORPORA is not set'
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    unmet with_browser 'no chromium on PATH'
PATH=$PATH:/usr/sbin command -v slurmctld slurmd munged sbatch >/dev/null || unmet with_slurm 'no Slurm on PATH'
[ -n "${UNBRAID_ONNXRUNTIME_WEB:-}" ] || unmet with_onnxruntime_web 'UNBRAID_ONNXRUNTIME_WEB is not set'

set -x
# Unit tests share one process: with one process per test, each would load libtorch again, which takes a second. They run
# one after the other, since they share libtorch's random numbers, which many seed.
# shellcheck disable=SC2086
cargo test --release --no-fail-fast --lib --bins -- --include-ignored --test-threads 1 $skips
# shellcheck disable=SC2086
cargo test --release --no-fail-fast --test front_ends -- --include-ignored $skips
if cargo nextest --version >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    cargo nextest run --release --no-fail-fast --test it -- --include-ignored $skips
else
    # shellcheck disable=SC2086
    cargo test --release --no-fail-fast --test it -- --include-ignored $skips
fi
cargo test --release --doc
