#!/usr/bin/env bash
# BiGAN on MNIST, and the autoencoder of the same networks:
# --confs "default autoencoder".
#
# recipes/mnist/bigan/run.sh [options]
#   --corpus DIR       the folder of MNIST's four files, or one that has it as mnist/; fetched without this option
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
. ../../start.sh
. ../../images.sh
mnist_recipe
