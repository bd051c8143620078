#!/usr/bin/env bash
# pseudo_labels.sh OUT: OUT/train and OUT/dev, in which the class of a frame (ali.scp) is the number of its k-means cluster.
# The clustered vectors are 15 joined frames of MFCC, standardised per speaker (150 ms: about a phone and half of each
# neighbour). There are a hundred clusters, used equally often by every speaker. Run from a recipe's folder after its stage 1.
set -euo pipefail
. ../path.sh
out=$1
clusters=100
side=7
mkdir -p "$out"

# frames PART: to standard output, standardised with the statistics of each speaker's training frames.
frames() {
  unbraid feats apply-cmvn --norm-vars --utt2spk "data/$1/utt2spk" "ark:$out/cmvn.ark" "ark:$out/mfcc_$1.ark" ark:- |
    unbraid feats splice --left-context $side --right-context $side ark:- ark:-
}

for part in train dev; do
  mkdir -p "$out/$part"
  cp data/$part/{wav.scp,utt2spk,spk2utt,feats.scp} "$out/$part"
  unbraid feats mfcc --resample 16000 --set dither=0.0 --set snip_edges=false "scp:data/$part/wav.scp" \
    "ark:$out/mfcc_$part.ark"
done
unbraid feats cmvn-stats --spk2utt data/train/spk2utt "ark:$out/mfcc_train.ark" "ark:$out/cmvn.ark"
frames train | unbraid units train ark:- --utt2spk data/train/utt2spk --clusters $clusters --steps 20 --out "$out/units.ark"
frames train | unbraid units apply ark:- --utt2spk data/train/utt2spk --model "$out/units.ark" --out "$out/units_train" \
  --frames "ark,scp:$out/train/ali.ark,$out/train/ali.scp"
frames dev | unbraid units apply ark:- --model "$out/units.ark" --out "$out/units_dev" \
  --frames "ark,scp:$out/dev/ali.ark,$out/dev/ali.scp"
rm "$out"/mfcc_*.ark
for part in train dev; do unbraid data validate --no-text "$out/$part"; done
