//! Speech in batches: lazily read utterances, as networks see them, side by side in tensors.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ndarray::{Array2, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::datadir::DataDir;
use super::feats::Feats;
use super::sampler::Population;
use super::view::{FeatureView, stretched_position};
use crate::error::{Error, Result};
use crate::io::kaldi::ScpTable;

/// A target that does not count: padding, a name outside the inventory (libtorch's own `ignore_index`).
pub const NO_LABEL: i64 = -100;

/// More frame classes than any alignment of phones or senones has: a broken number must not size a network.
const MOST_CLASSES: i32 = 1 << 16;

/// What the phonetic strand may be told, and is probed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// Nothing.
    #[default]
    None,
    /// One class an utterance: its line in `text`.
    Text,
    /// One class a frame: its number in `ali.scp`, an archive of int32 vectors.
    Frames,
}

/// Utterances side by side.
#[derive(Debug)]
pub struct SpeechBatch {
    /// `[batch, bins, frames]`, zero beyond an utterance's end.
    pub feats: Tensor,
    /// Frames of each utterance.
    pub lengths: Vec<i64>,
    /// Speakers `[batch]`; [`NO_LABEL`] for one outside the inventory.
    pub speakers: Tensor,
    /// `[batch]` for [`Labels::Text`], `[batch, frames]` for [`Labels::Frames`].
    pub labels: Option<Tensor>,
}

/// The names behind class numbers, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// Speakers of the training set.
    pub speakers: Vec<String>,
    /// Words or sentences of the training set, or as many frame classes as its alignment has.
    pub labels: Vec<String>,
}

/// A data directory with features, indexed: what stays in memory is a few numbers per utterance.
#[derive(Debug)]
pub struct SpeechCorpus {
    path: PathBuf,
    ids: Vec<String>,
    speakers: Vec<i64>,
    words: Option<Vec<i64>>,
    speaker_names: Vec<String>,
    alignment: Option<Alignment>,
    feats: Feats,
    frames: Vec<usize>,
}

