#!/usr/bin/env bash
# few_speakers.sh CONF SEED OUT [TRAIN OPTION...]: digits of unseen speakers, for a recogniser that learned from one, two or
# four speakers: its error in percent on log-mel (standardised over the training set and by utterance), on features as the
# encoders read them, and on codes of CONF, whose encoder was told the words of the same speakers alone (the others' recordings
# it heard, unlabelled). The same recogniser for all, tested on the test takes of all speakers that are not among its own.
# OUT/few_speakers.tsv. Run from the recipe's folder after its stage 1.
set -euo pipefail
. ../path.sh
conf=$1 seed=$2 out=$3
shift 3

speakers=($(cut -d' ' -f1 data/train/spk2utt))
# Each alone; pairs and fours in a ring, so that everyone is learned from as often.
sets() {
  local first
  for first in "${!speakers[@]}"; do echo "${speakers[first]}"; done
  for first in 0 2 4; do echo "${speakers[first]} ${speakers[first + 1]}"; done
  for first in 0 2 4; do
    echo "${speakers[first]} ${speakers[first + 1]} ${speakers[(first + 2) % 6]} ${speakers[(first + 3) % 6]}"
  done
}

# recognise NAME DIR SUBSAMPLING CMVN TRAIN_SCP TEST_SCP: EXP/NAME.json, the error rate
recognise() {
  [ -e "$exp/$1.json" ] && return
  unbraid asr train "$dir/train" "$5" --exp "$exp/asr_$1" --subsampling "$3" --cmvn "$4" --seed "$seed" --steps 1500 --resume
  unbraid asr decode "scp:$6" --exp "$exp/asr_$1" --out "$exp/asr_$1/hyp"
  unbraid asr score "$dir/test" "$exp/asr_$1/hyp" --by speaker --out "$exp/$1"
}

rows=()
while read -r own; do
  name=${own// /+} dir=data/few/$name exp=$out/$name
  mkdir -p "$dir" "$exp"
  tr ' ' '\n' <<< "$own" > "$dir/own"
  printf '%s\n' "${speakers[@]}" | grep -vxFf "$dir/own" > "$dir/others"
  [ -e "$dir/train/feats.scp" ] || unbraid data subset --spk-list "$dir/own" data/train "$dir/train"
  [ -e "$dir/test/feats.scp" ] || unbraid data subset --spk-list "$dir/others" data/test "$dir/test"
  unbraid train --conf "conf/$conf.toml" --exp "$exp/encoder" --seed "$seed" --resume \
    --set "data.labelled_speakers=[\"${own// /\",\"}\"]" "$@"
  for part in train test; do
    for strand in phonetic features; do
      unbraid extract --exp "$exp/encoder" --strand $strand --resume \
        "scp:$dir/$part/feats.scp" "ark,scp:$exp/${strand}_$part.ark,$exp/${strand}_$part.scp"
    done
  done
  recognise mel "$dir" 4 global "$dir/train/feats.scp" "$dir/test/feats.scp"
  recognise mel_cmvn "$dir" 4 utterance "$dir/train/feats.scp" "$dir/test/feats.scp"
  recognise features "$dir" 4 none "$exp/features_train.scp" "$exp/features_test.scp"
  recognise phonetic "$dir" 1 global "$exp/phonetic_train.scp" "$exp/phonetic_test.scp"
  row="$(wc -w <<< "$own")"$'\t'$name
  for features in mel mel_cmvn features phonetic; do
    row+=$'\t'$(awk -F'\t' 'NR == 2 { print $3 }' "$exp/$features.tsv")
  done
  rows+=("$row")
done < <(sets)
{
  printf 'speakers\tlearned from\tlog-mel\tlog-mel, by utterance\tas encoders read it\tcodes\n'
  printf '%s\n' "${rows[@]}"
  printf '%s\n' "${rows[@]}" | awk -F'\t' '{ n[$1]++; for (c = 3; c <= NF; c++) sum[$1, c] += $c; most = NF }
    END { for (k = 1; k <= 4; k *= 2) { printf "%d\tmean", k; for (c = 3; c <= most; c++) printf "\t%.2f", sum[k, c] / n[k]; print "" } }'
} > "$out/few_speakers.tsv"
cat "$out/few_speakers.tsv"
