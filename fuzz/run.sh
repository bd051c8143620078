#!/usr/bin/env bash
# fuzz/run.sh [SECONDS [TARGET...]]: runs the fuzz targets, SECONDS each (60 by default), two at a time. It needs only Rust
# and a C++ compiler. SEED (1 by default) is the seed of the random draws. Inputs that fail are written to fuzz/found, and
# the exit code is 1 then.
set -euo pipefail

cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
targets=("$@")
[ $# -gt 0 ] || targets=(audio headers archives tables)

# The flags of cargo-fuzz that a stable rustc has: edge coverage.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
# With a named target the flags do not apply to build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --quiet --release --target "$host" --target-dir target
export program=$PWD/target/$host/release seconds

fuzz() {
  local target=$1 corpus=corpus/$1
  mkdir -p "$corpus" found
  case $target in
    audio | headers) cp ../tests/audio_files/*.* "$corpus" ;;
  esac
  if "$program/$target" "$corpus" -seed="${SEED:-1}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
    -artifact_prefix="found/$target-" >"found/$target.log" 2>&1; then
    grep -E '^#[0-9]+.*DONE' "found/$target.log" | sed "s/^/$target: /"
  else
    tail -n 20 "found/$target.log"
    echo "fuzz/run.sh: $target: expected an error or a value for any input, found a failure: fuzz/found/$target-*" >&2
    return 1
  fi
}
export -f fuzz
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'fuzz {}'