impl SpeechCorpus {
    /// Opens a data directory with the features of `feats_scp` (its own `feats.scp`, or codes and embeddings
    /// extracted from it) and the labels asked for.
    ///
    /// # Errors
    /// A missing table; an utterance without features, text or alignment; a feature matrix without frames:
    /// each named.
    pub fn open(
        path: &Path,
        feats_scp: &Path,
        labels: Labels,
        inventory: &Inventory,
    ) -> Result<Self> {
        let dir = DataDir::open(path)?;
        let ids = dir.utterances().to_vec();
        let feats = Feats::open(feats_scp, &ids)?;
        let frames = ids
            .iter()
            .map(|id| match feats.shape(id)? {
                (0, _) => Err(Error::key(feats_scp, id, "at least one frame", "none")),
                (frames, _) => Ok(frames),
            })
            .collect::<Result<_>>()?;
        let alignment = match labels {
            Labels::Frames => Some(Alignment::open(path, &ids, inventory.labels.len())?),
            _ => None,
        };
        Ok(Self {
            path: path.to_path_buf(),
            speaker_names: inventory.speakers.clone(),
            speakers: numbers(
                ids.iter().map(|id| speaker_of(&dir, id)),
                &inventory.speakers,
            ),
            words: match labels {
                Labels::Text => Some(words(&dir, &ids, &inventory.labels)?),
                _ => None,
            },
            ids,
            alignment,
            feats,
            frames,
        })
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Utterance ids, in the directory's order.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Number of utterances.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Speaker number of each utterance.
    pub fn speakers(&self) -> &[i64] {
        &self.speakers
    }

    /// Word number of each utterance, under [`Labels::Text`].
    pub fn words(&self) -> Option<&[i64]> {
        self.words.as_deref()
    }

    /// Bins of the features, as the first utterance has them.
    ///
    /// # Errors
    /// [`Error::Format`] when there are no utterances.
    pub fn bins(&self) -> Result<usize> {
        let first = self
            .ids
            .first()
            .ok_or_else(|| Error::format(&self.path, "utterances", "none"))?;
        Ok(self.feats.shape(first)?.1)
    }

    /// Whether the features are one vector an utterance.
    pub fn holds_vectors(&self) -> bool {
        self.feats.holds_vectors()
    }

    /// What a sampler draws from.
    pub fn population(&self) -> Population {
        let count = self
            .speakers
            .iter()
            .max()
            .map_or(0, |&most| most.max(-1) + 1);
        let mut by_speaker = vec![Vec::new(); count as usize];
        for (utterance, &speaker) in self.speakers.iter().enumerate() {
            if speaker >= 0 {
                by_speaker[speaker as usize].push(utterance);
            }
        }
        let (speakers, by_speaker) = self
            .speaker_names
            .iter()
            .cloned()
            .zip(by_speaker)
            .filter(|(_, utterances)| !utterances.is_empty())
            .unzip();
        Population {
            frames: self.frames.clone(),
            by_speaker,
            speakers,
        }
    }

    /// The features of an utterance as archived, `[frames, bins]`.
    ///
    /// # Errors
    /// What the archive says; [`Error::Key`] for NaN or infinity, or another number of bins.
    pub fn raw(&self, utterance: usize, bins: usize) -> Result<Array2<f32>> {
        self.feats.checked(&self.ids[utterance], bins)
    }

    /// Reads utterances side by side as `view` shows them. Longer ones than `crop` frames (0 takes all) lose
    /// what lies outside a window whose place `crop_seed` draws.
    ///
    /// # Errors
    /// As [`SpeechCorpus::raw`]; [`Error::Key`] for an alignment of another length or class.
    pub fn batch(
        &self,
        utterances: &[usize],
        view: &FeatureView,
        crop: usize,
        crop_seed: u64,
    ) -> Result<SpeechBatch> {
        let mut rng = ChaCha8Rng::seed_from_u64(crop_seed);
        let mut rows = Vec::with_capacity(utterances.len());
        for &utterance in utterances {
            let feats = self.raw(utterance, view.bins())?;
            let labels = match &self.alignment {
                Some(alignment) => Some(alignment.labels(&self.ids[utterance], feats.nrows())?),
                None => None,
            };
            let feats = view.apply(feats);
            let labels = labels.map(|labels| stretch_labels(labels, feats.nrows()));
            let (start, length) = window(feats.nrows(), crop, &mut rng);
            rows.push((
                feats.slice(s![start..start + length, ..]).to_owned(),
                labels.map(|labels| labels[start..start + length].to_vec()),
            ));
        }
        Ok(self.stack(utterances, rows, view.bins()))
    }

    fn stack(
        &self,
        utterances: &[usize],
        rows: Vec<(Array2<f32>, Option<Vec<i64>>)>,
        bins: usize,
    ) -> SpeechBatch {
        let longest = rows
            .iter()
            .map(|(feats, _)| feats.nrows())
            .max()
            .unwrap_or(0);
        let mut values = vec![0f32; rows.len() * longest * bins];
        let mut frame_labels = vec![NO_LABEL; rows.len() * longest];
        for (index, (feats, labels)) in rows.iter().enumerate() {
            let start = index * longest * bins;
            let flat = feats.as_standard_layout();
            let flat = flat.as_slice().unwrap_or_default();
            values[start..start + flat.len()].copy_from_slice(flat);
            if let Some(labels) = labels {
                frame_labels[index * longest..][..labels.len()].copy_from_slice(labels);
            }
        }
        let shape = [rows.len() as i64, longest as i64];
        let pick = |all: &[i64]| {
            Tensor::from_slice(&utterances.iter().map(|&u| all[u]).collect::<Vec<_>>())
        };
        SpeechBatch {
            feats: Tensor::from_slice(&values)
                .reshape([shape[0], shape[1], bins as i64])
                .transpose(1, 2)
                .contiguous(),
            lengths: rows.iter().map(|(feats, _)| feats.nrows() as i64).collect(),
            speakers: pick(&self.speakers),
            labels: match (&self.words, &self.alignment) {
                (Some(words), _) => Some(pick(words)),
                (_, Some(_)) => Some(Tensor::from_slice(&frame_labels).reshape(shape)),
                _ => None,
            },
        }
    }
}

/// Frame classes by utterance.
#[derive(Debug)]
struct Alignment {
    table: ScpTable<Vec<i32>>,
    /// Classes that training knows.
    classes: usize,
}

impl Alignment {
    fn open(dir: &Path, ids: &[String], classes: usize) -> Result<Self> {
        let table = ScpTable::open(dir.join("ali.scp"))?;
        match ids.iter().find(|id| !table.contains(id)) {
            None => Ok(Self { table, classes }),
            Some(id) => Err(Error::key(table.path(), id, "its alignment", "none")),
        }
    }

    /// The classes of an utterance of `frames` frames.
    fn labels(&self, id: &str, frames: usize) -> Result<Vec<i64>> {
        let labels = self.table.get(id)?;
        // Codes may come at a half or a quarter of the alignment's rate.
        let Some(step) = [1, 2, 4]
            .into_iter()
            .find(|step| labels.len().div_ceil(*step) == frames)
        else {
            let expected =
                format!("{frames} frames, as the features have (or 2 or 4 times as many)");
            let found = labels.len().to_string();
            return Err(Error::key(self.table.path(), id, expected, found));
        };
        let known = |label: i32| usize::try_from(label).is_ok_and(|label| label < self.classes);
        if let Some(label) = labels.iter().find(|&&label| !known(label)) {
            let expected = format!("classes from 0 to {}, as in training", self.classes - 1);
            return Err(Error::key(
                self.table.path(),
                id,
                expected,
                label.to_string(),
            ));
        }
        Ok(labels.into_iter().step_by(step).map(i64::from).collect())
    }
}

impl SpeechBatch {
    /// The batch on `device`.
    pub fn to(&self, device: Device) -> SpeechBatch {
        SpeechBatch {
            feats: self.feats.to(device),
            lengths: self.lengths.clone(),
            speakers: self.speakers.to(device),
            labels: self.labels.as_ref().map(|labels| labels.to(device)),
        }
    }

