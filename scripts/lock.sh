#!/bin/sh
# lock.sh writes tests/requirements.lock and benches/baselines/requirements.lock: every package that requirements.txt brings in,
# with its version and the hashes of its files, for Python 3.11 and later. It needs uv (pip install uv).
set -eu

cd "$(dirname "$0")/.."
for requirements in tests/requirements.txt benches/baselines/requirements.txt; do
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        "$requirements" --output-file "${requirements%.txt}.lock"
done
