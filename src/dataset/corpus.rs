//! Corpora of speech: utterances are read when needed, normalised, and put into batches.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array2, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::augment::FeatAugmentOptions;
use super::batch::{Row, SpeechBatch};
use super::computed::{Computed, ComputedFeats};
use super::datadir::DataDir;
use super::feats::Feats;
use super::labels::{LabelTable, Labels, NO_LABEL, numbers, stretch_labels};
use super::normalisation::Normalisation;
use super::pitch::Pitch;
use super::sampler::Population;
use crate::error::{Error, Result};
use crate::signal::pitch::F0Contour;

/// Utterances of a corpus of audio that statistics for normalisation are computed over, evenly spaced.
const MOST_FITTED: usize = 300;
/// Utterances that are read by several threads at once, and kept until they are used.
const READ_AT_ONCE: usize = 64;

/// The names of class numbers, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// Speakers of the training set.
    pub speakers: Vec<String>,
    /// Words or sentences of the training set, the labels of its sequences, or as many frame classes as its alignment
    /// has.
    pub labels: Vec<String>,
}

/// A data directory with features, indexed: only a few numbers per utterance are in memory.
///
/// Features computed from audio can have several speeds. Then there is each utterance once per speed, and another speed
/// makes another speaker (Ko et al. 2015).
#[derive(Debug)]
pub struct SpeechCorpus {
    path: PathBuf,
    /// The utterances of the directory.
    ids: Vec<String>,
    /// All utterances of the directory at the first speed, then all at the next.
    speeds: Vec<f64>,
    /// Of each utterance at each speed, as `frames`.
    speakers: Vec<i64>,
    labels: LabelTable,
    speaker_names: Vec<String>,
    source: Source,
    /// That of stored features, if it is wanted.
    pitch: Option<Pitch>,
    augment_feats: Option<FeatAugmentOptions>,
    frames: Vec<usize>,
    /// For each utterance of the directory, whether it is left out; empty if none is.
    left_out: Vec<bool>,
}

/// Where features come from.
#[derive(Debug)]
enum Source {
    /// An archive.
    Stored(Feats),
    /// Recordings.
    Computed(Box<ComputedFeats>),
}

/// The name of a speaker at another speed, `sp0.9-SPEAKER`.
fn speaker_at(speed: f64, speaker: &str) -> String {
    match speed {
        1.0 => speaker.to_string(),
        _ => format!("sp{speed}-{speaker}"),
    }
}

impl SpeechCorpus {
    /// Opens a data directory with the features of `feats_scp` (its own `feats.scp`, or codes and embeddings extracted
    /// from it) and labels of a kind.
    ///
    /// # Errors
    /// A missing table; an utterance without features, text or alignment; a feature matrix without frames: each named.
    pub fn open(
        path: &Path,
        feats_scp: &Path,
        labels: Labels,
        inventory: &Inventory,
    ) -> Result<Self> {
        let dir = DataDir::open(path)?;
        let feats = Feats::open(feats_scp, dir.utterances())?;
        let frames = (dir.utterances().iter())
            .map(|id| match feats.shape(id)? {
                (0, _) => Err(Error::key(feats_scp, id, "at least one frame", "none")),
                (frames, _) => Ok(frames),
            })
            .collect::<Result<_>>()?;
        Self::of(
            &dir,
            Source::Stored(feats),
            &[1.0],
            frames,
            (labels, inventory),
        )
    }

    /// Reads the pitch of stored features too, of the `pitch.scp` of the data directory. Features that are computed bring their
    /// own ([`ComputedFeats::with_pitch`]).
    ///
    /// # Errors
    /// As [`Pitch::open`], and as [`Pitch::check`] for the first utterance that has no pitch of its length.
    pub fn read_pitch(&mut self) -> Result<()> {
        let pitch = Pitch::open(&self.path)?;
        for (id, &frames) in self.ids.iter().zip(&self.frames) {
            pitch.check(id, frames)?;
        }
        self.pitch = Some(pitch);
        Ok(())
    }

    /// Opens a data directory whose features are computed from its recordings, at each of `speeds`.
    ///
    /// # Errors
    /// As [`SpeechCorpus::open`], but for features.
    pub fn of_audio(
        dir: &DataDir,
        feats: ComputedFeats,
        speeds: &[f64],
        labels: Labels,
        inventory: &Inventory,
    ) -> Result<Self> {
        let frames = speeds
            .iter()
            .flat_map(|&speed| feats.frames(speed))
            .collect();
        let source = Source::Computed(Box::new(feats));
        Self::of(dir, source, speeds, frames, (labels, inventory))
    }

