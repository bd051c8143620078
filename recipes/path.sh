# Sourced: puts the built `unbraid` on the path.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH="$root/target/release:$PATH" LC_ALL=C
if ! command -v unbraid > /dev/null; then
  echo "$0: expected a built unbraid, found none: run 'make build' in $root" >&2
  exit 1
fi
