#!/usr/bin/env bash
# Triple GAN on MNIST with 100 labels, drawn by the seed, and the same classifier trained on these labels alone:
# --confs "default labels_alone" --seeds "0 1 2 3 4".
#
# recipes/mnist/triplegan/run.sh [options]
#   --corpus DIR       the folder of MNIST's four files, or one that has it as mnist/; fetched without this option
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
. ../../start.sh
. ../../images.sh
mnist_recipe
