#!/usr/bin/env bash
# discover_units.sh OUT: OUT/train and OUT/dev, in which the class of a frame (ali.scp) is the number of a cluster, found
# without labels. MFCC, standardised by speaker, 15 frames of them side by side (150 ms: about a phone and half of each
# neighbour); a hundred clusters, which every speaker uses alike. Run from a recipe's folder after its stage 1.
set -euo pipefail
. ../path.sh
out=$1
clusters=100
side=7
mkdir -p "$out"

# frames PART: OUT/frames_PART.{ark,scp}, standardised by the training set's frames of each speaker.
frames() {
  unbraid mfcc --resample 16000 --set dither=0.0 --set snip_edges=false "scp:data/$1/wav.scp" \
    "ark,scp:$out/mfcc.ark,$out/mfcc.scp"
  [ "$1" != train ] || unbraid compute-cmvn --spk2utt data/train/spk2utt "scp:$out/mfcc.scp" "ark,scp:$out/cmvn.ark,$out/cmvn.scp"
  unbraid apply-cmvn --norm-vars --utt2spk "data/$1/utt2spk" "scp:$out/cmvn.scp" "scp:$out/mfcc.scp" "ark:$out/level.ark"
  unbraid splice-feats --left-context $side --right-context $side "ark:$out/level.ark" \
    "ark,scp:$out/frames_$1.ark,$out/frames_$1.scp"
  rm "$out"/{mfcc.ark,mfcc.scp,level.ark}
}

for part in train dev; do
  frames $part
  mkdir -p "$out/$part"
  cp data/$part/{wav.scp,utt2spk,spk2utt,feats.scp} "$out/$part"
done
unbraid units train "scp:$out/frames_train.scp" --utt2spk data/train/utt2spk --clusters $clusters --steps 20 \
  --out "$out/units.ark"
unbraid units apply "scp:$out/frames_train.scp" --utt2spk data/train/utt2spk --model "$out/units.ark" \
  --out "$out/units_train" --frames "ark,scp:$out/train/ali.ark,$out/train/ali.scp"
unbraid units apply "scp:$out/frames_dev.scp" --model "$out/units.ark" --out "$out/units_dev" \
  --frames "ark,scp:$out/dev/ali.ark,$out/dev/ali.scp"
rm "$out"/frames_*
for part in train dev; do unbraid data validate --no-text "$out/$part"; done