    /// Number of utterances.
    pub fn len(&self) -> i64 {
        self.lengths.len() as i64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// For every utterance the number of the next one of the same speaker in the batch, in a ring: `[batch]`.
    /// An utterance alone of its speaker is its own other.
    pub fn other_of_same_speaker(&self) -> Tensor {
        let speakers: Vec<i64> = Vec::try_from(self.speakers.to(Device::Cpu)).unwrap_or_default();
        let others: Vec<i64> = (0..speakers.len())
            .map(|index| {
                let ring = (1..=speakers.len()).map(|step| (index + step) % speakers.len());
                ring.into_iter()
                    .find(|&other| speakers[other] == speakers[index])
                    .unwrap_or(index) as i64
            })
            .collect();
        Tensor::from_slice(&others).to_device_(self.feats.device(), Kind::Int64, false, false)
    }
}

impl Inventory {
    /// The speakers and labels of a data directory.
    ///
    /// # Errors
    /// As [`SpeechCorpus::open`].
    pub fn of(path: &Path, labels: Labels) -> Result<Self> {
        let dir = DataDir::open(path)?;
        let ids: Vec<String> = dir.utterances().to_vec();
        let speakers: BTreeSet<String> = ids
            .iter()
            .map(|id| speaker_of(&dir, id).to_string())
            .collect();
        let labels = match labels {
            Labels::None => Vec::new(),
            Labels::Text => {
                let texts = ids.iter().map(|id| text_of(&dir, id).map(str::to_string));
                texts
                    .collect::<Result<BTreeSet<_>>>()?
                    .into_iter()
                    .collect()
            }
            Labels::Frames => {
                let alignment = ScpTable::open(path.join("ali.scp"))?;
                (0..frame_classes(&alignment, &ids)?)
                    .map(|class| format!("{class:04}"))
                    .collect()
            }
        };
        Ok(Self {
            speakers: speakers.into_iter().collect(),
            labels,
        })
    }
}

fn speaker_of<'a>(dir: &'a DataDir, id: &str) -> &'a str {
    dir.speaker_of(id).unwrap_or_default()
}

fn text_of<'a>(dir: &'a DataDir, id: &str) -> Result<&'a str> {
    dir.text(id)
        .ok_or_else(|| Error::key(dir.path().join("text"), id, "its text", "none"))
}

fn words(dir: &DataDir, ids: &[String], inventory: &[String]) -> Result<Vec<i64>> {
    let texts = ids
        .iter()
        .map(|id| text_of(dir, id))
        .collect::<Result<Vec<_>>>()?;
    Ok(numbers(texts.into_iter(), inventory))
}

/// Places in a sorted inventory; [`NO_LABEL`] for names outside it.
fn numbers<'a>(names: impl Iterator<Item = &'a str>, inventory: &[String]) -> Vec<i64> {
    names
        .map(|name| {
            inventory
                .binary_search_by(|known| known.as_str().cmp(name))
                .map_or(NO_LABEL, |place| place as i64)
        })
        .collect()
}

/// One more than the highest class of an alignment.
fn frame_classes(alignment: &ScpTable<Vec<i32>>, ids: &[String]) -> Result<i32> {
    let mut classes = 0;
    for id in ids {
        for label in alignment.get(id)? {
            if !(0..MOST_CLASSES).contains(&label) {
                let expected = format!("classes from 0 to {}", MOST_CLASSES - 1);
                return Err(Error::key(
                    alignment.path(),
                    id,
                    expected,
                    label.to_string(),
                ));
            }
            classes = classes.max(label + 1);
        }
    }
    Ok(classes)
}

fn window(frames: usize, crop: usize, rng: &mut ChaCha8Rng) -> (usize, usize) {
    if crop == 0 || frames <= crop {
        return (0, frames);
    }
    (rng.random_range(0..=frames - crop), crop)
}

/// Labels beside features that a view stretched.
fn stretch_labels(labels: Vec<i64>, target: usize) -> Vec<i64> {
    if labels.len() == target {
        return labels;
    }
    (0..target)
        .map(|index| labels[stretched_position(index, labels.len(), target).round() as usize])
        .collect()
}
