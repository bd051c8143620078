#!/usr/bin/env bash
# local/pseudo_labels.sh OUT: OUT/train and OUT/dev, in which the text of a recording is the number of its k-means cluster.
# The MFCC of each recording are stretched to 16 frames and joined to one vector. Each value of a vector is standardised
# per speaker, which leaves the differences between words. There are ten clusters, used equally often by every speaker.
# This assumes that a recording is one of ten words, and that each speaker has each word about equally often.
# Run from the recipe's folder after its stage 1.
set -euo pipefail
. ../path.sh
out=$1
clusters=10
mkdir -p "$out"

rows() {
  unbraid feats mfcc --set sample_frequency=8000.0 --set dither=0.0 --set snip_edges=false "scp:data/$1/wav.scp" "ark:$out/mfcc.ark"
  unbraid feats stretch --frames 16 "ark:$out/mfcc.ark" "ark:$out/long.ark"
  unbraid feats splice --left-context 8 --right-context 7 "ark:$out/long.ark" "ark:$out/beside.ark"
  unbraid feats subsample --n 16 --offset 8 "ark:$out/beside.ark" "ark,scp:$out/rows_$1.ark,$out/rows_$1.scp"
  rm "$out"/{mfcc,long,beside}.ark
}

for part in train dev; do rows $part; done
unbraid feats cmvn-stats --spk2utt data/train/spk2utt "scp:$out/rows_train.scp" "ark,scp:$out/cmvn.ark,$out/cmvn.scp"
for part in train dev; do
  unbraid feats apply-cmvn --norm-vars --utt2spk data/$part/utt2spk "scp:$out/cmvn.scp" "scp:$out/rows_$part.scp" \
    "ark,scp:$out/words_$part.ark,$out/words_$part.scp"
done
for part in train dev; do
  mkdir -p "$out/$part"
  cp data/$part/{wav.scp,utt2spk,spk2utt,feats.scp} "$out/$part"
done
unbraid units train "scp:$out/words_train.scp" --utt2spk data/train/utt2spk --clusters $clusters --n-init 10 \
  --out "$out/words.ark"
unbraid units apply "scp:$out/words_train.scp" --utt2spk data/train/utt2spk --model "$out/words.ark" --out "$out/train/text"
unbraid units apply "scp:$out/words_dev.scp" --model "$out/words.ark" --out "$out/dev/text"
for part in train dev; do unbraid data validate "$out/$part"; done
