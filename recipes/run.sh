#!/usr/bin/env bash
# Runs a recipe from anywhere: recipes/run.sh mini --stage 2
set -eu
recipes=$(cd "$(dirname "$0")" && pwd)
if [ $# -eq 0 ] || [ ! -x "$recipes/$1/run.sh" ]; then
  echo "usage: $0 RECIPE [options]; recipes:" $(cd "$recipes" && for r in */run.sh */*/run.sh; do dirname "$r"; done) >&2
  exit 1
fi
recipe=$1
shift
exec "$recipes/$recipe/run.sh" "$@"