    fn of(
        dir: &DataDir,
        source: Source,
        speeds: &[f64],
        frames: Vec<usize>,
        (labels, inventory): (Labels, &Inventory),
    ) -> Result<Self> {
        let ids = dir.utterances().to_vec();
        let at_speed = |speed| {
            ids.iter()
                .map(move |id| speaker_at(speed, speaker_of(dir, id)))
        };
        let speakers: Vec<_> = speeds.iter().flat_map(|&speed| at_speed(speed)).collect();
        Ok(Self {
            path: dir.path().to_path_buf(),
            speaker_names: inventory.speakers.clone(),
            speakers: numbers(speakers.iter().map(String::as_str), &inventory.speakers),
            labels: LabelTable::open(dir, labels, &inventory.labels)?,
            speeds: speeds.to_vec(),
            ids,
            source,
            pitch: None,
            augment_feats: None,
            frames,
            left_out: Vec::new(),
        })
    }

    /// Augments features of [`SpeechCorpus::batch`].
    pub fn augment_feats(&mut self, options: Option<FeatAugmentOptions>) {
        self.augment_feats = options;
    }

    /// The place of an utterance in the directory, and its speed.
    fn at(&self, utterance: usize) -> (usize, f64) {
        let count = self.ids.len();
        (utterance % count, self.speeds[utterance / count])
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Utterance ids of the directory, in its order.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Number of utterances, at all speeds.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Speaker number of each utterance.
    pub fn speakers(&self) -> &[i64] {
        &self.speakers
    }

    /// Word number of each utterance, under [`Labels::UtteranceClass`].
    pub fn words(&self) -> Option<&[i64]> {
        self.labels.words()
    }

    /// Refuses label sequences that are too long for their utterances at one code per `subsampling` frames. Utterances
    /// have their own number of frames, or `stretched` if a normalisation gives them all the same (0: it does not).
    ///
    /// # Errors
    /// [`Error::Key`] naming the first such utterance.
    pub fn refuse_crowded(&self, subsampling: usize, stretched: usize) -> Result<()> {
        for (utterance, &frames) in self.frames.iter().enumerate() {
            let frames = if stretched > 0 { stretched } else { frames };
            let codes = frames.div_ceil(subsampling);
            let (place, _) = self.at(utterance);
            self.labels.refuse_crowded(place, &self.ids[place], codes)?;
        }
        Ok(())
    }

    /// Keeps the labels of a share of the utterances of `speakers` (empty: of all), drawn at random by `seed`. The
    /// others become [`NO_LABEL`].
    ///
    /// # Errors
    /// [`Error::Option`] for an unknown speaker.
    pub fn keep_labels(&mut self, speakers: &[String], share: f64, seed: u64) -> Result<()> {
        let names: Vec<_> = (speakers.iter())
            .map(|speaker| speaker_at(self.speeds[0], speaker))
            .collect();
        let known = numbers(names.iter().map(String::as_str), &self.speaker_names);
        if let Some(place) = known.iter().position(|&speaker| speaker == NO_LABEL) {
            let expected = format!("speakers of {}", self.path.display());
            let found = speakers[place].clone();
            return Err(Error::option("data.labelled_speakers", expected, found));
        }
        let chosen = |&u: &usize| known.is_empty() || known.contains(&self.speakers[u]);
        let utterances = (0..self.ids.len()).filter(chosen).collect();
        self.labels.keep(utterances, share, self.ids.len(), seed);
        Ok(())
    }

    /// Leaves out utterances with an empty label sequence from [`SpeechCorpus::population`] and
    /// [`SpeechCorpus::drawn`], and returns their number.
    ///
    /// # Errors
    /// [`Error::Format`] if all are empty.
    pub fn leave_out_unlabelled(&mut self) -> Result<usize> {
        let unlabelled = |utterance| self.labels.has_empty_sequence(utterance);
        self.left_out = (0..self.ids.len()).map(unlabelled).collect();
        match self.left_out.iter().filter(|out| **out).count() {
            all if all == self.ids.len() => {
                let expected = "an utterance with labels";
                Err(Error::format(&self.path, expected, "none"))
            }
            some => Ok(some),
        }
    }

    /// The utterances that are not left out.
    pub fn drawn(&self) -> Vec<usize> {
        let drawn = |&utterance: &usize| self.left_out.get(self.at(utterance).0) != Some(&true);
        (0..self.len()).filter(drawn).collect()
    }

    /// A checksum of names, speakers, labels and lengths of its utterances.
    pub fn checksum(&self) -> u32 {
        let mut checksum = 0;
        for utterance in 0..self.len() {
            let (place, _) = self.at(utterance);
            let line = format!(
                "{} {} {} {:?}\n",
                self.ids[place],
                self.speakers[utterance],
                self.frames[utterance],
                self.labels.words().map(|words| words[place])
            );
            checksum = crc32c::crc32c_append(checksum, line.as_bytes());
        }
        checksum
    }

    /// Bins of the features, from the first utterance.
    ///
    /// # Errors
    /// [`Error::Format`] when there are no utterances.
    pub fn bins(&self) -> Result<usize> {
        let none = || Error::format(&self.path, "utterances", "none");
        let first = self.ids.first().ok_or_else(none)?;
        match &self.source {
            Source::Stored(feats) => Ok(feats.shape(first)?.1),
            Source::Computed(feats) => Ok(feats.bins()),
        }
    }

    /// Whether the features are one vector per utterance.
    pub fn holds_vectors(&self) -> bool {
        matches!(&self.source, Source::Stored(feats) if feats.holds_vectors())
    }

    /// Frames of each utterance; of those computed from audio, by the length that is stated for them.
    pub fn frames(&self) -> &[usize] {
        &self.frames
    }

    /// The utterances that a sampler draws from: those that are not left out and have at most `longest` frames (0: any
    /// number). Speakers with several utterances, of which fewer than two are short enough, are left out.
    pub fn population(&self, longest: usize) -> Population {
        let drawn = self.drawn();
        let short = |utterance: usize| longest == 0 || self.frames[utterance] <= longest;
        let count = self
            .speakers
            .iter()
            .max()
            .map_or(0, |&most| most.max(-1) + 1);
        let mut by_speaker = vec![Vec::new(); count as usize];
        let mut counts = vec![0; count as usize];
        for &utterance in &drawn {
            let speaker = self.speakers[utterance];
            if speaker >= 0 {
                counts[speaker as usize] += 1;
                if short(utterance) {
                    by_speaker[speaker as usize].push(utterance);
                }
            }
        }
        let (speakers, by_speaker) = self
            .speaker_names
            .iter()
            .cloned()
            .zip(by_speaker)
            .zip(counts)
            // A speaker with a single utterance in total stays, for the sampler to refuse.
            .filter(|((_, utterances), count)| utterances.len() >= 2.min(*count) && *count > 0)
            .map(|(speaker, _)| speaker)
            .unzip();
        Population {
            frames: self.frames.clone(),
            utterances: drawn.into_iter().filter(|&u| short(u)).collect(),
            by_speaker,
            speakers,
        }
    }

    /// The features of an utterance, `[frames, bins]`, as stored or as computed for draw `number`.
    ///
    /// # Errors
    /// Errors of the archive or the recording; [`Error::Key`] for NaN or infinity, or another number of bins.
    fn draw(&self, utterance: usize, bins: usize, number: u64) -> Result<Computed> {
        let (place, speed) = self.at(utterance);
        match &self.source {
            Source::Stored(feats) => {
                let id = &self.ids[place];
                let feats = feats.checked(id, bins)?;
                let recorded_frames = feats.nrows();
                let contour = |pitch: &Pitch| pitch.contour(id, recorded_frames);
                Ok(Computed {
                    feats,
                    second: None,
                    contour: self.pitch.as_ref().map(contour).transpose()?,
                    recorded_frames,
                })
            }
            Source::Computed(feats) => feats.draw(place, speed, number),
        }
    }

    /// Features, `[frames, bins]`, of all utterances, or of so many of those computed from audio that statistics need no
    /// pass over a large corpus.
    ///
    /// # Errors
    /// As [`SpeechCorpus::batch`].
    pub fn feats(&self, bins: usize) -> impl Iterator<Item = Result<Array2<f32>>> {
        let count = match &self.source {
            Source::Stored(_) => self.len(),
            Source::Computed(_) => self.len().min(MOST_FITTED),
        };
        let read = move |index: usize| {
            let utterance = index * self.len() / count;
            self.draw(utterance, bins, utterance as u64)
                .map(|drawn| drawn.feats)
        };
        (0..count).step_by(READ_AT_ONCE).flat_map(move |from| {
            let some = (from..count.min(from + READ_AT_ONCE)).into_par_iter();
            some.map(read).collect::<Vec<_>>()
        })
    }

    /// Reads utterances into a batch, with `normalisation`. Utterances with more than `crop` frames (0: no limit) are
    /// cut to a window at a random place, drawn by `crop_seed`.
    ///
    /// # Errors
    /// Errors of the archive or the recording; [`Error::Key`] for NaN or infinity, another number of bins, or an alignment of
    /// another length or class.
    pub fn batch(
        &self,
        utterances: &[usize],
        normalisation: &Normalisation,
        crop: usize,
        crop_seed: u64,
    ) -> Result<SpeechBatch> {
        self.part_of_batch(
            utterances,
            0..utterances.len(),
            normalisation,
            (crop, crop_seed),
        )
    }

    /// Reads the utterances at `places` of a batch, in the windows that they have in the whole batch.
    ///
    /// # Errors
    /// As [`SpeechCorpus::batch`].
    pub fn part_of_batch(
        &self,
        utterances: &[usize],
        places: Range<usize>,
        normalisation: &Normalisation,
        (crop, crop_seed): (usize, u64),
    ) -> Result<SpeechBatch> {
        let mut rng = ChaCha8Rng::seed_from_u64(crop_seed);
        let windows: Vec<_> = (utterances.iter())
            .map(|&utterance| {
                let frames = normalisation.frames(self.frames[utterance]);
                window(frames, crop, &mut rng)
            })
            .collect();
        let read = |place: usize| {
            let number = crop_seed.wrapping_add(place as u64);
            let window = |frames| match &self.source {
                Source::Stored(_) => windows[place].clone(),
                // Its frames are known only now.
                Source::Computed(_) => window(frames, crop, &mut ChaCha8Rng::seed_from_u64(number)),
            };
            self.row(utterances[place], normalisation, number, window)
        };
        let rows: Vec<_> = places.clone().into_par_iter().map(read).collect();
        let rows = rows.into_iter().collect::<Result<Vec<_>>>()?;
        let utterances = &utterances[places];
        let speakers: Vec<i64> = utterances.iter().map(|&u| self.speakers[u]).collect();
        let numbers = (utterances, &speakers[..]);
        Ok(SpeechBatch::stack(numbers, &rows, &self.labels))
    }

    /// A window of an utterance, which `window` gives for its normalised frames: features, normalised, pitch, if it is wanted, and
    /// labels, by frame as many as features; else those of the utterance.
    fn row(
        &self,
        utterance: usize,
        normalisation: &Normalisation,
        number: u64,
        window: impl FnOnce(usize) -> Range<usize>,
    ) -> Result<Row> {
        let (place, _) = self.at(utterance);
        let mut drawn = self.draw(utterance, normalisation.bins(), number)?;
        if let Some(augment) = &self.augment_feats {
            augment.vary_draw(&mut drawn.feats, &self.ids[place], number);
            if let Some(second) = &mut drawn.second {
                augment.vary_draw(second, &self.ids[place], !number);
            }
        }
        let labels = self
            .labels
            .of(place, &self.ids[place], drawn.recorded_frames)?;
        let frames = normalisation.frames(drawn.feats.nrows());
        let window = window(frames);
        let normalise = |feats| normalisation.apply_within(feats, window.clone());
        let pitch = |contour: F0Contour| {
            let pitch = normalisation.pitch(&contour);
            pitch.slice_move(s![window.clone(), ..])
        };
        Ok(Row {
            feats: normalise(drawn.feats),
            second: drawn.second.map(normalise),
            pitch: drawn.contour.map(pitch),
            labels: match self.labels.by_frame() {
                true => stretch_labels(labels, frames)[window.clone()].to_vec(),
                false => labels,
            },
        })
    }
}

impl Inventory {
    /// The speakers and labels of a data directory.
    ///
    /// # Errors
    /// As [`SpeechCorpus::open`].
    pub fn of(path: &Path, labels: Labels) -> Result<Self> {
        Self::of_speeds(&DataDir::open(path)?, labels, &[1.0])
    }

    /// The same for utterances at each of `speeds`.
    ///
    /// # Errors
    /// As [`SpeechCorpus::open`].
    pub fn of_speeds(dir: &DataDir, labels: Labels, speeds: &[f64]) -> Result<Self> {
        let at_speed = |&speed| {
            dir.speakers()
                .iter()
                .map(move |name| speaker_at(speed, name))
        };
        let mut speakers = BTreeSet::new();
        for name in speeds.iter().flat_map(at_speed) {
            if let Some(name) = speakers.replace(name) {
                let expected = "names of speakers that no other speaker has at another speed";
                return Err(Error::option(
                    "data.speeds",
                    expected,
                    format!("'{name}' twice"),
                ));
            }
        }
        let labels = labels.names(dir)?;
        Ok(Self {
            speakers: speakers.into_iter().collect(),
            labels,
        })
    }
}

fn speaker_of<'a>(dir: &'a DataDir, id: &str) -> &'a str {
    dir.speaker_of(id).unwrap_or_default()
}

fn window(frames: usize, crop: usize, rng: &mut ChaCha8Rng) -> Range<usize> {
    if crop == 0 || frames <= crop {
        return 0..frames;
    }
    let start = rng.random_range(0..=frames - crop);
    start..start + crop
}
