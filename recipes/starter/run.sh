#!/usr/bin/env bash
# The starter models of data/models, trained on speechocean762 (OpenSLR 101): English sentences read by Mandarin speakers,
# children and adults, at three speeds, as recorded and in rooms with noise. Evaluated on speakers that are not trained on.
#
# recipes/starter/run.sh [options]
#   --corpus DIR       speechocean762, unpacked; fetched to downloads/ (520 MB) without this option
#   --parts LIST       further data directories of the corpus, whose speakers are all trained on, such as "extra" ()
#   --noise DIR        data directory or wav.scp of noises, such as MUSAN or ESC-10
#   --rirs DIR         data directory or wav.scp of room impulse responses, such as OpenSLR 28
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
parts=
noise=
rirs=
confs=en-16k
. ../start.sh

prepare_corpus() {
  if [ -z "$corpus" ]; then
    fetch https://www.openslr.org/resources/101/speechocean762.tar.gz -
    unpack speechocean762 speechocean762.tar.gz
    corpus=$PWD/downloads/speechocean762/speechocean762
  fi
  find_corpus
  say "stage 0: prepare $corpus"
  # shellcheck disable=SC2086
  python3 ../speechocean762/local/prepare.py "$corpus" data $parts
}

. ../sentences.sh
