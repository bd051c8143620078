//! `unbraid convert`: a recording with the voice of another speaker.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ndarray::Array2;

use super::arguments::ThreadArgs;
use super::models::ModelArgs;
use super::recordings::{AudioFileArgs, Rates};
use super::resynthesis::ResynthesisArgs;
use crate::error::{Error, Result};
use crate::inference::conversion::convert_contour;
use crate::inference::{Model, Vocoder};
use crate::io::atomic;
use crate::io::audio::{AudioOptions, Channel, FORMATS, Waveform, read_audio, write_wav};
use crate::io::kaldi::TableWriter;
use crate::signal::{FrontEndOptions, Resynthesis};

/// Convert a recording to the voice of another speaker.
///
/// The phonetic codes of SOURCE and the speaker embedding of TARGET go through the decoder. Harmonics and noise are filtered
/// by the decoded spectra. Their pitch is that of SOURCE, with the mean and deviation of log F0 in voiced frames moved to
/// those of TARGET. If SOURCE has no voiced frame, the result is a whisper; if TARGET has none, the pitch of SOURCE stays. Either
/// is reported.
///
/// The WAV file has the model's sample rate, exactly as many samples as SOURCE has at that rate, and the RMS of SOURCE over
/// all samples. Peaks are bent where that would leave full scale. --feats writes the features. The experiment needs a
/// front-end (data.front_end).
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid convert --exp exp/default a.wav b.wav --out a_as_b.wav
  unbraid convert --exp exp/default a.wav a.wav --out a_again.wav
  unbraid convert --model en-16k a.wav b.wav --generator griffin-lim --out x.wav
  unbraid convert --exp exp/default a.wav b.wav --vocoder my.onnx --out x.wav
  unbraid convert --exp exp/default a.wav b.wav --feats ark,scp:mel.ark,mel.scp

The second example decodes a recording with its own speaker: it shows how much
quality the decoder and the generator cost.

A vocoder is a TorchScript module (torch.jit.save) or an ONNX model
(torch.onnx.export). It takes features [1, bins, frames], f32, as the
experiment's front-end computes them, and returns samples of full scale 1 at the
front-end's rate, one frame shift per frame: [1, 1, samples], [1, samples] or
[samples]. ONNX runs on the CPU. A module is a program: run only those that you
trust.")]
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
    /// Channel of TARGET, where it is another than that of SOURCE
    #[arg(long, value_name = "N|mean")]
    target_channel: Option<Channel>,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    model: ModelArgs,
    /// How features become sound: source-filter, or griffin-lim where one of its options is given
    #[arg(long, value_enum, requires = "out")]
    generator: Option<Generator>,
    /// Make sound with a vocoder of your own, a TorchScript module or an ONNX model
    #[arg(long, value_name = "FILE", requires = "out", conflicts_with_all = ["generator", "iterations", "momentum", "seed"])]
    vocoder: Option<PathBuf>,
    #[command(flatten)]
    resynthesis: ResynthesisArgs,
}

/// How features become sound without a vocoder.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Generator {
    /// Harmonics and noise, filtered
    SourceFilter,
    /// Phases by the Griffin-Lim algorithm; a whisper, without pitch
    GriffinLim,
}

/// What makes sound, ready for the front-end.
enum Synthesiser {
    SourceFilter(Resynthesis),
    GriffinLim(Resynthesis),
    Vocoder(Vocoder),
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
    let generator = args.generator()?;
    let writer = args.feats.as_deref().map(TableWriter::create).transpose()?;
    args.threads.set()?;
    let (device, experiment) = args.model.open()?;
    let model = Model::of(&experiment, &args.model.checkpoint.checkpoint, device)?;
    let way_back = || args.resynthesis.of(spectral(&model)?);
    let synthesiser = match (&args.out, &args.vocoder, generator) {
        (None, ..) => None,
        (_, Some(path), _) => Some(Synthesiser::Vocoder(Vocoder::load(path, device)?)),
        (_, None, Generator::SourceFilter) => Some(Synthesiser::SourceFilter(way_back()?)),
        (_, None, Generator::GriffinLim) => Some(Synthesiser::GriffinLim(way_back()?)),
    };
    let mut rates = Rates::default();
    let mut read = |path: &Path, audio: &AudioOptions| -> anyhow::Result<_> {
        let recording = read_audio(path, audio)?;
        rates.add(recording.sample_rate_hz);
        let recording = model.at_rate(&recording)?;
        let feats = model
            .feats(&recording)
            .with_context(|| path.display().to_string())?;
        Ok((recording, feats))
    };
    let audio = args.audio.options();
    let (source, source_feats) = read(&args.source, &audio)?;
    let of_target = AudioOptions {
        channel: args.target_channel.or(audio.channel),
        chosen_by: Some("--target-channel, from 0, or --target-channel mean"),
        ..audio
    };
    let (target, target_feats) = read(&args.target, &of_target)?;
    rates.report(source.sample_rate_hz);
    let pitch = model.pitch(&source)?;
    let feats = model.convert_feats((&source_feats, pitch.as_ref()), &target_feats)?;
    let made = (synthesiser.as_ref())
        .map(|synthesiser| synthesiser.waveform(&model, &feats, &source, &target))
        .transpose()?;
    if let Some(mut writer) = writer {
        let name = |path: &PathBuf| {
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let key = [&args.source, &args.target].map(|path| name(path).unwrap_or_default());
        writer.write(&key.join("-"), &feats)?;
        writer.finish()?;
    }
    if let (Some(out), Some(made)) = (&args.out, made) {
        write_wav(out, &model.fitted(made, &source))?;
    }
    Ok(())
}

/// The front-end whose features become a waveform.
fn spectral(model: &Model) -> Result<&FrontEndOptions> {
    (model.front_end()).spectral("for --out without --vocoder (--feats writes the features)")
}

impl ConvertArgs {
    /// The generator that was chosen, or whose options were given.
    fn generator(&self) -> Result<Generator> {
        let options = self.resynthesis.is_for_griffin_lim();
        match (self.generator, options) {
            (Some(Generator::SourceFilter), true) => Err(Error::option(
                "--generator",
                "griffin-lim, to which --iterations and --momentum belong",
                "source-filter",
            )),
            (Some(generator), _) => Ok(generator),
            (None, true) => Ok(Generator::GriffinLim),
            (None, false) => Ok(Generator::SourceFilter),
        }
    }
}

impl Synthesiser {
    /// The sound of converted features of `source`; recordings are at the model's rate.
    fn waveform(
        &self,
        model: &Model,
        feats: &Array2<f32>,
        source: &Waveform,
        target: &Waveform,
    ) -> Result<Waveform> {
        let samples = match self {
            Self::SourceFilter(resynthesis) => {
                let contour = convert_contour(resynthesis, source, target)?;
                resynthesis.voice(feats.view(), &contour)?
            }
            Self::GriffinLim(resynthesis) => resynthesis.griffin_lim(feats.view())?,
            Self::Vocoder(vocoder) => model.vocode(vocoder, feats)?,
        };
        Ok(Waveform {
            samples,
            sample_rate_hz: model.sample_rate_hz(),
        })
    }
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
