//! `unbraid data cluster-speakers`: speakers of recordings without labels.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use ndarray::{Array2, Axis};

use crate::cli::models::DeviceArgs;
use crate::cli::progress::counter;
use crate::cli::recordings::{AudioFileArgs, PipeArgs, Rates};
use crate::dataset::relabel::{Relabelled, relabel};
use crate::dataset::{DataDir, RecordingOptions, Recordings, Table};
use crate::error::{Error, Result};
use crate::eval::backend::{Calibration, Embeddings};
use crate::eval::speaker_clusters::{Cut, SpeakerClusters, adjusted_rand_index, check_count};
use crate::inference::{Model, shipped};
use crate::io::atomic;
use crate::io::message::{message, output};
use crate::train::experiment::Experiment;

/// Cluster recordings without labels by speaker: utt2spk, spk2utt and how sure each is.
///
/// Writes the data directory again with new speakers: utt2spk, spk2utt, and utt2confidence. The confidence is the silhouette of
/// an utterance, -1 to 1: near 1 it is much closer to its own speaker than to the next one, below 0 it is closer to another.
/// Utterances of low confidence are best left out or listened to.
///
/// Clusters are joined while the mean cosine between them is above a threshold: the cosine at which the calibration gives a
/// likelihood ratio of 1. A model's own calibration.json holds for recordings like those that it was trained on. With
/// --speakers the number is given instead.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("from").required(true)))]
#[command(after_long_help = "\
Examples:
  unbraid data cluster-speakers --model en-16k data/my data/my_speakers
  unbraid data cluster-speakers --model en-16k --speakers 8 data/my data/my_8
  unbraid data cluster-speakers --embeddings scp:s.scp \\
    --calibration exp/mine/calibration.json data/my data/my_speakers

All pairs of utterances are in memory: 32768 utterances take 2 GiB, and more are
refused. Files of the old speakers (spk2gender, cmvn.scp) are left out. Ids of
utterances stay, so they do not begin with their speaker, as Kaldi's tools and
'unbraid data validate' want it; unbraid's own commands do not need it.")]
pub(super) struct ClusterSpeakersArgs {
    /// Data directory to read; its speakers are ignored
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Data directory to make
    #[arg(value_name = "TARGET")]
    target: PathBuf,
    /// Experiment whose speaker encoder reads the recordings
    #[arg(long, value_name = "DIR", group = "from")]
    exp: Option<PathBuf>,
    /// Model that comes with unbraid, instead of an experiment; 'unbraid models' lists them
    #[arg(long, value_name = "NAME", group = "from")]
    model: Option<String>,
    /// Speaker embeddings of the utterances, instead of a model
    #[arg(long, value_name = "RSPECIFIER", group = "from")]
    embeddings: Option<String>,
    /// Checkpoint: last, best or step_000123
    #[arg(long, default_value = "last", conflicts_with = "embeddings")]
    checkpoint: String,
    /// Number of speakers, instead of a threshold
    #[arg(long, value_name = "N", conflicts_with = "calibration")]
    speakers: Option<usize>,
    /// Calibration of cosines, of 'unbraid verify calibrate'; by default calibration.json of the model
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Compare with known speakers (utt2spk): prints the adjusted Rand index
    #[arg(long, value_name = "UTT2SPK")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    audio: AudioFileArgs,
    #[command(flatten)]
    pipes: PipeArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: &ClusterSpeakersArgs) -> anyhow::Result<()> {
    let experiment = args.experiment()?;
    let cut = args.cut(experiment.as_ref())?;
    let data = DataDir::open(&args.source)?;
    check_count(data.utterances().len())?;
    let truth = args.truth(&data)?;
    atomic::try_folder(&args.target)?;
    let embeddings = match &experiment {
        Some(experiment) => args.of_recordings(&data, experiment)?,
        None => args.of_archive(&data)?,
    };
    let found = SpeakerClusters::of(embeddings.view(), cut)?;
    let width = found.speakers.to_string().len();
    let labels: Vec<Relabelled> = (data.utterances().iter().zip(&found.speaker))
        .zip(&found.silhouette)
        .map(|((utterance, speaker), &confidence)| Relabelled {
            utterance: utterance.clone(),
            speaker: format!("speaker-{:0width$}", speaker + 1),
            confidence,
        })
        .collect();
    for name in relabel(&args.source, &args.target, &labels)? {
        message(format_args!(
            "unbraid: {name} is left out: it is of the old speakers"
        ));
    }
    report(args, &found, truth)
}

