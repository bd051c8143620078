#!/usr/bin/env bash
# book.sh OUT: the guide and its references as a book of HTML, OUT/html. mdBook reads one folder, whose SUMMARY.md lies at its
# top: docs is copied to OUT/src, with the guide's summary there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
if ! command -v mdbook > /dev/null; then
  echo "skipped: the book: mdbook is not installed (cargo install mdbook)" >&2
  exit 0
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
rm -rf "$out/src" "$out/html"
cp -r "$root/docs" "$out/src"
mv "$out/src/book.toml" "$out"
sed -E 's#\]\(#](guide/#; s#\(guide/\.\./#(#' "$root/docs/guide/SUMMARY.md" > "$out/src/SUMMARY.md"
rm "$out/src/guide/SUMMARY.md"
mdbook build "$out"
echo "$out/html/index.html"
