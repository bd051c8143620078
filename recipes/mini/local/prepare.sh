#!/usr/bin/env bash
# prepare.sh BUNDLE ROOT DATA: the bundled speech as data directories with absolute paths.
set -eu
export LC_ALL=C
bundle=$1 root=$2 data=$3
for set in train test; do
  from=$bundle/$set
  if [ ! -s "$from/wav.scp" ]; then
    echo "$0: $from/wav.scp: expected the bundled speech, found none" >&2
    exit 1
  fi
  mkdir -p "$data/all_$set"
  for file in utt2spk spk2utt text spk2gender; do cp "$from/$file" "$data/all_$set/$file"; done
  awk -v root="$root" '{ print $1, root "/" $2 }' "$from/wav.scp" > "$data/all_$set/wav.scp"
done
