#!/usr/bin/env bash
# InfoGAN on MNIST, with one categorical and two continuous codes. Trains, draws images over the range of each code, and
# measures how well the categories agree with the digits.
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
