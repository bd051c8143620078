# Sourced after start.sh by the recipes of images: all their stages. The recipe defines `tests_of CONF`, which prints the test
# sets of a run, one per line, as `unbraid image evaluate --test` takes them.
#
# Stages: 0 prepare, 1 train the classifier whose features measure samples, 2 train, 3 pictures, 4 evaluate, 5 results.

mnist_url=https://ossci-datasets.s3.amazonaws.com/mnist

# link_mnist: data/mnist, from --corpus (the folder of the four files, or one that has them under mnist/) or fetched.
link_mnist() {
  mkdir -p data
  if [ -z "$corpus" ]; then
    fetch $mnist_url/train-images-idx3-ubyte.gz f68b3c2dcbeaaa9fbdd348bbdeb94873
    fetch $mnist_url/train-labels-idx1-ubyte.gz d53e105ee54ea40749a09fcbcd1e9432
    fetch $mnist_url/t10k-images-idx3-ubyte.gz 9fb629c4189551a2d022fa330f9573f3
    fetch $mnist_url/t10k-labels-idx1-ubyte.gz ec29112dd5afa0611ce80d1b7f02629c
    ln -sfn ../downloads data/mnist
    return
  fi
  find_corpus
  local folder=$corpus
  [ -d "$corpus/mnist" ] && folder=$corpus/mnist
  [ -e "$folder/train-images-idx3-ubyte.gz" ] ||
    { echo "$0: --corpus $corpus: expected train-images-idx3-ubyte.gz there or under mnist/, found neither" >&2; exit 1; }
  ln -sfn "$folder" data/mnist
}

mnist_test=idx:data/mnist/t10k-images-idx3-ubyte.gz,data/mnist/t10k-labels-idx1-ubyte.gz

# train_lenet: the classifier that measures samples, once for all recipes of a corpus, in LENET.
train_lenet() {
  lenet=$out/lenet
  [ "$quick" = true ] || lenet=../lenet/exp
  if at 1 && [ ! -e $lenet/scores.json ]; then
    say "stage 1: train the classifier that measures samples"
    $cmd "$lenet.log" unbraid train --conf ../lenet/conf/default.toml --exp $lenet --resume "${train_options[@]}"
    unbraid image evaluate --exp $lenet --test "$mnist_test" --out $lenet/scores
  fi
}

# evaluate_one EXP CONF
evaluate_one() {
  local tests=() test options=()
  while read -r test; do tests+=(--test "$test"); done < <(tests_of "$2")
  [ -z "${lenet:-}" ] || options+=(--lenet "$lenet")
  unbraid image evaluate --exp "$1" "${tests[@]}" "${options[@]}" --out "$1/scores"
}

# pictures_of EXP CONF: pictures of samples, and maps of the encoded images.
pictures_of() {
  local tests=() test
  say "stage 3: pictures of $1"
  mkdir -p "$1/pictures"
  while read -r test; do tests+=(--test "$test"); done < <(tests_of "$2")
  if [[ $(sed -n 's/^name = //p' "$1/conf.toml") != *@(dann|classifier)* ]]; then
    unbraid image sample --exp "$1" "${tests[@]:0:2}" --out "$1/pictures"
  fi
  unbraid image encode --exp "$1" "${tests[@]}" --tables "$1" "ark,scp:$1/codes.ark,$1/codes.scp"
  unbraid plot map "$1/codes.scp" --labels "$1/text" --out "$1/pictures/classes.svg"
  [ ${#tests[@]} -le 2 ] || unbraid plot map "$1/codes.scp" --labels "$1/utt2set" --out "$1/pictures/sets.svg"
}

# image_stages: all but the first two.
image_stages() {
  local conf seed exp runs name list
  if at 2; then train_all; fi
  if at 3; then
    for conf in $confs; do
      for seed in $seeds; do pictures_of "$(exp_of "$conf" "$seed")" "$conf"; done
    done
  fi
  if at 4; then
    for conf in $confs; do
      for seed in $seeds; do
        exp=$(exp_of "$conf" "$seed")
        say "stage 4: evaluate $exp"
        [ -e "$exp/scores.json" ] || evaluate_one "$exp" "$conf"
      done
    done
  fi
  if at 5; then
    say "stage 5: results"
    runs=()
    for conf in $confs; do
      name=$(named "$conf" "$set") list=
      for seed in $seeds; do list+=,$out/${name}_$seed/scores.json; done
      runs+=("${name//=/ }=${list#,}")
    done
    unbraid image results "${runs[@]}" --out $out/results
    write_reports
  fi
}

# mnist_recipe: all stages of a recipe whose runs are tested on MNIST's own test set.
mnist_recipe() {
  tests_of() { echo "$mnist_test"; }
  if at 0; then
    say "stage 0: prepare"
    link_mnist
  fi
  train_lenet
  image_stages
}
