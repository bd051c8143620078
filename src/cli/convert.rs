//! `unbraid convert`: one recording's words with another's voice, to hear.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use super::resynthesis::ResynthesisArgs;
use crate::inference::convert::Converter;
use crate::io::atomic;
use crate::io::audio::{AudioOptions, FORMATS, read_audio, write_wav};
use crate::io::kaldi::TableWriter;
use crate::nn::device::DeviceChoice;
use crate::train::experiment::Experiment;

/// Convert a recording to another speaker's voice.
///
/// The phonetic representation of SOURCE and the speaker representation of VOICE go through the decoder; the features that come out, brought
/// back to SOURCE's loudness and length, become a WAV file by the Griffin-Lim algorithm, or, for a vocoder of your own, an
/// archive of features. The front-end is the one that the experiment was trained with (data.front_end).
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid convert --exp exp/default a.wav b.wav --out a_as_b.wav
  unbraid convert --exp exp/default a.wav a.wav --out a_again.wav      # what decoding alone costs
  unbraid convert --exp exp/default a.wav b.wav --feats ark,scp:mel.ark,mel.scp")]
pub struct ConvertArgs {
    #[arg(help = format!("Whose words: a recording of one channel; formats: {FORMATS}"))]
    source: PathBuf,
    /// Whose voice: a recording of the same formats
    voice: PathBuf,
    /// Folder of the experiment
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// The WAV file
    #[arg(long, value_name = "FILE", required_unless_present = "feats")]
    out: Option<PathBuf>,
    /// Write the features under the key SOURCE-VOICE (the files' names)
    #[arg(long, value_name = "WSPECIFIER")]
    feats: Option<String>,
    /// Which checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Where tensors live
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    #[command(flatten)]
    resynthesis: ResynthesisArgs,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: ConvertArgs) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        check_name(out)?;
        atomic::try_place(out)?;
    }
    let writer = args.feats.as_deref().map(TableWriter::create).transpose()?;
    let device = args.device.resolve()?;
    let experiment = Experiment::open(&args.exp)?;
    let converter = Converter::open(&experiment, &args.checkpoint, device)?;
    let read = |path| converter.at_rate(&read_audio(path, &AudioOptions::default())?);
    let (source, voice) = (read(&args.source)?, read(&args.voice)?);
    let feats = converter.convert(&converter.feats(&source)?, &converter.feats(&voice)?)?;
    if let Some(mut writer) = writer {
        let name = |path: &PathBuf| {
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let key = [&args.source, &args.voice].map(|path| name(path).unwrap_or_default());
        writer.write(&key.join("-"), &feats)?;
        writer.finish()?;
    }
    if let Some(out) = &args.out {
        let waveform = args
            .resynthesis
            .waveform(converter.front_end(), feats.view())?;
        write_wav(out, &converter.fitted(waveform, &source))?;
    }
    Ok(())
}

/// Refuses a name that asks for another format than the one that is written.
fn check_name(out: &Path) -> anyhow::Result<()> {
    match out.extension() {
        Some(extension) if !extension.eq_ignore_ascii_case("wav") => bail!(
            "--out: expected a name that ends in .wav, found {}",
            out.display()
        ),
        _ => Ok(()),
    }
}
