# Sourced by recipes: the stages that all of them share. A recipe sets `quick`, `probe_seeds`, and `cmd`
# (cmd.sh).

say() { echo "$(date +%H:%M:%S) $*" >&2; }

# Where runs go; those that only show that everything works have a place of their own.
out=exp
train_options=()
probe_options=(--seeds "$probe_seeds")
swap_options=(--seeds 1)
if [ "$quick" = true ]; then
  out=exp/quick
  [ "$stage" -gt 2 ] || rm -rf $out
  train_options=(--steps 20)
  probe_options=(--seeds 1 --epochs 1 --min-steps 20)
  swap_options=("${probe_options[@]}")
fi

# train_one CONF SEED: $out/CONF_SEED, taken up where it stopped; one that is done is left as it is, and one of
# another configuration is refused.
train_one() {
  local exp=$out/$1_$2
  say "train $exp"
  $cmd unbraid train --conf "conf/$1.toml" --exp "$exp" --seed "$2" --resume "${train_options[@]}"
}

# extract_one EXP STRAND SET...: EXP/STRAND_SET.{ark,scp}
extract_one() {
  local exp=$1 strand=$2 set
  shift 2
  for set in "$@"; do
    $cmd unbraid extract --exp "$exp" --strand "$strand" --resume \
      "scp:data/$set/feats.scp" "ark,scp:$exp/${strand}_$set.ark,$exp/${strand}_$set.scp"
  done
}

# runs_of CONF FILE SEED...: CONF=$out/CONF_SEED/FILE,... for `unbraid results`
runs_of() {
  local conf=$1 file=$2 list= seed
  shift 2
  for seed in "$@"; do
    list=$list,$out/${conf}_$seed/$file
  done
  echo "$conf=${list#,}"
}

# say_where: what the recipe left, for people.
say_where() {
  local conf
  for conf in $confs; do
    local exp=$PWD/$out/${conf}_${seeds%% *}
    cat << END

$conf:
  codes, frame by frame   $exp/phonetic_test.scp
  speaker embeddings      $exp/speaker_test.scp
  weights                 $exp/last/weights.safetensors
  every probe             $exp/probe*.json
  training curves         $exp/log.jsonl, or: tensorboard --logdir $exp
END
  done
  echo
  echo "this table: $PWD/$out/results.{tsv,md,json}"
}
