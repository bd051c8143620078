#!/usr/bin/env bash
# Bundled synthetic speech: 24 voices to train on, 8 unseen ones. Trains, extracts both strands of the unseen
# voices, probes them afresh and prints one table. Needs no download.
#
# recipes/mini/run.sh [options]
#   --stage N          first stage: 0 prepare, 1 features, 2 train, 3 extract, 4 probe and score, 5 results (0)
#   --stop-stage N     last stage (5)
#   --nj N             threads of the front-end (2)
#   --confs LIST       configurations of conf/ (default)
#   --seeds LIST       seeds of each (0)
#   --probe-seeds N    seeds of each probe (1)
#   --quick BOOL       a few steps only, to see that everything works (false)
set -euo pipefail
cd "$(dirname "$0")"
stage=0
stop_stage=5
nj=2
confs=default
seeds=0
probe_seeds=1
quick=false
. ../parse_options.sh
. ../path.sh
. ./cmd.sh
. ../stages.sh
bundle=$root/data/mini
# So few sentences are soon learned.
if [ "$quick" = false ]; then
  probe_options+=(--min-steps 300)
  swap_options+=(--min-steps 300)
fi
at() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }
each_exp() { for conf in $confs; do for seed in $seeds; do echo "$out/${conf}_$seed"; done; done; }

# probe_strands DIR STRAND...: voices from utterances of the unseen voices; phones, of the first strand (which is by
# frame), from the training voices.
probe_strands() {
  local dir=$1 first=$2 name voices=()
  shift
  for name in "$@"; do
    voices+=(--strand "$name=$dir/${name}_test_learn.scp,$dir/${name}_test_probe.scp")
  done
  unbraid probe data/test_learn data/test_probe --target speaker "${voices[@]}" "${probe_options[@]}" \
    --out "$dir/probe_speaker"
  unbraid probe data/train data/test --target frames "${probe_options[@]}" --out "$dir/probe_phone" \
    --strand "$first=$dir/${first}_train.scp,$dir/${first}_test.scp"
}

if at 0; then
  say "stage 0: prepare"
  local/prepare.sh "$bundle" "$root" data
fi

if at 1; then
  say "stage 1: features and phones by frame"
  for set in train test; do
    dir=data/all_$set
    $cmd unbraid fbank --conf conf/fbank.toml --threads "$nj" "scp:$dir/wav.scp" "ark,scp:$dir/feats.ark,$dir/feats.scp"
    unbraid ctm-to-ali --phones "$bundle/phones.txt" --outside SIL "$bundle/$set/phones.ctm" "$dir/feats.scp" \
      "ark,scp:$dir/ali.ark,$dir/ali.scp"
  done
  local/split.sh data
fi

if at 2; then
  for conf in $confs; do
    for seed in $seeds; do train_one "$conf" "$seed"; done
  done
fi

if at 3; then
  for exp in $(each_exp); do
    say "stage 3: extract $exp"
    extract_one "$exp" phonetic train test test_learn test_probe
    extract_one "$exp" speaker test test_learn test_probe
    extract_one "$exp" features test_learn
    unbraid extract --exp "$exp" --strand phonetic --pool utterance scp:data/test/feats.scp "ark,scp:$exp/pooled.ark,$exp/pooled.scp"
    unbraid swap --exp "$exp" data/test_probe "$exp/swap"
  done
fi

if at 4; then
  mel=$out/log-mel_0
  if [ ! -e $mel/probe_phone.json ]; then
    say "stage 4: probe log-mel"
    mkdir -p $mel
    for set in train test test_learn test_probe; do cp "data/$set/feats.scp" "$mel/log-mel_$set.scp"; done
    probe_strands $mel log-mel
  fi
  for exp in $(each_exp); do
    say "stage 4: probe and score $exp"
    probe_strands "$exp" phonetic speaker
    # Whose voice: told by probes of real features. The voice is the one that was lent.
    unbraid probe data/test_learn "$exp/swap" --target speaker "${swap_options[@]}" --robust \
      --strand "swap=$exp/features_test_learn.scp,$exp/swap/feats.scp" --out "$exp/probe_swap"
    for strand in speaker phonetic; do
      scp=$exp/speaker_test.scp
      [ $strand = speaker ] || scp=$exp/pooled.scp
      echo "verification of unseen voices, $strand strand:"
      unbraid score --trials data/test/trials --out "$exp/eer_$strand" "scp:$scp"
    done
  done
fi

if at 5; then
  say "stage 5: results"
  runs=(log-mel=$out/log-mel_0/probe_speaker.json,$out/log-mel_0/probe_phone.json)
  for conf in $confs; do
    runs+=("$(runs_of "$conf" probe_speaker.json $seeds),$(runs_of "$conf" probe_phone.json $seeds | cut -d= -f2)")
    runs+=("$(runs_of "$conf" probe_swap.json $seeds)")
  done
  unbraid results "${runs[@]}" --out $out/results
  say_where
fi
