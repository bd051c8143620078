#!/usr/bin/env bash
# leave_one_out.sh CONF SEED OUT USED [PROBE OPTION...]: accuracy of the digits of one speaker, for each of the six, by probes
# that were trained on the other five: from the codes of CONF, from log-mel, and from log-mel as the networks get it
# (normalised). OUT/leave_one_out.tsv. USED is what the networks were trained with of this speaker:
#   nothing        training on the five others alone
#   recordings     the recordings of the training takes, without their words
#   as_configured  one training on all six, for a configuration without supervision
# Run from the recipe's folder after its stage 1.
set -euo pipefail
. ../path.sh
usage="$0: expected CONF SEED OUT USED, USED one of nothing, recordings and as_configured"
[ $# -ge 4 ] || { echo "$usage, found $# arguments" >&2; exit 1; }
conf=$1 seed=$2 out=$3 used=$4
shift 4

# without SPEAKER: data directories of the other speakers, for training, and of SPEAKER, for the test.
without() {
  local part dir=data/without/$1
  mkdir -p "$dir"
  cut -d' ' -f1 data/train/spk2utt | grep -vx "$1" > "$dir/others"
  echo "$1" > "$dir/left_out"
  for part in train dev; do
    [ -e "$dir/$part/feats.scp" ] || unbraid data subset --spk-list "$dir/others" data/$part "$dir/$part"
  done
  [ -e "$dir/test/feats.scp" ] || unbraid data subset --spk-list "$dir/left_out" data/test "$dir/test"
}

# choose_data SPEAKER: sets exp, the folder of the training, and options, which choose its data.
choose_data() {
  local data=data/without/$1
  case $used in
    nothing)
      exp=$out/$1
      options=(--set "data.train=\"$data/train\"" --set "data.valid=\"$data/dev\"" --set data.sampler.speakers=5)
      ;;
    recordings)
      exp=$out/$1
      options=(--set "data.valid=\"$data/dev\"" --set "data.labelled_speakers=[$(sed 's/.*/"&"/' "$data/others" | paste -sd,)]")
      ;;
    as_configured)
      exp=$out/all
      options=()
      ;;
    *)
      echo "$usage, found '$used'" >&2
      exit 1
      ;;
  esac
}

for speaker in $(cut -d' ' -f1 data/train/spk2utt); do
  without "$speaker"
  choose_data "$speaker"
  data=data/without/$speaker at=$out/$speaker
  unbraid train --conf "conf/$conf.toml" --exp "$exp" --seed "$seed" --resume "${options[@]}"
  mkdir -p "$at"
  representations=(--representation "log-mel=$data/train/feats.scp,$data/test/feats.scp")
  for representation in features phonetic; do
    for part in train test; do
      unbraid extract --exp "$exp" --output $representation --resume \
        "scp:$data/$part/feats.scp" "ark,scp:$at/${representation}_$part.ark,$at/${representation}_$part.scp"
    done
    representations+=(--representation "$representation=$at/${representation}_train.scp,$at/${representation}_test.scp")
  done
  unbraid eval probe $data/train $data/test --target text "$@" --out "$at/probe" "${representations[@]}"
done
{
  printf 'left out\tlog-mel\tnormalised\tphonetic\n'
  for speaker in $(cut -d' ' -f1 data/train/spk2utt); do
    awk -F'\t' -v speaker="$speaker" '{ right[$1] = $3 }
      END { print speaker "\t" right["log-mel"] "\t" right["features"] "\t" right["phonetic"] }' "$out/$speaker/probe.tsv"
  done | awk -F'\t' '{ print; mel += $2; normalised += $3; codes += $4 }
    END { printf "mean\t%.3f\t%.3f\t%.3f\n", mel / NR, normalised / NR, codes / NR }'
} > "$out/leave_one_out.tsv"
cat "$out/leave_one_out.tsv"
