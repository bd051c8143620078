//! `unbraid extract`: representations out of a trained experiment.

mod recordings;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{ArgGroup, Args};
use ndarray::Array2;
use recordings::Wanted;
use tch::Device;

use crate::cli::arguments::ThreadArgs;
use crate::cli::failures::Failures;
use crate::cli::models::DeviceArgs;
use crate::cli::progress::counter;
use crate::cli::recordings::{Rates, RecordingArgs};
use crate::dataset::Table;
use crate::dataset::make::is_named_audio;
use crate::dataset::normalisation::Normalisation;
use crate::inference::extract::{
    ExtractPaths, Extracted, Extraction, Pool, Representation, Session, Speakers,
};
use crate::inference::module::{EncoderModule, Input};
use crate::inference::{Model, shipped};
use crate::io::audio::Waveform;
use crate::io::kaldi::{ReadFrom, ReadSpecifier, TableReader};
use crate::method::DisentangledModel;
use crate::method::speech::load;
use crate::nn::AnyFrontEnd;
use crate::signal::augment::{SpeedOptions, change_speed};
use crate::signal::{AnyFrontEndOptions, FeatureExtractor};
use crate::train::experiment::Experiment;

/// Write phonetic codes or speaker embeddings as Kaldi archives.
///
/// The encoder is that of a trained experiment, of a model that comes with unbraid, or a module of 'unbraid export'. The
/// input is a table of features, a list of recordings (--wav), or recordings and folders by their names, which are resampled
/// to the model's rate. Phonetic codes are one matrix per utterance, speaker embeddings one vector of length 1. An utterance that fails is reported and left out; the other
/// utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("trained").required(true)))]
#[command(after_long_help = "\
Examples:
  unbraid extract --model en-16k a.wav b.flac
  unbraid extract --model en-16k --out codes.npy recordings
  unbraid extract --exp exp/default --output phonetic scp:data/test/feats.scp \\
    ark,scp:z.ark,z.scp
  unbraid extract --exp exp/default --output phonetic --wav \\
    scp:data/test/wav.scp ark,scp:z.ark,z.scp
  unbraid extract --exp exp/default --output speaker --pool speaker \\
    --utt2spk data/test/utt2spk scp:data/test/feats.scp ark,scp:spk.ark,spk.scp
  unbraid extract --exp exp/default --output speaker --wav --speeds 1,0.9,1.1 \\
    scp:data/test/wav.scp ark,scp:s.ark,s.scp
  unbraid extract --module phonetic.pt --wav scp:data/test/wav.scp \\
    ark,scp:z.ark,z.scp

--speeds 1,0.9,1.1 concatenates the embeddings of three speeds and scales them
to length 1. Error rates of verification fall; the cost is threefold.")]
pub(super) struct ExtractArgs {
    /// Experiment folder
    #[arg(long, value_name = "DIR", group = "trained")]
    exp: Option<PathBuf>,
    /// Model that comes with unbraid, instead of an experiment; 'unbraid models' lists them
    #[arg(long, value_name = "NAME", group = "trained")]
    model: Option<String>,
    /// Module of 'unbraid export' instead of an experiment
    ///
    /// A module is a program: run only modules that you trust.
    #[arg(long, value_name = "FILE.pt", group = "trained", conflicts_with_all = ["output", "checkpoint"])]
    module: Option<PathBuf>,
    /// Representation to write; of recordings, by default phonetic codes and speaker embeddings
    #[arg(long, alias = "strand")]
    output: Option<Representation>,
    /// Average over an utterance or a speaker
    #[arg(long, default_value = "none")]
    pool: Pool,
    /// Speaker of each utterance, for --pool speaker
    #[arg(long, value_name = "FILE", required_if_eq("pool", "speaker"))]
    utt2spk: Option<PathBuf>,
    /// Checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Resume an extraction to the same files that was stopped
    #[arg(long)]
    resume: bool,
    /// Read audio (scp:wav.scp) instead of features
    ///
    /// The front-end is that of the experiment (data.front_end) or of the module. Recordings of another sample rate are
    /// resampled to its rate. --segments, --resample and --allow-pipes need this option.
    #[arg(long)]
    wav: bool,
    #[command(flatten)]
    recordings: RecordingArgs,
    #[command(flatten)]
    threads: ThreadArgs,
    /// With --wav, concatenate speaker embeddings of these speeds (0.25 to 4)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = speed, requires = "wav")]
    speeds: Vec<f64>,
    #[command(flatten)]
    device: DeviceArgs,
    /// With recordings, write to this file instead of standard output: .json, .jsonl, .txt, .ark or .npy
    ///
    /// The last three are two files: NAME.phonetic and NAME.speaker, with their endings.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// RSPECIFIER and WSPECIFIER, or recordings and folders of recordings
    ///
    /// RSPECIFIER: features to read (audio with --wav), as scp:FILE or ark:FILE. WSPECIFIER: archive to write, as
    /// ark,scp:FILE,FILE or ark:FILE.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<String>,
}

