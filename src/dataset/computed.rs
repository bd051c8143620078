//! Features that are computed from recordings whenever a batch needs them, of audio that is augmented anew each time.

use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;
use rayon::prelude::*;

use super::augment::AugmentChain;
use super::feats::not_finite;
use super::recordings::{Place, RecordingOptions, Recordings};
use super::{DataDir, Table};
use crate::error::{Error, Result};
use crate::io::audio::Waveform;
use crate::signal::FeatureExtractor;
use crate::signal::augment::change_speed;
use crate::signal::pitch::{F0Contour, FramePitch};

/// The recordings of a data directory, the front-end that makes features of them, and what is done to them before.
pub struct ComputedFeats {
    recordings: Recordings,
    places: Vec<Place>,
    ids: Vec<String>,
    /// Of each utterance as recorded.
    seconds: Vec<f64>,
    front_end: Arc<dyn FeatureExtractor>,
    pitch: Option<FramePitch>,
    options: RecordingOptions,
    augmentation: Option<AugmentChain>,
    second_view: Option<AugmentChain>,
}

/// Features of an utterance, computed.
#[derive(Debug)]
pub struct Computed {
    /// `[frames, bins]`, finite.
    pub feats: Array2<f32>,
    /// A second view of the utterance: its features as augmented in another way, of the same size.
    pub second: Option<Array2<f32>>,
    /// Their pitch, if it is wanted.
    pub contour: Option<F0Contour>,
    /// The frames that the utterance has as recorded, at its own speed.
    pub recorded_frames: usize,
}

impl ComputedFeats {
    /// Finds the recordings of all utterances and their lengths: by `segments`, `utt2dur` or `reco2dur`, or by the headers of
    /// their files. With `resample`, recordings of another rate than the front-end's are resampled; else they are errors of
    /// [`ComputedFeats::draw`].
    ///
    /// # Errors
    /// A data directory without `wav.scp`; an utterance without a recording; a recording that is missing; as
    /// [`Recordings::seconds_at`].
    pub fn open(
        dir: &DataDir,
        front_end: Arc<dyn FeatureExtractor>,
        resample: bool,
    ) -> Result<Self> {
        let recordings = Recordings::of_dir(dir.path())?;
        let ids = dir.utterances().to_vec();
        let places = {
            let places = recordings.places();
            let place = |id: &String| {
                let found = places.get(id.as_str()).copied();
                found.ok_or_else(|| Error::key(recordings.list(), id, "its recording", "none"))
            };
            ids.iter().map(place).collect::<Result<Vec<_>>>()?
        };
        let mut computed = Self {
            options: RecordingOptions {
                resample_hz: resample.then(|| front_end.sample_rate_hz() as u32),
                ..RecordingOptions::default()
            },
            seconds: Vec::new(),
            augmentation: None,
            second_view: None,
            pitch: None,
            recordings,
            places,
            ids,
            front_end,
        };
        computed.seconds = computed.lengths(dir)?;
        Ok(computed)
    }

    /// Augments the audio of [`ComputedFeats::draw`].
    pub fn augmented(self, augmentation: AugmentChain) -> Self {
        Self {
            augmentation: Some(augmentation),
            ..self
        }
    }

    /// Gives [`ComputedFeats::draw`] a second view, of the recording as augmented by `second_view` alone.
    pub fn with_second_view(self, second_view: AugmentChain) -> Self {
        Self {
            second_view: Some(second_view),
            ..self
        }
    }

    /// Finds the pitch of the audio of [`ComputedFeats::draw`] too, augmented as it is.
    pub fn with_pitch(self, pitch: FramePitch) -> Self {
        Self {
            pitch: Some(pitch),
            ..self
        }
    }

    /// Bins of the features.
    pub fn bins(&self) -> usize {
        self.front_end.dim()
    }

    /// The recordings' list, for messages.
    pub fn path(&self) -> &Path {
        self.recordings.list()
    }

    /// Frames of each utterance at `speed`, from the length that is stated for it: at least 1.
    pub fn frames(&self, speed: f64) -> Vec<usize> {
        let rate = self.front_end.sample_rate_hz();
        let frames = |seconds: &f64| self.front_end.frames((seconds * rate / speed) as usize);
        self.seconds.iter().map(|s| frames(s).max(1)).collect()
    }

