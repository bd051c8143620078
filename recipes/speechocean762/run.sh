#!/usr/bin/env bash
# speechocean762 (OpenSLR 101): English sentences read by Mandarin speakers, children and adults. Trains, then evaluates
# with new probes and with trials, on unseen speakers and on training speakers. The configuration is 'phones_aligned'.
#
# recipes/speechocean762/run.sh [options]
#   --corpus DIR       the corpus, unpacked; fetched to downloads/ (520 MB) without this option
#   --parts LIST       further data directories of the corpus, whose speakers are all trained on, such as "extra" ()
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
parts=
confs=phones_aligned
. ../start.sh

. ../speechocean762/local/corpus.sh
# shellcheck disable=SC2086 # A list of words.
prepare_corpus() { prepare_speechocean762 $parts; }

. ../sentences.sh
