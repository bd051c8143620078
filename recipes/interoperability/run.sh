#!/usr/bin/env bash
# Interoperability: both representations of recipes/mini's experiment in every format, read by the usual Python packages
# and compared with each other value by value.
#
# recipes/interoperability/run.sh [options]
#   --exp DIR          the experiment (../mini/exp/default_0, else ../mini/exp/quick/default_0)
#   --python PYTHON    a Python with packages of benches/baselines/requirements.txt ($UNBRAID_BASELINES, $UNBRAID_PYTHON or python3);
#                      a reader whose package is missing is skipped with a message
#
# Stages: 0 prepare, 1 features, 3 write all formats, 4 read them.
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
exp=
python=${UNBRAID_BASELINES:-${UNBRAID_PEERS:-${UNBRAID_PYTHON:-python3}}}
. ../start.sh
[ -n "$exp" ] || for exp in ../mini/exp/default_0 ../mini/exp/quick/default_0; do [ ! -e $exp ] || break; done
if [ ! -e "$exp/last" ]; then
  echo "$0: --exp $exp: expected a trained experiment, found none: run recipes/run.sh mini" >&2
  exit 1
fi
data=data/test

if at 0; then
  say "stage 0: prepare"
  mkdir -p $data $out
  for table in wav.scp utt2spk spk2utt text; do cp "../mini/data/all_test/$table" $data; done
fi

if at 1; then
  say "stage 1: features"
  unbraid feats fbank --conf ../mini/conf/fbank.toml --threads "$nj" "scp:$data/wav.scp" "ark,scp:$data/feats.ark,$data/feats.scp"
fi

if at 3; then
  say "stage 3: write"
  for format in "ark,scp:$out/phonetic.ark,$out/phonetic.scp" "npy:$out/phonetic" \
    "safetensors:$out/phonetic.safetensors" "parquet:$out/phonetic.parquet"; do
    unbraid extract --exp "$exp" --output phonetic "scp:$data/feats.scp" "$format"
  done
  unbraid extract --exp "$exp" --output speaker "scp:$data/feats.scp" "ark,scp:$out/speaker.ark,$out/speaker.scp"
  for representation in phonetic speaker; do
    unbraid export --exp "$exp" --output $representation $out/$representation.pt
    unbraid export --exp "$exp" --output $representation --front-end $out/${representation}_wav.pt
  done
fi

if at 4; then
  say "stage 4: read"
  for reader in kaldi tables lhotse torchscript; do "$python" local/read_$reader.py $data $out; done
fi
