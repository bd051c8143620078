# Sourced by the recipes on speechocean762.

# prepare_speechocean762 [PART...]: data/, of $corpus, which is fetched where it is empty; PARTs are those of prepare.py.
prepare_speechocean762() {
  if [ -z "$corpus" ]; then
    fetch https://www.openslr.org/resources/101/speechocean762.tar.gz -
    unpack speechocean762 speechocean762.tar.gz
    corpus=$PWD/downloads/speechocean762/speechocean762
  fi
  find_corpus
  say "stage 0: prepare $corpus"
  python3 ../speechocean762/local/prepare.py "$corpus" data "$@"
}
