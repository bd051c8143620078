#!/usr/bin/env bash
# InfoGAN on MNIST: a category and two continuous codes that a generator's images tell. Trains, draws each code from end
# to end, and asks how the categories answer to digits.
#
# recipes/mnist/infogan/run.sh [options]
#   --corpus DIR       the folder of MNIST's four files, or one that has it as mnist/; fetched without this option
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
. ../../start.sh
. ../../images.sh
mnist_recipe
