#!/usr/bin/env bash
# DANN from MNIST to MNIST-M (mnistm/), from MNIST to USPS (usps/) and back (mnist/), by gradient reversal and with
# alternating updates; and the same network trained on the source alone and on the labels of the target.
#
# recipes/mnist/dann/run.sh --corpus DIR [options]
#   --corpus DIR       the folder that has mnist/, mnistm/ and usps/, each with its idx files
#   --pairs LIST       target domains (mnistm)
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
pairs=mnistm
confs="gradient_reversal alternating source target"
. ../../start.sh
. ../../images.sh
names=$confs confs=
for pair in $pairs; do for name in $names; do confs+="$pair/$name "; done; done

idx() { echo "$1=idx:data/$1/$2-images-$3-ubyte.gz,data/$1/$2-labels-idx1-ubyte.gz"; }

# The target domain first, then the source.
tests_of() {
  local mnist mnistm usps
  mnist=$(idx mnist t10k idx3) mnistm=$(idx mnistm mnistm-test idx4) usps=$(idx usps usps-test idx3)
  case $1 in
    mnistm/*) printf '%s\n' "$mnistm" "$mnist" ;;
    usps/*) printf '%s\n' "$usps" "$mnist" ;;
    mnist/*) printf '%s\n' "$mnist" "$usps" ;;
  esac
}

if at 0; then
  say "stage 0: prepare"
  [ -n "$corpus" ] || { echo "$0: --corpus: expected the folder that has mnist/, mnistm/ and usps/, found none" >&2; exit 1; }
  link_mnist
  for domain in mnistm usps; do
    [ -d "$corpus/$domain" ] || { echo "$0: --corpus $corpus: expected a folder $domain/ there, found none" >&2; exit 1; }
    ln -sfn "$corpus/$domain" data/$domain
  done
fi
image_stages