fn report(
    args: &ClusterSpeakersArgs,
    found: &SpeakerClusters,
    truth: Option<Vec<usize>>,
) -> anyhow::Result<()> {
    let number = |value: Option<f64>| value.map_or("none".into(), |value| format!("{value:.3}"));
    let doubtful = (found.silhouette.iter())
        .filter(|&&value| value < 0.0)
        .count();
    output(format_args!(
        "{}: {} speakers of {} utterances\nsilhouette {:.3}, {doubtful} utterances below 0\nmean cosine within {}, \
         across {}\n",
        args.target.display(),
        found.speakers,
        found.speaker.len(),
        found.mean_silhouette(),
        number(found.within),
        number(found.across),
    ))?;
    if let Some(truth) = truth {
        let index = adjusted_rand_index(&found.speaker, &truth);
        output(format_args!("adjusted Rand index {index:.3}\n"))?;
    }
    Ok(())
}

impl ClusterSpeakersArgs {
    fn experiment(&self) -> Result<Option<Experiment>> {
        match (&self.exp, &self.model) {
            (Some(path), _) => Experiment::open(path).map(Some),
            (None, Some(name)) => Experiment::open(&shipped::find("--model", name)?).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn cut(&self, experiment: Option<&Experiment>) -> Result<Cut> {
        if let Some(speakers) = self.speakers {
            return Ok(Cut::Speakers(speakers));
        }
        let own = experiment.map(|experiment| experiment.path().join("calibration.json"));
        let path = match (&self.calibration, own) {
            (Some(path), _) => path.clone(),
            (None, Some(path)) if path.exists() => path,
            (None, own) => {
                let expected = "--speakers or --calibration";
                let found = own.map_or("none".into(), |path| {
                    format!("none, and no {}", path.display())
                });
                return Err(Error::option("threshold", expected, found));
            }
        };
        let threshold = Calibration::read(&path)?.threshold(&path)?;
        Ok(Cut::Cosine(threshold))
    }

    /// The number of the known speaker of each utterance.
    fn truth(&self, data: &DataDir) -> Result<Option<Vec<usize>>> {
        let Some(path) = &self.compare else {
            return Ok(None);
        };
        let table = Table::read(path)?;
        let mut names: Vec<&str> = Vec::new();
        let numbers = data.utterances().iter().map(|utterance| {
            let name = table.get(utterance).ok_or_else(|| {
                Error::key(path, utterance, "a speaker for this utterance", "none")
            })?;
            Ok(names
                .iter()
                .position(|known| *known == name)
                .unwrap_or_else(|| {
                    names.push(name);
                    names.len() - 1
                }))
        });
        numbers.collect::<Result<_>>().map(Some)
    }

    /// `[utterances, dims]` in the order of the data directory.
    fn of_archive(&self, data: &DataDir) -> Result<Array2<f32>> {
        let read = Embeddings::read(self.embeddings.as_deref().unwrap_or_default())?;
        let places = data.utterances().iter().map(|utterance| {
            read.position(utterance)
                .ok_or_else(|| Error::key(read.source(), utterance, "an embedding", "none"))
        });
        let places = places.collect::<Result<Vec<_>>>()?;
        Ok(read.vectors().select(Axis(0), &places))
    }

    /// The same, of the recordings.
    fn of_recordings(&self, data: &DataDir, experiment: &Experiment) -> Result<Array2<f32>> {
        let device = self.device.device.resolve()?;
        let model = Model::of(experiment, &self.checkpoint, device)?;
        let missing = |file: &str| Error::format(data.path().join(file), "a file", "none");
        let wavs = data.wavs().ok_or_else(|| missing("wav.scp"))?;
        let recordings = match data.segments() {
            Some(segments) => Recordings::with_segments(wavs, segments)?,
            None => Recordings::new(wavs)?,
        };
        let options = RecordingOptions {
            audio: self.audio.options(),
            resample_hz: Some(model.sample_rate_hz()),
            pipes: self.pipes.pipes(),
        };
        let (mut rates, mut embeddings) = (Rates::default(), HashMap::new());
        let progress = counter("utterances");
        recordings.for_each_stream(
            &options,
            |blocks| Ok((blocks.recorded_hz(), blocks.read_to_end()?)),
            |utterance, read| -> Result<()> {
                progress.inc(1);
                let named = |error| named(data.path(), utterance, error);
                let (recorded_hz, recording) = read.map_err(named)?;
                rates.add(recorded_hz);
                embeddings.insert(
                    utterance.to_string(),
                    model.speaker(&recording).map_err(named)?,
                );
                Ok(())
            },
        )?;
        progress.finish_and_clear();
        rates.report(model.sample_rate_hz());
        let rows = data.utterances().iter().map(|utterance| {
            embeddings.get(utterance).ok_or_else(|| {
                let list = data.path().join("wav.scp");
                Error::key(list, utterance, "its recording", "none")
            })
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let dims = rows.first().map_or(0, |row| row.len());
        let ordered = rows.iter().flat_map(|row| row.iter().copied());
        Array2::from_shape_vec((rows.len(), dims), ordered.collect())
            .map_err(|error| Error::option("embeddings", "of one size", error.to_string()))
    }
}

/// An error with the utterance it is of.
fn named(data: &Path, utterance: &str, error: Error) -> Error {
    Error::key(
        data,
        utterance,
        "a recording with an embedding",
        error.to_string(),
    )
}
