# Sourced by the recipes of sentence corpora: all their stages, 0 to 5. The recipe defines prepare_corpus, which writes the
# sets of data_dir.py to data/.
sets="train dev train_probe train_spk_dev test test_learn test_probe"
speeds="0.9 1.1"

# deal FILE: distributes data/all/FILE to the sets, each line to the set of its utterance.
deal() {
  local part
  for part in $sets; do
    awk 'NR == FNR { own[$1]; next } $1 in own' "data/$part/utt2spk" "data/all/$1" > "data/$part/$1"
  done
}

# wanted DIR: whether a configuration, or its base, names DIR.
wanted() {
  local conf resolved
  for conf in $confs; do
    resolved=$(unbraid config show --conf "conf/$conf.toml")
    if grep -q "\"$1" <<< "$resolved"; then return 0; fi
  done
  return 1
}

# speed_copies: data/train_speed, the training set as it is, slower and faster; a speaker at another speed is another speaker.
speed_copies() {
  local parts=(data/train) speed copy
  for speed in $speeds; do
    copy=data/train_speed$speed
    rm -rf $copy
    unbraid data augment --conf <(printf '[speed]\nfactors = [%s]\n' $speed) --prefix "speed${speed/./}_" --threads "$nj" \
      data/train $copy
    features $copy --resample 16000
    parts+=("$copy")
  done
  rm -rf data/train_speed
  unbraid data combine data/train_speed "${parts[@]}"
  unbraid data validate data/train_speed
}

# noisy_copies: data/train_noise, the training set at all speeds, and a copy of each utterance in a room with noise, by the
# same speaker. Noises and rooms are the recipe's $noise and $rirs.
noisy_copies() {
  local copy=data/train_speed_noise
  rm -rf $copy data/train_noise
  unbraid data augment --conf conf/noise.toml --noise "$noise" --rirs "$rirs" --keep-speakers --prefix noise \
    --threads "$nj" data/train_speed $copy
  features $copy --resample 16000
  unbraid data combine data/train_noise data/train_speed $copy
  unbraid data validate data/train_noise
}

# frame_classes CTM: ali.scp of every set, also of the copies at other speeds, from the times of the phones.
frame_classes() {
  local ctm=$1 dir=data/all copies=data/train_speed speed
  unbraid data alignment --phones $dir/phones.txt "$ctm" $dir/feats.scp "ark,scp:$dir/ali.ark,$dir/ali.scp"
  deal ali.scp
  [ -e $copies ] || return 0
  {
    cat "$ctm"
    for speed in $speeds; do
      awk -v copy="speed${speed/./}_1-" -v speed="$speed" '{ $1 = copy $1; $3 /= speed; $4 /= speed; print }' "$ctm"
    done
  } > $copies/phones.ctm
  unbraid data alignment --phones $dir/phones.txt $copies/phones.ctm $copies/feats.scp "ark,scp:$copies/ali.ark,$copies/ali.scp"
  [ ! -e data/train_noise ] ||
    awk '{ print; $1 = $1 "-noise1"; print }' $copies/ali.scp | sort > data/train_noise/ali.scp
}

# embeds_of_speeds EXP SET...: EXP/speaker_speeds_SET.{ark,scp}, the speaker embeddings of each utterance as it is, slower and
# faster, concatenated.
embeds_of_speeds() {
  local exp=$1 part
  shift
  for part in "$@"; do
    by_parts "data/$part" wav.scp "$exp/speaker_speeds_$part" \
      unbraid extract --exp "$exp" --output speaker --wav --resample 16000 --speeds "1,${speeds// /,}" --resume
  done
}

# align_phones: for a corpus with phone sequences but no times, forced alignment by a recogniser on log-mel, which is trained
# on the training set.
align_phones() {
  local dir=data/all at=$out/recogniser steps=1200
  [ -e $dir/utt2phones ] && [ ! -e $dir/phones.ctm ] || return 0
  [ "$(cat $dir/aligned_by 2> /dev/null)" != "$at" ] || return 0
  [ "$quick" != true ] || steps=20
  say "stage 2: forced alignment of phones"
  unbraid asr train data/train --exp $at --labels phones --subsampling 4 --cmvn utterance --steps $steps --resume
  unbraid asr align scp:$dir/feats.scp $dir --exp $at --out $at/phones.ctm
  rm -f $dir/aligned_by
  { echo sil; cut -d' ' -f5 $at/phones.ctm; } | sort -u | awk '{ print $1, NR - 1 }' > $dir/phones.txt
  frame_classes $at/phones.ctm
  echo "$at" > $dir/aligned_by
}

