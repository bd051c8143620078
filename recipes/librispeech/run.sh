#!/usr/bin/env bash
# LibriSpeech (OpenSLR 12): read English books. Trains on the speakers of train-clean-100 (and of every other train-* part
# in the corpus's folder). The speakers of dev-clean are for choosing settings, those of test-clean for the evaluation.
#
# recipes/librispeech/run.sh [options]
#   --corpus DIR       the folder LibriSpeech, unpacked; fetched to downloads/ (7 GB) without this option
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
confs=pseudo_labels
. ../start.sh

prepare_corpus() {
  if [ -z "$corpus" ]; then
    local url=https://www.openslr.org/resources/12
    fetch $url/train-clean-100.tar.gz 2a93770f6d5c6c964bc36631d331a522
    fetch $url/dev-clean.tar.gz 42e2234ba48799c1f50f24a7926300a1
    fetch $url/test-clean.tar.gz 32fa31d27d2e1cad72775fee3f4849a9
    unpack librispeech train-clean-100.tar.gz dev-clean.tar.gz test-clean.tar.gz
    corpus=$PWD/downloads/librispeech/LibriSpeech
  fi
  find_corpus
  say "stage 0: prepare $corpus"
  python3 local/prepare.py "$corpus" data
}

. ../sentences.sh
