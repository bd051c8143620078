#!/usr/bin/env bash
# fine_tune.sh SEED OUT [TRAIN OPTION...]: what 1, 5 and 20 recordings of each speaker buy the shipped model en-16k, which knows
# sentences at 16 kHz, on digits at 8 kHz of these speakers. Recordings are brought to 16 kHz. OUT/fine_tune.tsv: equal error
# rate of the speaker embeddings over all pairs of the 300 test takes, with its interval.
# Run from the recipe's folder after its stage 0.
set -euo pipefail
. ../path.sh
seed=$1 out=$2
shift 2
mkdir -p "$out"
model=$(unbraid models | awk '$1 == "en-16k" { print $2 }')
for set in train dev test; do
  [ -e "$out/$set.scp" ] || unbraid feats fbank --conf "$model/front_end.toml" --resample 16000 \
    "scp:data/$set/wav.scp" "ark,scp:$out/$set.ark,$out/$set.scp"
done
awk '{ u[NR] = $1; s[NR] = $2 } END { for (a = 1; a <= NR; a++) for (b = a + 1; b <= NR; b++)
  print u[a], u[b], s[a] == s[b] ? "target" : "nontarget" }' data/test/utt2spk > "$out/trials"

# embed NAME MODEL...: embeddings of the test takes, and their equal error rate.
embed() {
  local name=$1
  shift
  unbraid extract "$@" --output speaker "scp:$out/test.scp" "ark,scp:$out/$name.ark,$out/$name.scp"
  unbraid verify score --trials "$out/trials" --scores "$out/scores_$name" "scp:$out/$name.scp"
  printf '%s\t%s\n' "$name" "$(local/eer_interval.py "$out/trials" "$out/scores_$name")" >> "$out/fine_tune.tsv"
}

printf 'recordings\tequal error rate, %%\n' > "$out/fine_tune.tsv"

embed none --model en-16k
for count in 1 5 20; do
  exp=$out/tuned_$count
  unbraid data subset --per-spk "$count" data/train "$out/train_$count"
  # A speaker of one recording has no second one that the speaker loss could compare.
  sampler='{kind="speakers",speakers=6,utterances=3}' weight=2.0
  if [ "$count" = 1 ]; then sampler='{kind="utterances",batch=6}' weight=0.0; fi
  unbraid train --init en-16k --exp "$exp" --seed "$seed" --steps 200 \
    --set "data.train=\"$out/train_$count\"" --set "data.train_feats=\"$out/train.scp\"" \
    --set 'data.valid="data/dev"' --set "data.valid_feats=\"$out/dev.scp\"" \
    --set 'data.labels="none"' --set method.label_weight=0.0 --set 'method.adversaries=[]' --set data.crop_frames=0 \
    --set "data.sampler=$sampler" --set "method.speaker_weight=$weight" --set method.optimiser.lr=0.0003 \
    --set train.select_after=0 --set train.validate_every=50 --set bf16=false --set train.threads=1 "$@"
  embed "$count" --exp "$exp"
done
cat "$out/fine_tune.tsv"
