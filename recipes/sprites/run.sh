#!/usr/bin/env bash
# All image methods on synthetic images with known factors: InfoGAN, VAE-GAN and the variational autoencoder, BiGAN, Triple
# GAN and its classifier on the labels alone, DANN (to shapes on noise) and its source alone. Needs no download.
#
# recipes/sprites/run.sh [options]
#
set -euo pipefail
cd "$(dirname "$0")"
confs="infogan vae vaegan bigan triplegan labels_alone dann source"
. ../start.sh
. ../images.sh

# The target domain of an adaptation first. A quick run takes few images.
tests_of() {
  local many=10000 some=2000
  [ "$quick" = false ] || { many=300 some=300; }
  case $1 in
    dann | source) printf '%s\n' noise=sprites:$some,101,noise black=sprites:$some,100 ;;
    *) echo sprites:$many,100 ;;
  esac
}

lenet=$out/lenet
if at 1; then
  say "stage 1: train the classifier that measures samples"
  $cmd "$lenet.log" unbraid train --conf conf/lenet.toml --exp $lenet --resume "${train_options[@]}"
fi
image_stages
