#!/usr/bin/env bash
# TIMIT: 630 Americans, ten sentences each, phones marked by hand. Licensed by the LDC (LDC93S1): it has to be given.
# Trains on the training speakers and asks about the core test set; phones are read frame by frame.
#
# recipes/timit/run.sh --corpus DIR [options]
#   --corpus DIR       the folder that holds TRAIN and TEST
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
confs=pseudo_labels
. ../start.sh

prepare_corpus() {
  if [ -z "$corpus" ]; then
    echo "$0: --corpus: expected the folder of TIMIT, which the LDC licenses (LDC93S1), found none" >&2
    exit 1
  fi
  find_corpus
  say "stage 0: prepare $corpus"
  python3 local/prepare.py "$corpus" data
}

. ../sentences.sh
