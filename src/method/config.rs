//! The configuration of a speech run: one TOML file. Each table is defined next to the code that it configures.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dann_backbone::SpeechDannOptions;
use super::disentangle::DisentangleOptions;
use super::fhvae::FhvaeOptions;
use super::old_keys::document;
use super::recogniser::RecogniserOptions;
use crate::dataset::augment::{AugmentOptions, FeatAugmentOptions};
use crate::dataset::labels::Labels;
use crate::dataset::normalisation::{Cmvn, NormalisationOptions};
use crate::dataset::sampler::SamplerOptions;
use crate::error::{Error, Result, check_within};
use crate::nn::device::DeviceChoice;
use crate::nn::ssl::SslLayersOptions;
use crate::signal::FeatureType;
use crate::train::TrainOptions;
use crate::train::experiment::Configuration;

/// The least difference between two speeds.
const LEAST_OTHER_SPEED: f64 = 0.001;
/// Most threads that read data.
const MOST_WORKERS: usize = 1024;
/// Largest number of frames in a window or an utterance.
const MOST_FRAMES: usize = 1 << 24;

/// A training run on speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of all random numbers. On the CPU, the same seed and number of threads give the same run, bit for bit.
    #[serde(default)]
    pub seed: u64,
    /// Device to train on.
    #[serde(default)]
    pub device: DeviceChoice,
    /// Compute convolutions and linear layers in bfloat16, the rest in single precision. Faster on recent GPUs; results
    /// differ slightly.
    #[serde(default)]
    pub bf16: bool,
    /// Training and validation data.
    pub data: DataOptions,
    /// Normalisation of features before a network reads them.
    #[serde(default)]
    pub normalisation: NormalisationOptions,
    /// The method and its options.
    pub method: MethodOptions,
    /// Number of steps, validation, checkpoints and logging.
    #[serde(default)]
    pub train: TrainOptions,
}

/// A method on speech and its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum MethodOptions {
    /// Phonetic encoder, speaker encoder and decoder, with optional supervision, consistency losses and adversaries.
    Disentangle(Box<DisentangleOptions>),
    /// Factorised hierarchical variational autoencoder (Hsu et al. 2017).
    Fhvae(FhvaeOptions),
    /// Domain-adversarial training (Ganin et al. 2016): a classifier of utterances that works for the speakers of two
    /// domains, with labels of one.
    Dann(SpeechDannOptions),
    /// A recogniser of phones, words or characters, trained by connectionist temporal classification (CTC).
    Recogniser(RecogniserOptions),
}

impl MethodOptions {
    /// Parts that training leaves as they are.
    pub fn frozen(&self) -> &[String] {
        match self {
            Self::Disentangle(options) => &options.freeze,
            Self::Fhvae(_) | Self::Dann(_) | Self::Recogniser(_) => &[],
        }
    }

    /// The same with every default that depends on the features' type.
    ///
    /// # Errors
    /// As [`Config::for_features`].
    pub fn for_features(&self, features: FeatureType) -> Result<Self> {
        Ok(match self {
            Self::Recogniser(options) => Self::Recogniser(options.for_features(features)?),
            Self::Disentangle(_) | Self::Fhvae(_) | Self::Dann(_) => self.clone(),
        })
    }

    /// Whether a part compares two views of an utterance.
    pub fn reads_second_view(&self) -> bool {
        match self {
            Self::Disentangle(options) => options.reads_second_view(),
            Self::Fhvae(_) | Self::Dann(_) | Self::Recogniser(_) => false,
        }
    }

    /// The layers of a self-supervised encoder that are trained further.
    pub fn ssl_layers(&self) -> Option<&SslLayersOptions> {
        match self {
            Self::Disentangle(options) => options.model.ssl_layers.as_ref(),
            Self::Fhvae(_) | Self::Dann(_) | Self::Recogniser(_) => None,
        }
    }

    /// Whether the decoder reads pitch.
    pub fn reads_pitch(&self) -> bool {
        match self {
            Self::Disentangle(options) => options.model.pitch,
            Self::Fhvae(_) | Self::Dann(_) | Self::Recogniser(_) => false,
        }
    }

    /// Frames per output of the part that learns label sequences, where there is one.
    pub fn subsampling(&self) -> Option<usize> {
        match self {
            Self::Disentangle(options) => Some(options.model.subsampling() as usize),
            Self::Recogniser(options) => Some(options.network.subsampling as usize),
            Self::Fhvae(_) | Self::Dann(_) => None,
        }
    }
}

