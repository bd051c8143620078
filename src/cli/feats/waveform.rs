//! `unbraid feats waveform`: features to waveforms.

use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;

use crate::cli::resynthesis::ResynthesisArgs;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::audio::{Waveform, write_wav};
use crate::io::kaldi::TableReader;
use crate::signal::FrontEndOptions;

/// Make waveforms from features of fbank, spectrogram or mel, or of a decoder.
///
/// A spectrum is found that the filters turn into the given energies. The fast Griffin-Lim algorithm (Griffin and Lim 1984,
/// Perraudin et al. 2013) finds a signal with that spectrum. The command writes DIR/UTTERANCE.wav and DIR/wav.scp.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats waveform --conf conf/fbank.toml scp:data/test/feats.scp wavs

Cepstra, energy columns and features without their mean lack information, and
are refused.")]
pub(super) struct WaveformArgs {
    /// Features to read, as scp:feats.scp
    #[arg(value_name = "RSPECIFIER")]
    from: String,
    /// Folder of the WAV files
    #[arg(value_name = "DIR")]
    out: PathBuf,
    /// Options of the front-end in TOML, as the command that computed the features reads them
    #[arg(long, value_name = "FILE")]
    conf: PathBuf,
    #[command(flatten)]
    resynthesis: ResynthesisArgs,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library, and an utterance whose id is no file's name.
pub(super) fn run(args: WaveformArgs) -> anyhow::Result<()> {
    let resynthesis = args.resynthesis.of(&FrontEndOptions::read(&args.conf)?)?;
    atomic::create_dir_all(&args.out)?;
    let mut list = String::new();
    for entry in TableReader::<Array2<f32>>::open(&args.from)? {
        let (key, feats) = entry?;
        let path = args.out.join(file_name(&args.from, &key)?);
        let samples = resynthesis
            .waveform(feats.view())
            .map_err(|error| match error {
                Error::Option {
                    expected, found, ..
                } => Error::key(&args.from, &key, expected, found),
                other => other,
            })?;
        let waveform = Waveform {
            samples,
            sample_rate_hz: resynthesis.sample_rate_hz() as u32,
        };
        write_wav(&path, &waveform)?;
        list += &format!("{key} {}\n", path.display());
    }
    Ok(atomic::write(args.out.join("wav.scp"), list)?)
}

fn file_name(from: &str, key: &str) -> Result<String> {
    match key.contains('/') || key.starts_with('.') {
        true => Err(Error::key(
            from,
            key,
            "an id that can be a file's name",
            key,
        )),
        false => Ok(format!("{key}.wav")),
    }
}