impl ExtractArgs {
    /// The experiment that is asked for; none with --module.
    fn experiment(&self) -> crate::Result<Option<Experiment>> {
        match (&self.exp, &self.model) {
            (Some(path), _) => Experiment::open(path).map(Some),
            (None, Some(name)) => Experiment::open(&shipped::find("--model", name)?).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Where archives are read from and written to; none for recordings.
    fn specifiers(&self) -> anyhow::Result<Option<(&str, &str)>> {
        match &self.inputs[..] {
            [first, ..] if ReadSpecifier::parse(first).is_err() => Ok(None),
            _ if self.out.is_some() => {
                bail!("--out: expected recordings, found an archive or a list")
            }
            [source, target] => Ok(Some((source, target))),
            others => bail!(
                "expected RSPECIFIER and WSPECIFIER, found {} arguments",
                others.len()
            ),
        }
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let factor = text.parse().map_err(|_| "expected a number")?;
    let factors = vec![factor];
    (SpeedOptions { factors }.check()).map_err(|error| error.to_string())?;
    Ok(factor)
}

/// Utterances that are read while the networks are busy.
const READ_AHEAD: usize = 128;

/// Runs the command.
///
/// # Errors
/// Errors of the library; and when utterances failed.
pub(super) fn run(args: ExtractArgs) -> anyhow::Result<()> {
    if args.utt2spk.is_some() && args.pool != Pool::Speaker {
        bail!("--utt2spk: expected --pool speaker beside it, found another pool");
    }
    args.threads.set()?;
    let device = args.device.device.resolve()?;
    let Some((source, target)) = args.specifiers()? else {
        return of_recordings(&args, device);
    };
    if let (false, Some(option)) = (args.wav, args.recordings.given()) {
        bail!("{option}: expected --wav beside it, found none");
    }
    if !args.wav
        && let Some(recording) = first_recording(source)
    {
        bail!("'{source}': expected features, found the recording {recording}: add --wav");
    }
    let encoder = Encoder::open(&args, device)?;
    if !args.speeds.is_empty() && encoder.representation != Representation::Speaker {
        bail!("--speeds: expected the speaker representation, found another");
    }
    let speakers = match &args.utt2spk {
        None => None,
        Some(path) => Some(Speakers::read(path)?),
    };
    let extraction = Extraction {
        model: encoder.model.as_ref(),
        normalisation: &encoder.normalisation,
        device,
        representation: encoder.representation,
        pool: args.pool,
    };
    let route = ExtractPaths {
        model: &encoder.files,
        source,
        target,
        resample_hz: args.recordings.resample,
        speeds: &args.speeds,
        speakers: speakers.as_ref(),
        resume: args.resume,
    };
    let mut session = extraction.start(route)?;
    let mut failures = Failures::default();
    let permissive = match &encoder.audio {
        Some(audio) => read_audio(&args, source, audio, &mut session, &mut failures)?,
        None => {
            let progress = counter("utterances");
            let mut entries = TableReader::open(source)?.ahead(READ_AHEAD)?;
            entries.try_for_each(|entry| {
                progress.inc(1);
                session.take(entry.map(|(key, feats)| (key, vec![feats])))
            })?;
            progress.finish_and_clear();
            false
        }
    };
    let result = session.finish()?;
    match permissive && result.written > 0 {
        true => Ok(()),
        false => report(result, failures, source),
    }
}

/// The first file of a list, where it has the name of audio.
fn first_recording(specifier: &str) -> Option<String> {
    let ReadFrom::Scp(name) = ReadSpecifier::parse(specifier).ok()?.from else {
        return None;
    };
    let is_file = Path::new(&name).is_file();
    let table = is_file.then(|| Table::read(&name).ok()).flatten()?;
    let file = &table.entries().first()?.value;
    is_named_audio(file).then(|| file.clone())
}

/// Both representations, or one, of recordings without a list.
fn of_recordings(args: &ExtractArgs, device: Device) -> anyhow::Result<()> {
    let unfit = [
        (args.module.is_some(), "--module"),
        (args.wav, "--wav"),
        (args.pool != Pool::None, "--pool"),
        (!args.speeds.is_empty(), "--speeds"),
        (args.resume, "--resume"),
    ];
    if let Some((_, option)) = unfit.iter().find(|(given, _)| *given) {
        let first = &args.inputs[0];
        bail!("{option}: expected RSPECIFIER and WSPECIFIER beside it, found '{first}'");
    }
    if let Some(option) =
        (args.recordings.given()).filter(|option| !["--channel", "--verify"].contains(option))
    {
        let first = &args.inputs[0];
        bail!("{option}: expected RSPECIFIER and WSPECIFIER beside it, found '{first}'");
    }
    let wanted = match args.output {
        None => Wanted {
            phonetic: true,
            speaker: true,
        },
        Some(Representation::Phonetic) => Wanted {
            phonetic: true,
            speaker: false,
        },
        Some(Representation::Speaker) => Wanted {
            phonetic: false,
            speaker: true,
        },
        Some(_) => bail!("--output: expected phonetic or speaker for recordings, found another"),
    };
    let Some(experiment) = args.experiment()? else {
        unreachable!("clap asks for --exp or --model where there is no --module")
    };
    let model = Model::of(&experiment, &args.checkpoint, device)?;
    let audio = args.recordings.options(None).audio;
    recordings::run(&model, &args.inputs, args.out.as_deref(), wanted, &audio)
}

/// An encoder, from an experiment or a module.
struct Encoder {
    model: Box<dyn DisentangledModel>,
    normalisation: Normalisation,
    representation: Representation,
    /// Files that make it.
    files: Vec<PathBuf>,
    /// How audio becomes what the model reads, under --wav.
    audio: Option<Audio>,
}

/// How audio becomes what a model reads.
enum Audio {
    /// Features.
    FrontEnd(AnyFrontEnd),
    /// Its samples as one column, checked as this front-end, which is inside the model, would.
    Samples(AnyFrontEnd),
}

impl Encoder {
    fn open(args: &ExtractArgs, device: Device) -> anyhow::Result<Self> {
        match (&args.module, args.experiment()?, args.output) {
            (Some(path), ..) => Self::of_module(path.clone(), args.wav, device),
            (None, Some(_), None) => bail!(
                "--output: expected phonetic, speaker, features or reconstruction, found none"
            ),
            (None, Some(experiment), Some(representation)) => {
                let (model, info) = load(&experiment, &args.checkpoint, device)?;
                let audio = match args.wav {
                    false => None,
                    true => Some(AnyFrontEndOptions::read(
                        experiment.path().join("front_end.toml"),
                    )?),
                };
                Ok(Self {
                    model,
                    normalisation: info.normalisation,
                    representation,
                    files: experiment.model_files(&args.checkpoint, args.wav)?,
                    audio: match audio {
                        None => None,
                        Some(options) => {
                            Some(Audio::FrontEnd(AnyFrontEnd::open(&options, device)?))
                        }
                    },
                })
            }
            _ => unreachable!("clap asks for --exp or --model where there is no --module"),
        }
    }

    fn of_module(path: PathBuf, wav: bool, device: Device) -> anyhow::Result<Self> {
        let module = EncoderModule::load(&path, device)?;
        let front_end = match wav {
            true => module.front_end(device)?,
            false => None,
        };
        let audio = match (wav, module.metadata().input, front_end) {
            (false, Input::Features, _) => None,
            (false, Input::Waveform, _) => {
                bail!("--module: expected --wav beside a module that takes waveforms, found none")
            }
            (true, Input::Features, Some(front_end)) => Some(Audio::FrontEnd(front_end)),
            (true, Input::Waveform, Some(front_end)) => Some(Audio::Samples(front_end)),
            (true, _, None) => {
                bail!("--wav: expected a module with a front-end, found none")
            }
        };
        Ok(Self {
            normalisation: module.view(),
            representation: module.metadata().representation,
            model: Box::new(module),
            files: vec![path],
            audio,
        })
    }
}

impl Audio {
    fn front_end(&self) -> &AnyFrontEnd {
        match self {
            Self::FrontEnd(front_end) | Self::Samples(front_end) => front_end,
        }
    }

    /// What the model reads of a recording at each of the speeds; of none, as it is. Another speed is rounded as the
    /// files of `unbraid data augment` are, which training used: at a low speed the highest bands contain only this rounding noise.
    fn read_at(&self, waveform: Waveform, speeds: &[f64]) -> crate::Result<Vec<Array2<f32>>> {
        if speeds.is_empty() {
            return Ok(vec![self.read(waveform)?]);
        }
        let sample_rate_hz = waveform.sample_rate_hz;
        let at = |&speed: &f64| {
            let samples = change_speed(&waveform.samples, sample_rate_hz, speed)?;
            let played = Waveform {
                samples,
                sample_rate_hz,
            };
            self.read(played.rounded())
        };
        speeds.iter().map(at).collect()
    }

    fn read(&self, waveform: Waveform) -> crate::Result<Array2<f32>> {
        match self {
            Self::FrontEnd(front_end) => front_end.compute_waveform(&waveform),
            Self::Samples(front_end) => {
                front_end.check_rate(waveform.sample_rate_hz)?;
                front_end.check_length(waveform.samples.len())?;
                let count = waveform.samples.len();
                Array2::from_shape_vec((count, 1), waveform.samples)
                    .map_err(|error| crate::Error::option("audio", "samples", error.to_string()))
            }
        }
    }
}

/// Extracts from the recordings of the list, but for those that fail. Whether the list allows failures (`scp,p:`).
fn read_audio(
    args: &ExtractArgs,
    source: &str,
    audio: &Audio,
    session: &mut Session,
    failures: &mut Failures,
) -> anyhow::Result<bool> {
    let (recordings, permissive) = args.recordings.open(source)?;
    let wanted_hz = audio.front_end().sample_rate_hz() as u32;
    let options = args.recordings.options(Some(wanted_hz));
    let progress = counter("utterances");
    let mut resampled = Rates::default();
    recordings.for_each_stream(
        &options,
        |blocks| {
            let recorded_hz = blocks.recorded_hz();
            Ok((
                recorded_hz,
                audio.read_at(blocks.read_to_end()?, &args.speeds)?,
            ))
        },
        |utterance, readings| {
            progress.inc(1);
            match readings {
                Ok((recorded_hz, readings)) => {
                    resampled.add(recorded_hz);
                    session.take(Ok((utterance.to_string(), readings)))
                }
                Err(error) => {
                    failures.add(utterance, &error, &progress);
                    Ok(())
                }
            }
        },
    )?;
    progress.finish_and_clear();
    if args.recordings.resample.is_none() {
        resampled.report(wanted_hz);
    }
    Ok(permissive)
}

/// Reports what failed.
pub(in crate::cli) fn report(
    result: Extracted,
    mut failures: Failures,
    source: &str,
) -> anyhow::Result<()> {
    failures.extend(&result.failed, source);
    let total = failures.count() + result.written;
    failures.into_result(total, "utterances")?;
    if result.written == 0 {
        bail!("{source}: expected utterances, found none");
    }
    Ok(())
}
