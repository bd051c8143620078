//! A trained model in a few calls: recordings to phonetic codes, to a speaker embedding, and to the voice of another speaker.

use std::path::Path;

use ndarray::{Array1, Array2};
use tch::Device;

use super::conversion::convert_features;
use super::extract::{Extraction, Pool, Representation, check_finite};
use super::vocoder::Vocoder;
use crate::dataset::normalisation::Normalisation;
use crate::error::Result;
use crate::io::audio::Waveform;
use crate::method::DisentangledModel;
use crate::method::speech::load;
use crate::nn::AnyFrontEnd;
use crate::signal::loudness::{mean_power, set_power};
use crate::signal::pitch::{F0Contour, FramePitch};
use crate::signal::resample::resample;
use crate::signal::{AnyFrontEndOptions, FeatureExtractor};
use crate::train::experiment::Experiment;

/// A trained experiment and the front-end that it was trained with.
///
/// ```no_run
/// # fn main() -> unbraid::Result<()> {
/// use unbraid::Model;
/// use unbraid::io::audio::{AudioOptions, read_audio};
///
/// let model = Model::open("exp/default")?;
/// let speech = read_audio("talk.flac", &AudioOptions::default())?;
/// let codes = model.phonetic(&speech)?; // [codes, code_dim]
/// let embedding = model.speaker(&speech)?; // [embedding_dim], of length 1
/// # let _ = (codes, embedding);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Model {
    model: Box<dyn DisentangledModel>,
    normalisation: Normalisation,
    device: Device,
    front_end: AnyFrontEnd,
}

/// What a model makes of a recording, as far as it was wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Representations {
    /// Phonetic codes `[codes, code_dim]`.
    pub phonetic: Option<Array2<f32>>,
    /// The speaker embedding `[embedding_dim]`, of length 1.
    pub speaker: Option<Array1<f32>>,
}

impl Model {
    /// Opens the last checkpoint of an experiment, on the CPU.
    ///
    /// # Errors
    /// For a missing or damaged experiment, checkpoint or `front_end.toml`; for a front-end that is a network and not there, or
    /// another one.
    pub fn open(experiment: impl AsRef<Path>) -> Result<Self> {
        Self::of(&Experiment::open(experiment.as_ref())?, "last", Device::Cpu)
    }

