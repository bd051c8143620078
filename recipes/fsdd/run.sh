#!/usr/bin/env bash
# The Free Spoken Digit Dataset: 6 speakers, 10 digits, 3000 recordings. Trains, extracts both representations, trains new
# probes on them, tests the probes on unseen takes and prints one table.
#
# recipes/fsdd/run.sh [options]
#   --corpus DIR       the corpus; cloned to downloads/ without this option
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
. ../start.sh
url=https://github.com/Jakobovski/free-spoken-digit-dataset.git

if at 0; then
  if [ -z "$corpus" ]; then
    corpus=$PWD/downloads/fsdd
    [ -d "$corpus/recordings" ] || git clone --quiet --depth 1 $url "$corpus" ||
      { echo "$0: $url: expected to clone it, but git failed; give its folder with --corpus DIR" >&2; exit 1; }
  fi
  find_corpus
  say "stage 0: prepare $corpus"
  local/prepare.sh "$corpus" data
fi

if at 1; then
  say "stage 1: features"
  for dir in data/train data/dev data/test; do
    features $dir
  done
  touch data/ready
  if [[ " $confs " == *" pseudo_labels "* ]]; then local/pseudo_labels.sh data/pseudo_labels; fi
fi

if at 2; then train_all; fi

if at 3; then
  for exp in $(each_exp); do
    say "stage 3: extract $exp"
    for representation in phonetic speaker features; do extract_one "$exp" $representation train test; done
    unbraid eval conversion --exp "$exp" data/test "$exp/conversion"
  done
fi

if at 4; then
  say "stage 4: probe log-mel"
  mkdir -p $out/log-mel_0
  [ -e $out/log-mel_0/probe.json ] ||
    unbraid eval probe data/train data/test --target speaker --target text "${probe_options[@]}" \
      --representation log-mel=data/train/feats.scp,data/test/feats.scp --out $out/log-mel_0/probe
  unbraid eval abx data/test --representation log-mel=data/test/feats.scp --out $out/log-mel_0/abx
  for exp in $(each_exp); do
    say "stage 4: probe $exp"
    # Also writes the accuracy per speaker, and over the steps of the probes' training.
    unbraid eval probe data/train data/test --target speaker --target text "${probe_options[@]}" --out "$exp/probe" \
      --by speaker --curve "$exp/curve.tsv" \
      --representation "phonetic=$exp/phonetic_train.scp,$exp/phonetic_test.scp" \
      --representation "speaker=$exp/speaker_train.scp,$exp/speaker_test.scp"
    unbraid eval abx data/test --representation "phonetic=$exp/phonetic_test.scp" --out "$exp/abx"
    # Whether decoded features have the target speaker and the words, by probes that learned from real features.
    unbraid eval probe data/train "$exp/conversion" --target speaker --target text "${conversion_options[@]}" --robust \
      --representation "conversion=$exp/features_train.scp,$exp/conversion/feats.scp" --out "$exp/probe_conversion"
  done
fi

if at 5; then
  say "stage 5: results"
  show_results
fi
