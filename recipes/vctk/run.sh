#!/usr/bin/env bash
# VCTK 0.92: 110 English speakers of many accents, about 400 sentences each. Ten speakers stay unseen. Trains on the others
# and evaluates with new probes and with trials on both.
#
# recipes/vctk/run.sh [options]
#   --corpus DIR       the corpus, unpacked; fetched to downloads/ (11 GB) without this option
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
confs=pseudo_labels
. ../start.sh

prepare_corpus() {
  if [ -z "$corpus" ]; then
    fetch https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip \
      8a6ba2946b36fcbef0212cad601f4bfa
    unpack vctk VCTK-Corpus-0.92.zip
    corpus=$PWD/downloads/vctk
  fi
  find_corpus
  say "stage 0: prepare $corpus"
  python3 local/prepare.py "$corpus" data
}

. ../sentences.sh
