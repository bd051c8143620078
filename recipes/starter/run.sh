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

. ../speechocean762/local/corpus.sh
# shellcheck disable=SC2086 # A list of words.
prepare_corpus() { prepare_speechocean762 $parts; }

. ../sentences.sh