    /// The checkpoint `last`, `best` or `step_000123` of an experiment, on a device.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn of(experiment: &Experiment, checkpoint: &str, device: Device) -> Result<Self> {
        let (model, info) = load(experiment, checkpoint, device)?;
        let options = AnyFrontEndOptions::read(experiment.path().join("front_end.toml"))?;
        Ok(Self {
            model,
            normalisation: info.normalisation,
            device,
            front_end: AnyFrontEnd::open(&options, device)?,
        })
    }

    /// Phonetic codes `[codes, code_dim]` of a recording of any sample rate.
    ///
    /// # Errors
    /// As [`Model::at_rate`] and [`Model::feats`]; [`crate::Error::Key`] for codes that are not finite.
    pub fn phonetic(&self, recording: &Waveform) -> Result<Array2<f32>> {
        self.extract(recording, Representation::Phonetic)
    }

    /// The speaker embedding `[embedding_dim]`, of length 1, of a recording of any sample rate.
    ///
    /// # Errors
    /// As [`Model::phonetic`]; [`crate::Error::Option`] for a method without speaker embeddings.
    pub fn speaker(&self, recording: &Waveform) -> Result<Array1<f32>> {
        let embedding = self.extract(recording, Representation::Speaker)?;
        Ok(embedding.row(0).to_owned())
    }

    /// Features `[frames, bins]` with the content of `source` and the voice of `target`, recordings of any sample rate.
    ///
    /// # Errors
    /// As [`Model::speaker`]; [`crate::Error::Option`] for a method without a decoder.
    pub fn convert(&self, source: &Waveform, target: &Waveform) -> Result<Array2<f32>> {
        let [source, target] = [self.at_rate(source)?, self.at_rate(target)?];
        let (feats, pitch) = (self.feats(&source)?, self.pitch(&source)?);
        self.convert_feats((&feats, pitch.as_ref()), &self.feats(&target)?)
    }

    /// The phonetic codes and the speaker embedding of a recording of any sample rate, whichever is wanted; the front-end runs
    /// once.
    ///
    /// # Errors
    /// As [`Model::phonetic`] and [`Model::speaker`].
    pub fn both(
        &self,
        recording: &Waveform,
        [phonetic, speaker]: [bool; 2],
    ) -> Result<Representations> {
        let feats = self.feats(&self.at_rate(recording)?)?;
        let of = |representation| self.of_feats(feats.clone(), representation);
        let phonetic = phonetic.then(|| of(Representation::Phonetic)).transpose()?;
        let speaker = speaker.then(|| of(Representation::Speaker)).transpose()?;
        Ok(Representations {
            phonetic,
            speaker: speaker.map(|embedding| embedding.row(0).to_owned()),
        })
    }

    fn extract(&self, recording: &Waveform, representation: Representation) -> Result<Array2<f32>> {
        self.of_feats(self.feats(&self.at_rate(recording)?)?, representation)
    }

    fn of_feats(&self, feats: Array2<f32>, representation: Representation) -> Result<Array2<f32>> {
        let extraction = Extraction {
            model: self.model.as_ref(),
            normalisation: &self.normalisation,
            device: self.device,
            representation,
            pool: Pool::None,
        };
        extraction.of_one(feats)
    }

    /// The options of the front-end that recordings go through.
    pub fn front_end(&self) -> &AnyFrontEndOptions {
        self.front_end.options()
    }

    /// The sample rate of the front-end, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.front_end.sample_rate_hz() as u32
    }

    /// Resamples audio to the front-end's sample rate.
    ///
    /// # Errors
    /// As [`resample`].
    pub fn at_rate(&self, waveform: &Waveform) -> Result<Waveform> {
        let sample_rate_hz = self.sample_rate_hz();
        Ok(Waveform {
            samples: resample(&waveform.samples, waveform.sample_rate_hz, sample_rate_hz)?
                .into_owned(),
            sample_rate_hz,
        })
    }

    /// Features `[frames, bins]` of audio at the front-end's sample rate.
    ///
    /// # Errors
    /// As [`AnyFrontEnd::compute`].
    pub fn feats(&self, waveform: &Waveform) -> Result<Array2<f32>> {
        self.front_end.compute(&waveform.samples)
    }

    /// The pitch of audio at the front-end's sample rate that the decoder reads, one value per frame of the features; none where
    /// it reads none.
    ///
    /// # Errors
    /// As [`FramePitch::of`] and [`FramePitch::contour`].
    pub fn pitch(&self, waveform: &Waveform) -> Result<Option<F0Contour>> {
        let contour = || FramePitch::of(self.front_end())?.contour(&waveform.samples);
        self.model.reads_pitch().then(contour).transpose()
    }

    /// Adjusts `made` to the exact length and the mean power of `source`, both at the front-end's rate. Features keep neither
    /// exactly: frames need not cover all samples, and normalisation changes the level. Peaks are bent where the power would
    /// leave full scale ([`set_power`]).
    pub fn fitted(&self, mut made: Waveform, source: &Waveform) -> Waveform {
        made.samples.resize(source.samples.len(), 0.0);
        set_power(&mut made.samples, mean_power(&source.samples));
        made
    }

    /// The sound that a vocoder makes of features `[frames, bins]`, at the front-end's rate.
    ///
    /// # Errors
    /// As [`Vocoder::waveform`].
    pub fn vocode(&self, vocoder: &Vocoder, feats: &Array2<f32>) -> Result<Vec<f32>> {
        vocoder.waveform(feats, self.front_end())
    }

    /// Converts `source`, with its [`Model::pitch`], to the speaker of `target`, both features `[frames, bins]`. The result has the length of `source`
    /// and, where normalisation subtracts the utterance's mean, the mean of `source`.
    ///
    /// # Errors
    /// As [`convert_features`]; [`crate::Error::Key`] for features that are not finite.
    pub fn convert_feats(
        &self,
        (source, pitch): (&Array2<f32>, Option<&F0Contour>),
        target: &Array2<f32>,
    ) -> Result<Array2<f32>> {
        let [own, other] = [source, target].map(|feats| self.normalisation.apply(feats.clone()));
        let pitch = pitch.map(|contour| self.normalisation.pitch(contour));
        let own = (&own, pitch.as_ref());
        let converted = convert_features(self.model.as_ref(), self.device, own, &other)?;
        let feats = self.normalisation.restore(converted, source);
        check_finite("SOURCE", &feats)?;
        Ok(feats)
    }
}
