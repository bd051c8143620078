#!/usr/bin/env bash
# Bundled synthetic speech: 24 training speakers, 8 unseen ones. Trains, extracts both representations of the unseen
# speakers, trains new probes on them and prints one table. Needs no download.
#
# recipes/mini/run.sh [options]
#
set -euo pipefail
cd "$(dirname "$0")"
. ../start.sh
bundle=$root/data/mini
# The probes of so few sentences converge early.
if [ "$quick" = false ]; then
  probe_options+=(--min-steps 300)
  conversion_options+=(--min-steps 300)
fi

# probe_representations DIR REPRESENTATION...: the speakers of all utterances of the unseen speakers, cross-validated; and
# the phone of each frame from the first representation, by probes that learned from the training speakers.
probe_representations() {
  local dir=$1 first=$2 name representations=()
  shift
  for name in "$@"; do representations+=(--representation "$name=$dir/${name}_test.scp"); done
  unbraid eval probe data/test --folds 5 --target speaker "${representations[@]}" "${probe_options[@]}" \
    --out "$dir/probe_speaker"
  unbraid eval probe data/train data/test --target frames "${probe_options[@]}" --out "$dir/probe_phone" \
    --representation "$first=$dir/${first}_train.scp,$dir/${first}_test.scp"
}

if at 0; then
  say "stage 0: prepare"
  local/prepare.sh "$bundle" "$root" data
fi

if at 1; then
  say "stage 1: features and the phone of each frame"
  for part in train test; do
    dir=data/all_$part
    features $dir
    unbraid data alignment --phones "$bundle/phones.txt" --outside SIL "$bundle/$part/phones.ctm" "$dir/feats.scp" \
      "ark,scp:$dir/ali.ark,$dir/ali.scp"
  done
  local/split.sh data
  touch data/ready
fi

if at 2; then
  train_all
  if [ "$quick" = true ]; then
    say "stage 2: train with two processes"
    unbraid train --conf conf/constraint.toml --exp $out/ranks --ranks 2 --resume --steps 4 --set data.sampler.speakers=4
  fi
fi

if at 3; then
  for exp in $(each_exp); do
    say "stage 3: extract $exp"
    extract_one "$exp" phonetic train test
    extract_one "$exp" speaker test
    extract_one "$exp" features test
    extract_mean "$exp" phonetic test
    unbraid eval conversion --exp "$exp" data/test_probe "$exp/conversion"
  done
fi

if at 4; then
  mel=$out/log-mel_0
  if [ ! -e $mel/probe_phone.json ]; then
    say "stage 4: probe log-mel"
    mkdir -p $mel
    for part in train test; do cp "data/$part/feats.scp" "$mel/log-mel_$part.scp"; done
    probe_representations $mel log-mel
    attack $mel log-mel train test
  fi
  unbraid eval abx data/test --alignments "$bundle/test/phones.ctm" --without-context --representation log-mel=data/test/feats.scp --out $mel/abx
  for exp in $(each_exp); do
    say "stage 4: probe and score $exp"
    probe_representations "$exp" phonetic speaker
    attack "$exp" phonetic train test
    unbraid eval abx data/test --alignments "$bundle/test/phones.ctm" --without-context --frame-shift-ms 20 \
      --representation "phonetic=$exp/phonetic_test.scp" --out "$exp/abx"
    # Whether decoded features have the target speaker, by probes that learned from real features.
    unbraid eval probe data/test_learn "$exp/conversion" --target speaker "${conversion_options[@]}" --robust \
      --representation "conversion=$exp/features_test.scp,$exp/conversion/feats.scp" --out "$exp/probe_conversion"
    verify "$exp" speaker "$exp/speaker_test.scp" test
    verify "$exp" phonetic "$exp/mean_phonetic_test.scp" test
  done
fi

if at 5; then
  say "stage 5: results"
  show_results
fi