# probe_representations DIR REPRESENTATION...: speaker probes, of the unseen speakers and (in known/) of the training speakers,
# tested on utterances that neither the networks nor the probes were trained on. For the first representation also probes of
# the phone of each frame, where the corpus has phones. Also writes the accuracy by gender and age, where they are known, and
# over the steps of the probes' training.
probe_representations() {
  local dir=$1 first=$2 name table unseen=() known=() groups=()
  shift
  for table in data/all/spk2gender data/all/spk2age; do [ ! -e $table ] || groups+=(--by $table); done
  for name in "$@"; do
    unseen+=(--representation "$name=$dir/${name}_test.scp,$dir/${name}_test.scp")
    known+=(--representation "$name=$dir/${name}_train.scp,$dir/${name}_train_probe.scp")
  done
  unbraid eval probe data/test_learn data/test_probe --target speaker "${unseen[@]}" "${probe_options[@]}" \
    "${groups[@]}" --curve "$dir/curve_speaker.tsv" --out "$dir/probe_speaker"
  mkdir -p "$dir/known"
  unbraid eval probe data/train data/train_probe --target speaker "${known[@]}" "${probe_options[@]}" \
    "${groups[@]}" --curve "$dir/known/curve_speaker.tsv" --out "$dir/known/probe_speaker"
  [ ! -e data/all/ali.scp ] ||
    unbraid eval probe data/train data/test --target frames "${probe_options[@]}" "${groups[@]}" \
      --out "$dir/probe_phone" --representation "$first=$dir/${first}_train.scp,$dir/${first}_test.scp"
}

if at 0; then
  prepare_corpus
  for part in all $sets; do unbraid data validate --no-feats "data/$part"; done
fi

if at 1; then
  say "stage 1: features"
  dir=data/all
  features $dir --resample 16000
  deal feats.scp
  if wanted data/train_speed || wanted data/train_noise; then speed_copies; fi
  if wanted data/train_noise; then noisy_copies; fi
  if wanted data/pseudo_labels; then
    say "stage 1: classes of frames"
    ../pseudo_labels.sh data/pseudo_labels
  fi
  [ ! -e $dir/phones.ctm ] || frame_classes $dir/phones.ctm
  rm -f $dir/aligned_by
  touch data/ready
fi

if at 2; then
  align_phones
  train_all
fi

if at 3; then
  for exp in $(each_exp); do
    say "stage 3: extract $exp"
    extract_one "$exp" phonetic train train_probe test
    extract_one "$exp" speaker train train_probe train_spk_dev test
    embeds_of_speeds "$exp" train train_spk_dev test
    extract_one "$exp" features test
    extract_mean "$exp" phonetic train_spk_dev test
    extract_mean "$exp" features train_spk_dev test
    unbraid eval conversion --exp "$exp" data/test_probe "$exp/conversion"
  done
fi

if at 4; then
  align_phones
  mel=$out/log-mel_0
  if [ ! -e $mel/known/probe_speaker.json ]; then
    say "stage 4: probe log-mel"
    mkdir -p $mel
    for part in train train_probe test; do cp "data/$part/feats.scp" "$mel/log-mel_$part.scp"; done
    probe_representations $mel log-mel
    attack $mel log-mel train test
  fi
  for exp in $(each_exp); do
    say "stage 4: probe and score $exp"
    probe_representations "$exp" phonetic speaker
    attack "$exp" phonetic train test
    # Whether decoded features have the target speaker, by probes that learned from real features.
    unbraid eval probe data/test_learn "$exp/conversion" --target speaker "${conversion_options[@]}" --robust \
      --representation "conversion=$exp/features_test.scp,$exp/conversion/feats.scp" --out "$exp/probe_conversion"
    for part in train_spk_dev test; do
      for representation in speaker speaker_speeds; do
        verify "$exp" ${representation}_$part "$exp/${representation}_$part.scp" $part
        verify "$exp" ${representation}_snorm_$part "$exp/${representation}_$part.scp" $part \
          --cohort "scp:$exp/${representation}_train.scp" --top 100
      done
      verify "$exp" phonetic_$part "$exp/mean_phonetic_$part.scp" $part
      verify "$exp" features_$part "$exp/mean_features_$part.scp" $part
    done
  done
fi

if at 5; then
  say "stage 5: results"
  echo "speakers of training, on utterances that were not learned from:"
  show_measures known results_known
  echo "unseen speakers:"
  show_results
fi
