#!/usr/bin/env bash
# split.sh DATA: splits all_train and all_test, with their features, into the sets of the recipe. The last two sentences of
# every training speaker are the development set (dev). The unseen speakers have 10 sentences each: probes of them are
# trained on 6 (test_learn) and tested on 4 (test_probe), which no training speaker has.
set -eu
export LC_ALL=C
data=$1
# subset FROM TO FIRST LAST: each speaker's utterances FIRST to LAST, counted from 1.
subset() {
  awk -v first="$3" -v last="$4" '{ n[$2]++; if (n[$2] >= first && n[$2] <= last) print $1 }' \
    "$data/$1/utt2spk" > "$data/$2.list"
  rm -rf "${data:?}/$2"
  unbraid data subset --utt-list "$data/$2.list" "$data/$1" "$data/$2"
}
subset all_train train 1 8
subset all_train dev 9 10
subset all_test test 1 10
subset all_test test_learn 1 6
subset all_test test_probe 7 10
unbraid data trials --number all "$data/test"
