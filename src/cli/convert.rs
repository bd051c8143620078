//! `unbraid convert`: a recording with the voice of another speaker.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use super::arguments::ThreadArgs;
use super::models::ModelArgs;
use super::recordings::{AudioFileArgs, Rates};
use super::resynthesis::ResynthesisArgs;
use crate::inference::Model;
use crate::io::atomic;
use crate::io::audio::{FORMATS, read_audio, write_wav};
use crate::io::kaldi::TableWriter;
use crate::signal::FrontEndOptions;

/// Convert a recording to the voice of another speaker.
///
/// The phonetic codes of SOURCE and the speaker embedding of TARGET go through the decoder. The decoded features get the
/// loudness and length of SOURCE. The Griffin-Lim algorithm turns them into a WAV file; --feats writes them for a vocoder
/// of your own. The experiment needs a front-end (data.front_end).
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid convert --exp exp/default a.wav b.wav --out a_as_b.wav
  unbraid convert --exp exp/default a.wav a.wav --out a_again.wav
  unbraid convert --exp exp/default a.wav b.wav --feats ark,scp:mel.ark,mel.scp

The second example decodes a recording with its own speaker: it shows how much
quality the decoder and Griffin-Lim cost.")]
pub(super) struct ConvertArgs {
    #[arg(help = format!("Recording with the content; formats: {FORMATS}"))]
    source: PathBuf,
    #[arg(help = format!("Recording of the target speaker; formats: {FORMATS}"))]
    target: PathBuf,
    /// Write a WAV file
    #[arg(long, value_name = "FILE", required_unless_present = "feats")]
    out: Option<PathBuf>,
    /// Write the features under the key SOURCE-TARGET (names of the files)
    #[arg(long, value_name = "WSPECIFIER")]
    feats: Option<String>,
    #[command(flatten)]
    audio: AudioFileArgs,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    resynthesis: ResynthesisArgs,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: ConvertArgs) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        check_name(out)?;
        atomic::try_place(out)?;
    }
    let writer = args.feats.as_deref().map(TableWriter::create).transpose()?;
    args.threads.set()?;
    let (device, experiment) = args.model.open()?;
    let model = Model::of(&experiment, &args.model.checkpoint.checkpoint, device)?;
    if args.out.is_some() {
        spectral(&model)?;
    }
    let mut rates = Rates::default();
    let mut read = |path| -> anyhow::Result<_> {
        let recording = read_audio(path, &args.audio.options())?;
        rates.add(recording.sample_rate_hz);
        Ok(model.at_rate(&recording)?)
    };
    let (source, target) = (read(&args.source)?, read(&args.target)?);
    rates.report(source.sample_rate_hz);
    let feats = model.convert_feats(&model.feats(&source)?, &model.feats(&target)?)?;
    if let Some(mut writer) = writer {
        let name = |path: &PathBuf| {
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let key = [&args.source, &args.target].map(|path| name(path).unwrap_or_default());
        writer.write(&key.join("-"), &feats)?;
        writer.finish()?;
    }
    if let Some(out) = &args.out {
        let waveform = args.resynthesis.waveform(spectral(&model)?, feats.view())?;
        write_wav(out, &model.fitted(waveform, &source))?;
    }
    Ok(())
}

/// The front-end whose features become a waveform.
fn spectral(model: &Model) -> crate::Result<&FrontEndOptions> {
    (model.front_end())
        .spectral("for --out, as Griffin-Lim inverts spectra alone (--feats writes the features)")
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