    /// The features of an utterance at `speed` and augmented. The same number gives the same features. What is not as it was recorded is
    /// rounded to 16 bits, as in the files of `unbraid data augment`: at a low speed the highest bands hold nothing else, and would tell the speed.
    ///
    /// # Errors
    /// Errors of reading; [`Error::Key`] naming the utterance for a recording of another rate or shorter than a frame, for
    /// silence that noise is to be added to, and for features that are not finite.
    pub fn draw(&self, utterance: usize, speed: f64, number: u64) -> Result<Computed> {
        let mut speech = self.read(utterance)?;
        let recorded = speech.samples.len();
        if speed != 1.0 {
            speech.samples = change_speed(&speech.samples, speech.sample_rate_hz, speed)?;
        }
        let varied = |chain: &AugmentChain, number| {
            let varied = chain.vary(&self.ids[utterance], number, &speech);
            varied.map_err(|error| self.named(utterance, error))
        };
        // Equal tables do not give equal views.
        let second = (self.second_view.as_ref()).map(|chain| varied(chain, !number));
        let second = second.transpose()?;
        let first = (self.augmentation.as_ref()).map(|chain| varied(chain, number));
        if let Some(first) = first.transpose()? {
            speech = first.waveform;
        }
        if speed != 1.0 || self.augmentation.is_some() {
            speech = speech.rounded();
        }
        Ok(Computed {
            feats: self.compute(utterance, &speech)?,
            second: (second.map(|second| self.compute(utterance, &second.waveform.rounded())))
                .transpose()?,
            contour: (self.pitch.as_ref())
                .map(|pitch| pitch.contour(&speech.samples))
                .transpose()?,
            recorded_frames: self.front_end.frames(recorded),
        })
    }

    fn read(&self, utterance: usize) -> Result<Waveform> {
        let speech = self
            .recordings
            .read_at(self.places[utterance], &self.options)?;
        let rate_hz = self.front_end.sample_rate_hz();
        if f64::from(speech.sample_rate_hz) == rate_hz {
            return Ok(speech);
        }
        let expected = format!("{rate_hz} Hz, the front-end's rate (or data.resample = true)");
        let found = format!("{} Hz", speech.sample_rate_hz);
        Err(Error::key(
            self.path(),
            &self.ids[utterance],
            expected,
            found,
        ))
    }

    fn compute(&self, utterance: usize, speech: &Waveform) -> Result<Array2<f32>> {
        let feats = self.front_end.compute_waveform(speech);
        let feats = feats.map_err(|error| self.named(utterance, error))?;
        match not_finite(&feats) {
            Some(value) => {
                let (id, found) = (&self.ids[utterance], value.to_string());
                Err(Error::key(self.path(), id, "finite features", found))
            }
            None => Ok(feats),
        }
    }

    /// An error of options as one of the utterance.
    fn named(&self, utterance: usize, error: Error) -> Error {
        match error {
            Error::Option {
                option,
                expected,
                found,
            } => {
                let key = format!("{}: {option}", self.ids[utterance]);
                Error::key(self.path(), key, expected, found)
            }
            other => other,
        }
    }

    /// The length of every utterance in seconds.
    fn lengths(&self, dir: &DataDir) -> Result<Vec<f64>> {
        let table = |name: &str| dir.file(name).map(Table::read).transpose();
        let (utterances, recordings) = (table("utt2dur")?, table("reco2dur")?);
        let length =
            |(id, &place): (&String, &Place)| match stated(dir, id, [&utterances, &recordings])? {
                Some(seconds) => self.recordings.check_at(place).map(|()| seconds),
                None => self.recordings.seconds_at(place, &self.options),
            };
        let lengths: Vec<_> = self.ids.par_iter().zip(&self.places).map(length).collect();
        lengths.into_iter().collect()
    }
}

/// The length of an utterance in seconds by `utt2dur`, or without `segments` by `reco2dur`.
fn stated(dir: &DataDir, id: &str, tables: [&Option<Table>; 2]) -> Result<Option<f64>> {
    let recording = match dir.segments() {
        None => dir.recording_of(id),
        Some(_) => None,
    };
    let keys = [Some(id), recording].into_iter().zip(tables);
    let mut lines = keys.filter_map(|(key, table)| {
        let table = table.as_ref()?;
        Some((table, table.entry(key?)?))
    });
    let Some((table, entry)) = lines.next() else {
        return Ok(None);
    };
    match entry.value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds > 0.0 => Ok(Some(seconds)),
        _ => {
            let found = format!("'{}'", entry.value);
            Err(Error::line(
                table.path(),
                entry.line,
                "seconds above 0",
                found,
            ))
        }
    }
}

impl std::fmt::Debug for ComputedFeats {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("ComputedFeats")
            .field(&self.path())
            .finish()
    }
}