/// Data directories, labels and batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataOptions {
    /// Training data directory in Kaldi's format, with `feats.scp`, or with `wav.scp` if `input = "audio"`.
    pub train: PathBuf,
    /// What is read from `train` and `valid`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub input: Input,
    /// An scp file of features to use in place of `feats.scp` of `train`, such as codes or features made by another
    /// program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_feats: Option<PathBuf>,
    /// Validation data directory. Without it nothing is validated and no checkpoint becomes `best`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<PathBuf>,
    /// As `train_feats`, for `valid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_feats: Option<PathBuf>,
    /// Kind of labels for supervision of the phonetic codes, and where they are read from.
    #[serde(default)]
    pub labels: Labels,
    /// Training speakers whose labels are used; those of all others are ignored. Without this key, all speakers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labelled_speakers: Vec<String>,
    /// Share of the training utterances whose labels are used, drawn at random by `seed` among those of
    /// `labelled_speakers`. Less than 1 simulates scarce labels.
    #[serde(default = "all")]
    pub labelled: f64,
    /// Length of the training windows, in frames; each is cut from an utterance at a random place. 0 uses whole
    /// utterances.
    #[serde(default)]
    pub crop_frames: usize,
    /// Leave out training utterances with more frames than this, because one long utterance makes its whole batch long.
    /// 0 uses all.
    #[serde(default)]
    pub max_frames: usize,
    /// How training batches are drawn.
    #[serde(default = "default_sampler")]
    pub sampler: SamplerOptions,
    /// Front-end that computed the features, or computes them if `input = "audio"`: a TOML file with `kind`, as `unbraid
    /// feats fbank` and the other front-end commands read it, or one of a network (`hubert`, `wav2vec2`, `wavlm`, `module`),
    /// as `unbraid feats ssl --conf` does. The experiment keeps a copy, so that `unbraid extract --wav` computes the same
    /// features; of a network, its absolute place and its checksum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front_end: Option<PathBuf>,
    /// What the columns of the features are. It decides which defaults and options make sense: a level can be subtracted
    /// from log spectra alone, and only their columns can be warped and masked as frequencies. By default it follows from
    /// `front_end`; without one, features of at most 256 columns are taken for filter banks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_type: Option<FeatureType>,
    /// Threads that read batches, and compute features from audio. 0 uses one for features; for audio all cores, divided
    /// among the processes of this machine. Any number gives the same batches.
    #[serde(default, skip_serializing_if = "is_default")]
    pub workers: usize,
    /// Resample recordings of other rates than the front-end's, if `input = "audio"`. Otherwise they are errors.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resample: bool,
    /// Use each training utterance once at each of these speeds, if `input = "audio"`, where another speed makes another
    /// speaker (Ko et al. 2015). Without this key, only as recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speeds: Vec<f64>,
    /// Augmentation of the training audio, if `input = "audio"`, drawn anew each time that an utterance is read. The table
    /// is that of `unbraid data augment --conf`. A speed that is drawn here does not change the speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<AugmentOptions>,
    /// A second view of each training utterance, if `input = "audio"`: the recording as augmented by this table alone, which
    /// is that of `augment` and may not change its length. `method.clustering.second_view = "perturbed"` and
    /// `method.consistency.invariance` compare its codes with those of the first view. For example `voice` and `equaliser`
    /// for another speaker (ContentVec, Spin), and `noise` too (R-Spin).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_view: Option<AugmentOptions>,
    /// Augmentation of the training features, drawn anew each time that an utterance is read. The table is that of
    /// `unbraid feats augment --conf`. All networks read the augmented features, and the decoder's targets are augmented
    /// too; `method.perturb` perturbs the input of the phonetic encoder alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment_feats: Option<FeatAugmentOptions>,
}

