//! `unbraid feats ssl`: hidden states of self-supervised encoders.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clap::Args;

use super::audio_map::AudioArgs;
use crate::cli::models::DeviceArgs;
use crate::error::Error;
use crate::io::kaldi::RowSpool;
use crate::nn::ssl::{SAMPLE_RATE_HZ, SslEncoder};

/// Compute hidden states of HuBERT, wav2vec 2.0 or WavLM.
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

Train on them with data.train_feats (and data.valid_feats) in a configuration,
and data.feature_type = \"hidden_states\": they are no spectra.")]
pub(super) struct SslArgs {
    /// Folder with config.json and model.safetensors
    #[arg(long, value_name = "DIR")]
    model: PathBuf,

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

/// Runs the command.
///
/// # Errors
/// What is wrong with the model's folder or the layers, and the errors of [`AudioArgs::map`].
pub(super) fn run(args: &SslArgs) -> anyhow::Result<()> {
    let encoder = SslEncoder::load(&args.model, args.device.device.resolve()?)?;
    let weights = match (args.layer, &args.layer_weights[..]) {
        (layer, []) => encoder.only(layer.unwrap_or(encoder.config().num_hidden_layers))?,
        (_, weights) => weights.to_vec(),
    };
    encoder.check(&weights)?;
    // libtorch has threads of its own; other utterances are decoded meanwhile.
    let encoder = Mutex::new(encoder);
    args.audio.map(|blocks| {
        let shelf = blocks.shelf().clone();
        if blocks.sample_rate_hz() != SAMPLE_RATE_HZ {
            let expected = format!("{SAMPLE_RATE_HZ} Hz (or --resample {SAMPLE_RATE_HZ})");
            let found = format!("{} Hz", blocks.sample_rate_hz());
            return Err(Error::option("audio", expected, found));
        }
        let speech = blocks.read_to_end()?;
        let encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
        let states = encoder.encode(&speech.samples, &weights)?;
        let mut rows = RowSpool::on(&shelf);
        rows.push_rows(states.view())?;
        Ok(rows)
    })
}
