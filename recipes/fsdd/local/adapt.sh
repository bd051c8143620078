#!/usr/bin/env bash
# adapt.sh SEED OUT [TRAIN OPTION...]: domain adaptation to one speaker, for each of the six. Training has the recordings of
# this speaker, but not their labels. OUT/adapt.tsv: accuracy of the digits on this speaker's test takes, for training on the
# other speakers alone (adversarial weight 0), for DANN by gradient reversal, and for DANN with alternating updates.
# Run from the recipe's folder after its stage 1.
set -euo pipefail
. ../path.sh
seed=$1 out=$2
shift 2

last_accuracy() { grep '"valid"' "$1/log.jsonl" | tail -n 1 | sed 's/.*"label\/accuracy":\([0-9.]*\).*/\1/'; }

rows=()
for speaker in $(cut -d' ' -f1 data/train/spk2utt); do
  dir=data/adapt/$speaker
  mkdir -p "$dir"
  echo "$speaker" > "$dir/target"
  [ -e "$dir/test/feats.scp" ] || unbraid data subset --spk-list "$dir/target" data/test "$dir/test"
  row=$speaker
  for name in source gradient_reversal alternating; do
    exp=$out/${speaker}_$name conf=$name options=()
    [ $name != source ] || { conf=gradient_reversal; options=(--set method.adversary.weight=0.0); }
    unbraid train --conf "conf/dann/$conf.toml" --exp "$exp" --seed "$seed" --resume "${options[@]}" \
      --set "method.target_speakers=[\"$speaker\"]" --set "data.valid=\"$dir/test\"" "$@"
    row+=$'\t'$(last_accuracy "$exp")
  done
  rows+=("$row")
done
{
  printf 'target\tsource alone\tgradient reversal\talternating\n'
  printf '%s\n' "${rows[@]}" | awk -F'\t' '{ printf "%s", $1; for (c = 2; c <= NF; c++) { printf "\t%.3f", $c; sum[c] += $c } print "" }
    END { printf "mean"; for (c = 2; c <= NF; c++) printf "\t%.3f", sum[c] / NR; print "" }'
} > "$out/adapt.tsv"
cat "$out/adapt.tsv"
