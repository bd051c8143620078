#!/usr/bin/env bash
# prepare.sh CORPUS DATA: data directories of the Free Spoken Digit Dataset, whose recordings are named
# recordings/DIGIT_SPEAKER_TAKE.wav. Takes 0 to 4 are the official test set. Of its training takes 5 to 49, the first three
# are the development set (dev).
set -eu
export LC_ALL=C
corpus=$1 data=$2
if [ ! -d "$corpus/recordings" ]; then
  echo "$0: $corpus: expected a folder with recordings/ in it, found none" >&2
  exit 1
fi
all=$(mktemp)
trap 'rm -f "$all"' EXIT
find "$corpus/recordings" -name '*.wav' -printf '%f\n' | sort > "$all"
if ! awk -F'[_.]' 'NF != 4 || $1 !~ /^[0-9]$/ || $3 !~ /^[0-9]+$/ {
       printf "%s: expected DIGIT_SPEAKER_TAKE.wav, found %s\n", FILENAME, $0 > "/dev/stderr"; exit 1 }' "$all"; then
  exit 1
fi
make_set() { # make_set NAME FIRST_TAKE LAST_TAKE
  local dir=$data/$1
  mkdir -p "$dir"
  awk -F'[_.]' -v first="$2" -v last="$3" -v corpus="$corpus" '
    BEGIN { split("zero one two three four five six seven eight nine", word, " ") }
    $3 >= first && $3 <= last {
      printf "%s-%s-%02d %s %s %s/recordings/%s\n", $2, $1, $3, $2, word[$1 + 1], corpus, $0
    }' "$all" | sort > "$dir/all"
  if [ ! -s "$dir/all" ]; then
    echo "$0: $corpus/recordings: expected takes $2 to $3, found none" >&2
    exit 1
  fi
  cut -d' ' -f1,2 "$dir/all" > "$dir/utt2spk"
  cut -d' ' -f1,3 "$dir/all" > "$dir/text"
  cut -d' ' -f1,4- "$dir/all" > "$dir/wav.scp"
  awk '{ list[$2] = list[$2] " " $1 } END { for (s in list) print s list[s] }' "$dir/utt2spk" | sort > "$dir/spk2utt"
  rm "$dir/all"
  unbraid data validate --no-feats "$dir"
}
make_set train 8 49
make_set dev 5 7
make_set test 0 4
