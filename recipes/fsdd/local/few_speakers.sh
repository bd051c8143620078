#!/usr/bin/env bash
# few_speakers.sh LOO SEED OUT: recognition of digits of an unseen speaker, for each of the six. Recognisers are trained on
# one, two, four or all five of the other speakers, on log-mel standardised over the training set, on log-mel standardised
# per utterance, and on codes. OUT/few_speakers.tsv: errors in percent. Run from the recipe's folder.
# The encoders of the codes are those of 'leave_one_out.sh CONF SEED LOO nothing', which were trained with the words of all
# five other speakers. So the fair comparison for codes is log-mel with all five speakers.
set -euo pipefail
. ../path.sh
loo=$1 seed=$2 out=$3
speakers=($(cut -d' ' -f1 data/train/spk2utt))

# recognise NAME SUBSAMPLING CMVN TRAIN_SCP TEST_SCP: EXP/NAME.tsv, the error rate
recognise() {
  [ ! -e "$exp/$1.tsv" ] || return 0
  unbraid asr train "$dir/own" "$4" --exp "$exp/asr_$1" --subsampling "$2" --cmvn "$3" --seed "$seed" --steps 600 --resume
  unbraid asr decode "scp:$5" --exp "$exp/asr_$1" --out "$exp/asr_$1/hyp"
  unbraid asr score "$without/test" "$exp/asr_$1/hyp" --out "$exp/$1"
}

rows=()
for place in "${!speakers[@]}"; do
  left_out=${speakers[place]} without=data/without/${speakers[place]}
  for count in 1 2 4 5; do
    dir=$without/few_$count exp=$out/${left_out}_$count
    mkdir -p "$dir" "$exp"
    # The next ones in a ring, so that every speaker is used for training equally often.
    for next in $(seq 1 $count); do echo "${speakers[(place + next) % 6]}"; done > "$dir/speakers"
    [ -e "$dir/own/feats.scp" ] || unbraid data subset --spk-list "$dir/speakers" "$without/train" "$dir/own"
    recognise mel 4 global "$dir/own/feats.scp" "$without/test/feats.scp"
    recognise mel_cmvn 4 utterance "$dir/own/feats.scp" "$without/test/feats.scp"
    recognise codes 1 global "$loo/$left_out/phonetic_train.scp" "$loo/$left_out/phonetic_test.scp"
    row=$count$'\t'$left_out
    for features in mel mel_cmvn codes; do row+=$'\t'$(awk -F'\t' 'NR == 2 { print $3 }' "$exp/$features.tsv"); done
    rows+=("$row")
  done
done
{
  printf 'speakers\tleft out\tlog-mel\tlog-mel per utterance\tcodes\n'
  printf '%s\n' "${rows[@]}" | sort -s -n -k1,1
  printf '%s\n' "${rows[@]}" | awk -F'\t' '{ n[$1]++; for (c = 3; c <= NF; c++) sum[$1, c] += $c; most = NF }
    END { for (k = 1; k <= 5; k++) if (n[k]) {
      printf "%d\tmean", k; for (c = 3; c <= most; c++) printf "\t%.2f", sum[k, c] / n[k]; print "" } }'
} > "$out/few_speakers.tsv"
cat "$out/few_speakers.tsv"
