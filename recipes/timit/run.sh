#!/usr/bin/env bash
# TIMIT: 630 American speakers, ten sentences each, phones marked by hand. Licensed by the LDC (LDC93S1), so --corpus is
# required. Trains on the training speakers and evaluates on the core test set, phones per frame.
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
