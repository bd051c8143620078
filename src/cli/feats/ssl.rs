//! `unbraid feats ssl`: hidden states of self-supervised encoders, and features of other networks.

use std::path::PathBuf;

use clap::Args;

use super::audio_map::AudioArgs;
use crate::cli::models::DeviceArgs;
use crate::error::{Error, Result};
use crate::io::kaldi::RowSpool;
use crate::nn::AnyFrontEnd;
use crate::nn::ssl::SslConfig;
use crate::signal::{AnyFrontEndOptions, NetworkOptions, SslOptions};

/// Compute hidden states of HuBERT, wav2vec 2.0 or WavLM.
///
/// A front-end's file (--conf) may name a TorchScript module or an ONNX model instead.
///
/// The weights are a folder as Hugging Face's transformers saves it, with config.json and model.safetensors. ContentVec and
/// Spin have HuBERT's form. A frame comes every 20 ms. An utterance that fails is reported and left out; the other
/// utterances are written, and the exit code is 1, or 0 with scp,p:FILE.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats ssl --model hubert-base-ls960 --layer 9 \\
    scp:data/x/wav.scp ark,scp:hubert.ark,hubert.scp
  unbraid feats ssl --model wavlm-large --device cuda \\
    scp:data/x/wav.scp ark,scp:wavlm.ark,wavlm.scp

The weights are not part of unbraid. Where there is a network, and a Python:

  hf download facebook/hubert-base-ls960 --local-dir hubert-base-ls960

A folder that has pytorch_model.bin alone is converted once:

  python3 -c \"from transformers import AutoModel as M
  M.from_pretrained('hubert-base-ls960').save_pretrained('hubert')\"

Layer 0 is the input of the transformer, and the last one its output. Recordings
are resampled to 16 kHz with --resample 16000. Those of more than a minute are
encoded in windows of a minute; each frame has at least five seconds of context.

Train on them with data.train_feats (and data.valid_feats) in a configuration.
data.front_end names the front-end's file, so that the model reads recordings,
too (extract a.wav, same). With --conf this command computes what it describes:

  kind = \"hubert\"               # or wav2vec2, wavlm
  model = \"hubert-base-ls960\"
  layer = 9                     # or layer_weights = [0.1, 0.9, ...]

  kind = \"module\"               # waveforms [1, samples] to [1, frames, dim]
  file = \"features.pt\"          # a program: only from who you trust; or ONNX
  sample_rate_hz = 16000
  frame_shift = 320             # samples
  frame_length = 400            # the fewest samples that give a frame
  dim = 768

A module has to give floor((samples - frame_length) / frame_shift) + 1 frames.")]
pub(super) struct SslArgs {
    /// Folder with config.json and model.safetensors
    #[arg(long, value_name = "DIR", required_unless_present = "conf")]
    model: Option<PathBuf>,

    /// Front-end in TOML instead, as data.front_end names it: kind = hubert, wav2vec2, wavlm or module
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "layer", "layer_weights"])]
    conf: Option<PathBuf>,

    /// Layer to write, from 0; by default the last
    #[arg(long, value_name = "N", conflicts_with = "layer_weights")]
    layer: Option<usize>,

    /// Write the weighted sum of all layers, from layer 0 on
    #[arg(long, value_name = "W,...", value_delimiter = ',')]
    layer_weights: Vec<f32>,

    #[command(flatten)]
    device: DeviceArgs,

    #[command(flatten)]
    audio: AudioArgs,
}

impl SslArgs {
    /// The front-end that is asked for.
    fn front_end(&self) -> Result<AnyFrontEndOptions> {
        if let Some(path) = &self.conf {
            let options = AnyFrontEndOptions::read(path)?;
            return match options {
                AnyFrontEndOptions::Network(_) => Ok(options),
                AnyFrontEndOptions::Spectral(_) => {
                    let expected = format!("one of {}", NetworkOptions::NAMES.join(", "));
                    Err(Error::key(path, "kind", expected, options.name()))
                }
            };
        }
        let model = self.model.clone().unwrap_or_default();
        let kind = SslConfig::read(&model)?.model_type;
        Ok(AnyFrontEndOptions::Network(kind.options(SslOptions {
            model,
            layer: self.layer,
            layer_weights: self.layer_weights.clone(),
            checksum: None,
        })))
    }
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the model or its layers, and the errors of [`AudioArgs::map`].
pub(super) fn run(args: &SslArgs) -> anyhow::Result<()> {
    let front_end = AnyFrontEnd::open(&args.front_end()?, args.device.device.resolve()?)?;
    args.audio.map(|blocks| {
        let shelf = blocks.shelf().clone();
        front_end.check_rate(blocks.sample_rate_hz())?;
        let feats = front_end.compute(&blocks.read_to_end()?.samples)?;
        let mut rows = RowSpool::on(&shelf);
        rows.push_rows(feats.view())?;
        Ok(rows)
    })
}
