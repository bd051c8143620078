# Sourced by start.sh and sweep.sh: what the stages of all recipes share.

say() { echo "$(date +%H:%M:%S) $*" >&2; }

# Where runs go; those that only show that everything works have a place of their own.
out=exp
train_options=()
probe_options=(--seeds "$probe_seeds")
conversion_options=(--seeds 1)
attack_options=()
if [ "$quick" = true ]; then
  out=exp/quick
  [ "$stage" -gt 0 ] || rm -rf $out
  train_options=(--steps 20)
  probe_options=(--seeds 1 --epochs 1 --min-steps 20)
  conversion_options=("${probe_options[@]}")
  attack_options=(--draws 2 --encoder-steps 20)
  # Threads that wait for each other on busy cores would cost more than these few steps.
  export OMP_NUM_THREADS=1
fi

# at N: whether stage N was asked for.
at() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }

# find_corpus: $corpus as an absolute path; what was given as a relative one was so where the recipe was called.
find_corpus() {
  local found
  if ! found=$(cd "$called_from" && realpath -e "$corpus" 2> /dev/null) || [ ! -d "$found" ]; then
    echo "$0: --corpus $corpus: expected the corpus's folder, found none" >&2
    exit 1
  fi
  corpus=$found
}

# named CONF SETTINGS: a configuration with its settings, as folders have it. Of a key, 'method.' is left out.
named() {
  local name=${1//\//-} setting
  for setting in $2; do name+=+${setting#method.}; done
  echo "${name//[^A-Za-z0-9_.=+-]/}"
}

# exp_of CONF SEED: the folder of a run.
exp_of() { echo "$out/$(named "$1" "$set")_$2"; }

each_exp() { for conf in $confs; do for seed in $seeds; do exp_of "$conf" "$seed"; done; done; }

# train_all: taken up where it stopped; a run that is done is left as it is, and one of another configuration is
# refused.
train_all() {
  local conf seed setting settings=()
  for setting in $set; do settings+=(--set "$setting"); done
  for conf in $confs; do
    for seed in $seeds; do
      say "stage 2: train $(exp_of "$conf" "$seed")"
      $cmd "$(exp_of "$conf" "$seed").log" \
        unbraid train --conf "conf/$conf.toml" --exp "$(exp_of "$conf" "$seed")" --seed "$seed" --resume ${init:+--init="$(exp_of "$init" "$seed")"} \
        "${settings[@]}" "${train_options[@]}"
    done
  done
}

# by_parts DIR LIST TARGET COMMAND...: TARGET.{ark,scp} by a command that ends with a specifier of DIR/LIST and one of TARGET.
# On other machines it runs as $nj jobs; of an array that was stopped, the jobs that are done are not run again.
by_parts() {
  local dir=$1 list=$2 target=$3 count lines
  shift 3
  if here; then
    "$@" "scp:$dir/$list" "ark,scp:$target.ark,$target.scp"
    return
  fi
  lines=$(wc -l < "$dir/utt2spk")
  count=$((nj < lines ? nj : lines))
  [ ! -e "$target.scp" ] || rm -f "$target".[0-9]*.scp
  unbraid data split --per-utt "$dir" "$count"
  mkdir -p "$(dirname "$target")/log"
  $cmd JOB=1:$count "$(dirname "$target")/log/$(basename "$target").JOB.log" "$recipes/once.sh" "$target.JOB.scp" \
    "$@" "scp:$dir/split${count}utt/JOB/$list" "ark,scp:$target.JOB.ark,$target.JOB.scp"
  for job in $(seq "$count"); do cat "$target.$job.scp"; done | sort > "$target.half"
  mv "$target.half" "$target.scp"
}

# features DIR OPTION...: DIR/feats.{ark,scp}
features() {
  local dir=$1
  shift
  by_parts "$dir" wav.scp "$dir/feats" unbraid feats fbank --conf conf/fbank.toml --threads "$(here && echo "$nj" || echo 1)" "$@"
}

# extract_one EXP REPRESENTATION SET...: EXP/REPRESENTATION_SET.{ark,scp}
extract_one() {
  local exp=$1 representation=$2 part
  shift 2
  for part in "$@"; do
    by_parts "data/$part" feats.scp "$exp/${representation}_$part" \
      unbraid extract --exp "$exp" --output "$representation" --resume
  done
}

# extract_mean EXP REPRESENTATION SET...: EXP/mean_REPRESENTATION_SET.{ark,scp}, a vector an utterance
extract_mean() {
  local exp=$1 representation=$2 part
  shift 2
  for part in "$@"; do
    by_parts "data/$part" feats.scp "$exp/mean_${representation}_$part" \
      unbraid extract --exp "$exp" --output "$representation" --pool utterance --resume
  done
}

# verify EXP NAME SCP SET [SCORE OPTION...]: trials of unseen speakers, EXP/eer_NAME.{json,tsv} and EXP/scores_NAME
verify() {
  local exp=$1 name=$2 scp=$3 part=$4
  shift 4
  echo "verification of the speakers of $part, $name:"
  unbraid verify score --trials "data/$part/trials" "$@" --out "$exp/eer_$name" --scores "$exp/scores_$name" "scp:$scp"
}

# attack FOLDER NAME TRAIN TEST: FOLDER/attack.{json,tsv,svg}, how many of the unseen speakers an attacker finds by the
# representation NAME, of which FOLDER has the lists of the sets.
attack() {
  local folder=$1 name=$2 train=$3 test=$4
  unbraid eval attack "data/$train" "data/$test" "${attack_options[@]}" --out "$folder/attack" \
    --representation "$name=$folder/${name}_$train.scp,$folder/${name}_$test.scp"
}

# files_of FOLDER: the results of its probes, with commas between.
files_of() {
  local files=("$1"/probe*.json)
  (IFS=,; echo "${files[*]}")
}

# runs_of CONF SETTINGS FOLDER: NAME=RUNS for `unbraid eval results`, of every seed; FOLDER is '.', or one in each run's
# where it has more results.
runs_of() {
  local name seed list=
  name=$(named "$1" "$2")
  for seed in $seeds; do list+=,$out/${name}_$seed/$3; done
  echo "${name//=/ }=${list#,}"
}

# probes_of CONF SETTINGS: NAME=FILES for `unbraid eval frontier`, the probes of every seed.
probes_of() {
  local name seed list=
  name=$(named "$1" "$2")
  for seed in $seeds; do list+=,$(files_of "$out/${name}_$seed"); done
  echo "${name//=/ }=${list#,}"
}

# show_measures FOLDER NAME: $out/NAME, a table of everything that was measured, log-mel first.
show_measures() {
  local conf runs=()
  [ ! -d "$out/log-mel_0/$1" ] || runs=("log-mel=$out/log-mel_0/$1")
  for conf in $confs; do runs+=("$(runs_of "$conf" "$set" "$1")"); done
  unbraid eval results "${runs[@]}" --out "$out/$2"
}

show_results() {
  show_measures . results
  write_reports
  say_where
}

# write_reports: of each run a page of everything, EXP/report.html
write_reports() {
  local exp data=()
  [ ! -e data/test/utt2spk ] || data=(--data data/test)
  echo
  for exp in $(each_exp); do unbraid report --exp "$exp" "${data[@]}"; done
}

# say_where: what the recipe left, for people.
say_where() {
  local conf exp
  for conf in $confs; do
    exp=$PWD/$(exp_of "$conf" "${seeds%% *}")
    cat << END

$conf:
  everything on a page    $exp/report.html
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
