//! A run's configuration: one TOML file, every table beside the code that it configures.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dann_backbone::SpeechDannOptions;
use super::disentangle::DisentangleOptions;
use super::fhvae::FhvaeOptions;
use super::old_keys::document;
use super::recogniser::RecogniserOptions;
use crate::dataset::labels::Labels;
use crate::dataset::normalisation::NormalisationOptions;
use crate::dataset::sampler::SamplerOptions;
use crate::error::{Error, Result, check_within};
use crate::nn::device::DeviceChoice;
use crate::train::TrainOptions;
use crate::train::experiment::Configuration;

/// Frames that an utterance may have.
const MOST_FRAMES: usize = 1 << 24;

/// Everything that settles a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where all random numbers come from.
    #[serde(default)]
    pub seed: u64,
    /// Where tensors live.
    #[serde(default)]
    pub device: DeviceChoice,
    /// bfloat16 in convolutions and linear maps.
    #[serde(default)]
    pub bf16: bool,
    /// What is learned from.
    pub data: DataOptions,
    /// How networks see it.
    #[serde(default)]
    pub normalisation: NormalisationOptions,
    /// The method and its options.
    pub method: MethodOptions,
    /// How long, and what is left behind.
    #[serde(default)]
    pub train: TrainOptions,
}

/// The methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum MethodOptions {
    /// Two encoders, one decoder, and what is set between them.
    Disentangle(Box<DisentangleOptions>),
    /// The factorised hierarchical variational autoencoder.
    Fhvae(FhvaeOptions),
    /// Words that are named alike in the voices of two domains.
    Dann(SpeechDannOptions),
    /// Strings of labels by connectionist temporal classification.
    Recogniser(RecogniserOptions),
}

impl MethodOptions {
    /// Frames of each output that learns strings of labels, where one does.
    pub fn subsampling(&self) -> Option<usize> {
        match self {
            Self::Disentangle(options) => Some(options.model.subsampling() as usize),
            Self::Recogniser(options) => Some(options.network.subsampling as usize),
            Self::Fhvae(_) | Self::Dann(_) => None,
        }
    }
}

/// Data directories, and how batches are drawn from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataOptions {
    /// Training data directory, with `feats.scp`.
    pub train: PathBuf,
    /// List of the features to learn from instead of `feats.scp` of `train`: codes, or features made elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_feats: Option<PathBuf>,
    /// Validation data directory; without it nothing is validated and there is no `best`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<PathBuf>,
    /// Likewise for `valid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_feats: Option<PathBuf>,
    /// What the phonetic representation is told.
    #[serde(default)]
    pub labels: Labels,
    /// Speakers whose labels are told; all where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labelled_speakers: Vec<String>,
    /// Share of their training utterances whose labels are told, drawn by the seed.
    #[serde(default = "all")]
    pub labelled: f64,
    /// Frames of a training window; 0 takes utterances whole.
    #[serde(default)]
    pub crop_frames: usize,
    /// Utterances of more frames are not learned from, so that a single one does not make its batch long; 0 takes
    /// all.
    #[serde(default)]
    pub max_frames: usize,
    /// How batches are put together.
    #[serde(default = "default_sampler")]
    pub sampler: SamplerOptions,
    /// Front-end of the features, a TOML file with `kind`, as `unbraid feats fbank` and the like read it; it is kept with
    /// the run, so that `extract --wav` makes the same ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front_end: Option<PathBuf>,
}

impl DataOptions {
    /// Checks every value that can be checked without data.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        if !(self.labelled > 0.0 && self.labelled <= 1.0) {
            let found = self.labelled.to_string();
            return Err(Error::option("data.labelled", "0 < x <= 1", found));
        }
        check_within("data.crop_frames", self.crop_frames, 0..=MOST_FRAMES)?;
        check_within("data.max_frames", self.max_frames, 0..=MOST_FRAMES)?;
        self.sampler.check()?;
        if self.labels.are_strings() && self.crop_frames > 0 {
            let expected = format!(
                "0 with labels of {}, which have no times to cut at",
                self.labels.name()
            );
            let found = self.crop_frames.to_string();
            return Err(Error::option("data.crop_frames", expected, found));
        }
        if let (None, Some(feats)) = (&self.valid, &self.valid_feats) {
            let (expected, found) = ("data.valid beside it", feats.display().to_string());
            return Err(Error::option("data.valid_feats", expected, found));
        }
        Ok(())
    }
}

fn all() -> f64 {
    1.0
}

fn default_sampler() -> SamplerOptions {
    SamplerOptions::Speakers {
        speakers: 6,
        utterances: 8,
    }
}

impl Configuration for Config {
    fn read(path: &Path) -> Result<Self> {
        document(path)?.options()
    }
}

impl Config {
    /// Checks every value that can be checked without data.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        self.train.check()?;
        self.data.check()?;
        self.normalisation.check()?;
        match &self.method {
            MethodOptions::Disentangle(options) => options.check(self.data.labels),
            MethodOptions::Fhvae(options) => options.check(),
            MethodOptions::Dann(options) => options.check(self.data.labels),
            MethodOptions::Recogniser(options) => options.check(self.data.labels),
        }
        .map_err(|error| error.in_table("method"))
    }
}
