#!/usr/bin/env bash
# leave_one_out.sh CONF SEED OUT [PROBE OPTION...]: digits of a speaker whom neither the networks nor the probe have
# heard, each of the six in turn, from the codes of CONF and from log-mel; OUT/leave_one_out.tsv. Run from the
# recipe's folder after its stage 1.
set -euo pipefail
. ../path.sh
conf=$1 seed=$2 out=$3
shift 3

# without SPEAKER: data directories of the others to learn from, and of the speaker to be asked about.
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

for speaker in $(cut -d' ' -f1 data/train/spk2utt); do
  without "$speaker"
  data=data/without/$speaker exp=$out/$speaker
  unbraid train --conf "conf/$conf.toml" --exp "$exp" --seed "$seed" --resume \
    --set "data.train=\"$data/train\"" --set "data.valid=\"$data/dev\"" --set data.sampler.speakers=5
  for part in train test; do
    unbraid extract --exp "$exp" --strand phonetic --resume \
      "scp:$data/$part/feats.scp" "ark,scp:$exp/phonetic_$part.ark,$exp/phonetic_$part.scp"
  done
  unbraid probe $data/train $data/test --target text "$@" --out "$exp/probe" \
    --strand "log-mel=$data/train/feats.scp,$data/test/feats.scp" \
    --strand "phonetic=$exp/phonetic_train.scp,$exp/phonetic_test.scp"
done
{
  printf 'left out\tlog-mel\tphonetic\n'
  for speaker in $(cut -d' ' -f1 data/train/spk2utt); do
    awk -F'\t' -v speaker="$speaker" '$1 == "log-mel" { mel = $3 } $1 == "phonetic" { codes = $3 }
      END { printf "%s\t%s\t%s\n", speaker, mel, codes }' "$out/$speaker/probe.tsv"
  done | awk -F'\t' '{ print; mel += $2; codes += $3 } END { printf "mean\t%.3f\t%.3f\n", mel / NR, codes / NR }'
} > "$out/leave_one_out.tsv"
cat "$out/leave_one_out.tsv"
