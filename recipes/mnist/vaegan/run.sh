#!/usr/bin/env bash
# VAE-GAN on MNIST, with a discriminator of two classes (default) and of three (three), and the variational autoencoder with
# the same encoder and decoder (vae): --confs "vae default three".
#
# recipes/mnist/vaegan/run.sh [options]
#   --corpus DIR       the folder of MNIST's four files, or one that has it as mnist/; fetched without this option
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
. ../../start.sh
. ../../images.sh
mnist_recipe