/// What is read from a data directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Features, of `feats.scp`.
    #[default]
    Features,
    /// Recordings, of `wav.scp` and `segments`. `front_end` computes features of them during training, and nothing is
    /// stored.
    Audio,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl DataOptions {
    /// A training set, with the defaults of all other keys.
    pub fn of(train: PathBuf) -> Self {
        Self {
            train,
            input: Input::default(),
            train_feats: None,
            valid: None,
            valid_feats: None,
            labels: Labels::default(),
            labelled_speakers: Vec::new(),
            labelled: all(),
            crop_frames: 0,
            max_frames: 0,
            sampler: default_sampler(),
            front_end: None,
            feature_type: None,
            workers: 0,
            resample: false,
            speeds: Vec::new(),
            augment: None,
            second_view: None,
            augment_feats: None,
        }
    }

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
        if let Some(augment) = &self.augment_feats {
            let checked = augment.check();
            checked.map_err(|error| error.in_table("data.augment_feats"))?;
        }
        check_within("data.workers", self.workers, 0..=MOST_WORKERS)?;
        self.check_input()
    }

    /// Checks keys that only one kind of input has.
    fn check_input(&self) -> Result<()> {
        let audio = self.input == Input::Audio;
        let [features_only, audio_only] = ["\"features\"", "\"audio\""]
            .map(|input| format!("no value unless data.input = {input}"));
        let given = |key: &str, given: bool, expected: &str| match given {
            true => Err(Error::option(format!("data.{key}"), expected, "one")),
            false => Ok(()),
        };
        if !audio {
            given("augment", self.augment.is_some(), &audio_only)?;
            given("second_view", self.second_view.is_some(), &audio_only)?;
            given("speeds", !self.speeds.is_empty(), &audio_only)?;
            return given("resample", self.resample, &audio_only);
        }
        given("train_feats", self.train_feats.is_some(), &features_only)?;
        given("valid_feats", self.valid_feats.is_some(), &features_only)?;
        if self.front_end.is_none() {
            let expected = "a front-end beside data.input = \"audio\"";
            return Err(Error::option("data.front_end", expected, "none"));
        }
        for (place, &speed) in self.speeds.iter().enumerate() {
            check_within("data.speeds", speed, 0.25..=4.0)?;
            let close = |other: &&f64| (*other - speed).abs() < LEAST_OTHER_SPEED;
            if let Some(other) = self.speeds[..place].iter().find(close) {
                let expected = format!("factors that differ by {LEAST_OTHER_SPEED} or more");
                let found = format!("{other} and {speed}");
                return Err(Error::option("data.speeds", expected, found));
            }
        }
        for (table, options) in [
            ("data.augment", &self.augment),
            ("data.second_view", &self.second_view),
        ] {
            let Some(options) = options else { continue };
            options.check().map_err(|error| error.in_table(table))?;
            if let (Some(speed), Some(_)) = (&options.speed, &self.second_view) {
                let expected =
                    "no table, so that both views have the same length (data.speeds changes both)";
                let found = format!("factors {:?}", speed.factors);
                return Err(Error::option(format!("{table}.speed"), expected, found));
            }
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
    /// The same with every default that depends on the features' type.
    ///
    /// # Errors
    /// [`Error::Option`] naming the first option that makes no sense for such features.
    pub fn for_features(&self, features: FeatureType) -> Result<Self> {
        Ok(Self {
            normalisation: self.normalisation.for_features(features)?,
            method: self.method.for_features(features)?,
            ..self.clone()
        })
    }

    /// The same with every default that depends on the features' type as it is in `other`.
    pub fn with_defaults_of(&self, other: &Self) -> Self {
        let mut config = self.clone();
        let subtracted = &mut config.normalisation.subtract_utterance_mean;
        *subtracted = subtracted.or(other.normalisation.subtract_utterance_mean);
        if let (MethodOptions::Recogniser(own), MethodOptions::Recogniser(other)) =
            (&mut config.method, &other.method)
        {
            own.mask_share = own.mask_share.or(other.mask_share);
        }
        config
    }

    /// Refuses what makes no sense for features of a type and a number of columns.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check_features(&self, features: FeatureType, bins: usize) -> Result<()> {
        if let MethodOptions::Disentangle(options) = &self.method {
            (options.perturb).check_features("method.perturb", features, bins)?;
        }
        match &self.data.augment_feats {
            None => Ok(()),
            Some(augment) => (augment.check_features(features, bins))
                .map_err(|error| error.in_table("data.augment_feats")),
        }
    }

    /// Checks every value that can be checked without data.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        self.train.check()?;
        self.data.check()?;
        self.normalisation.check()?;
        match &self.method {
            MethodOptions::Disentangle(options) => {
                options.check(self.data.labels, self.data.second_view.is_some())
            }
            MethodOptions::Fhvae(options) => options.check(),
            MethodOptions::Dann(options) => options.check(self.data.labels),
            MethodOptions::Recogniser(options) => options.check(self.data.labels),
        }
        .map_err(|error| error.in_table("method"))?;
        if self.data.second_view.is_some() && !self.method.reads_second_view() {
            let expected = "no table unless method.consistency.invariance or method.clustering.second_view = \"perturbed\" reads it";
            return Err(Error::option("data.second_view", expected, "one"));
        }
        match self.method.ssl_layers() {
            Some(_) if self.normalisation.cmvn != Cmvn::None => {
                let expected = "\"none\" with method.model.ssl_layers, whose weights are those of hidden states as they are";
                let found = format!("\"{:?}\"", self.normalisation.cmvn).to_lowercase();
                Err(Error::option("normalisation.cmvn", expected, found))
            }
            _ => Ok(()),
        }
    }
}
