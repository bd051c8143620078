//! Batches of speech, as tensors.

use std::collections::BTreeMap;

use ndarray::Array2;
use tch::{Device, Kind, Tensor};

use super::labels::{LabelTable, NO_LABEL};

/// A batch of utterances.
#[derive(Debug)]
pub struct SpeechBatch {
    /// `[batch, bins, frames]`, zero beyond an utterance's end.
    pub feats: Tensor,
    /// What a decoder reads of the pitch, `[batch, 2, frames]`, zero beyond an utterance's end
    /// ([`Normalisation::pitch`](super::normalisation::Normalisation::pitch)); none unless the corpus reads it.
    pub pitch: Option<Tensor>,
    /// Frames of each utterance.
    pub lengths: Vec<i64>,
    /// Index of each utterance in its corpus.
    pub utterances: Vec<i64>,
    /// Speakers `[batch]`; [`NO_LABEL`] for one outside the inventory.
    pub speakers: Tensor,
    /// `[batch]` for [`Labels::UtteranceClass`], `[batch, frames]` for [`Labels::Alignment`], `[batch, longest]` for
    /// sequences ([`Labels::are_strings`]).
    ///
    /// [`Labels::UtteranceClass`]: super::labels::Labels::UtteranceClass
    /// [`Labels::Alignment`]: super::labels::Labels::Alignment
    /// [`Labels::are_strings`]: super::labels::Labels::are_strings
    pub labels: Option<Tensor>,
    /// A second view of each utterance, of the size of `feats`, where the corpus gives one.
    pub second: Option<Tensor>,
}

/// An utterance of a batch.
#[derive(Debug)]
pub(super) struct Row {
    /// Normalised features `[frames, bins]`.
    pub feats: Array2<f32>,
    /// A second view of the same size.
    pub second: Option<Array2<f32>>,
    /// What a decoder reads of the pitch, `[frames, 2]`.
    pub pitch: Option<Array2<f32>>,
    /// Its labels.
    pub labels: Vec<i64>,
}

/// Matrices `[rows, columns]`, padded with zeros: `[batch, columns, longest]`.
fn padded<'a>(matrices: impl ExactSizeIterator<Item = &'a Array2<f32>> + Clone) -> Tensor {
    let longest = matrices.clone().map(Array2::nrows).max().unwrap_or(0);
    let columns = matrices.clone().map(Array2::ncols).max().unwrap_or(0);
    let size = [matrices.len(), columns, longest].map(|size| size as i64);
    // Not filled by libtorch: this thread would wait for a team of threads for it, beside those of the training step.
    let tensor = Tensor::empty(size, (Kind::Float, Device::Cpu));
    if tensor.numel() == 0 {
        return tensor;
    }
    // SAFETY: the new tensor is contiguous, has so many values of f32, and nothing else refers to it. Any bits are an f32.
    let values =
        unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel()) };
    for (own, matrix) in values.chunks_exact_mut(columns * longest).zip(matrices) {
        let rows = matrix.as_standard_layout();
        let rows = rows.as_slice().unwrap_or_default();
        transpose_into(rows, own, (columns, longest));
    }
    tensor
}

/// Rows of `columns` values to `columns` rows of `longest` values, zeros at their ends.
fn transpose_into(rows: &[f32], out: &mut [f32], (columns, longest): (usize, usize)) {
    /// Rows that stay in the nearest cache while their columns are written.
    const AT_ONCE: usize = 16;
    for (block, rows) in rows.chunks(AT_ONCE * columns).enumerate() {
        for (column, out) in out.chunks_exact_mut(longest).enumerate() {
            let own = rows[column..].iter().step_by(columns);
            let out = &mut out[block * AT_ONCE..];
            out.iter_mut()
                .zip(own)
                .for_each(|(out, &value)| *out = value);
        }
    }
    for out in out.chunks_exact_mut(longest) {
        out[rows.len() / columns..].fill(0.0);
    }
}

impl SpeechBatch {
    /// Pads utterances, each with its number and its speaker's, to a batch; their labels are those of `table`.
    pub(super) fn stack(
        (utterances, speakers): (&[usize], &[i64]),
        rows: &[Row],
        table: &LabelTable,
    ) -> Self {
        let most_labels = rows.iter().map(|row| row.labels.len()).max().unwrap_or(0);
        let mut all_labels = vec![NO_LABEL; rows.len() * most_labels];
        for (index, Row { labels, .. }) in rows.iter().enumerate() {
            all_labels[index * most_labels..][..labels.len()].copy_from_slice(labels);
        }
        let pitch: Vec<_> = rows.iter().filter_map(|row| row.pitch.as_ref()).collect();
        let labels = Tensor::from_slice(&all_labels);
        let second: Option<Vec<_>> = rows.iter().map(|row| row.second.as_ref()).collect();
        Self {
            feats: padded(rows.iter().map(|row| &row.feats)),
            second: second.map(|second| padded(second.into_iter())),
            pitch: (!pitch.is_empty()).then(|| padded(pitch.into_iter())),
            lengths: rows.iter().map(|row| row.feats.nrows() as i64).collect(),
            utterances: utterances.iter().map(|&u| u as i64).collect(),
            speakers: Tensor::from_slice(speakers),
            labels: match table {
                none if none.is_empty() => None,
                words if words.words().is_some() => Some(labels),
                _ => Some(labels.reshape([rows.len() as i64, most_labels as i64])),
            },
        }
    }

    /// The batch on `device`.
    pub fn to(&self, device: Device) -> SpeechBatch {
        SpeechBatch {
            feats: self.feats.to(device),
            pitch: self.pitch.as_ref().map(|pitch| pitch.to(device)),
            lengths: self.lengths.clone(),
            utterances: self.utterances.clone(),
            speakers: self.speakers.to(device),
            labels: self.labels.as_ref().map(|labels| labels.to(device)),
            second: self.second.as_ref().map(|second| second.to(device)),
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

    /// For each utterance, the index of the next one of the same speaker in the batch, cyclically: `[batch]`. The only
    /// utterance of a speaker gets its own index.
    pub fn other_of_same_speaker(&self) -> Tensor {
        self.next_where(|own, other| own == other)
    }

    /// For each utterance, the index of the next one of another speaker in the batch, cyclically: `[batch]`. In a batch
    /// of one speaker each utterance gets its own index.
    pub fn one_of_another_speaker(&self) -> Tensor {
        self.next_where(|own, other| own != other)
    }

    /// The utterances of each speaker in two halves, in turns, as rows of weights that sum to 1: two times `[speakers,
    /// batch]`. Speakers with a single utterance are left out.
    pub fn halves_of_speakers(&self) -> (Tensor, Tensor) {
        let mut by_speaker: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        let speakers: Vec<i64> = Vec::try_from(self.speakers.to(Device::Cpu)).unwrap_or_default();
        for (utterance, &speaker) in speakers.iter().enumerate() {
            by_speaker.entry(speaker).or_default().push(utterance);
        }
        by_speaker.retain(|&speaker, utterances| speaker != NO_LABEL && utterances.len() > 1);
        let half = |first: usize| {
            let mut weights = Array2::<f32>::zeros((by_speaker.len(), speakers.len()));
            for (mut row, utterances) in weights.rows_mut().into_iter().zip(by_speaker.values()) {
                let half: Vec<_> = utterances.iter().skip(first).step_by(2).collect();
                half.iter()
                    .for_each(|&&utterance| row[utterance] = 1.0 / half.len() as f32);
            }
            let shape = [by_speaker.len() as i64, speakers.len() as i64];
            Tensor::from_slice(weights.as_slice().unwrap_or_default())
                .reshape(shape)
                .to(self.feats.device())
        };
        (half(0), half(1))
    }

    fn next_where(&self, fits: impl Fn(i64, i64) -> bool) -> Tensor {
        let speakers: Vec<i64> = Vec::try_from(self.speakers.to(Device::Cpu)).unwrap_or_default();
        let others: Vec<i64> = (0..speakers.len())
            .map(|index| {
                (1..=speakers.len())
                    .map(|step| (index + step) % speakers.len())
                    .find(|&other| fits(speakers[index], speakers[other]))
                    .unwrap_or(index) as i64
            })
            .collect();
        Tensor::from_slice(&others).to_device_(self.feats.device(), Kind::Int64, false, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_take_turns_and_leave_out_single_utterances() {
        let batch = SpeechBatch {
            feats: Tensor::zeros([6, 1, 1], (Kind::Float, Device::Cpu)),
            pitch: None,
            lengths: vec![1; 6],
            utterances: (0..6).collect(),
            speakers: Tensor::from_slice(&[4i64, 2, 4, NO_LABEL, 4, 7]),
            labels: None,
            second: None,
        };
        let (first, second) = batch.halves_of_speakers();
        let expected = Tensor::from_slice(&[0.5f32, 0.0, 0.0, 0.0, 0.5, 0.0]).reshape([1, 6]);
        assert_eq!(first, expected);
        let expected = Tensor::from_slice(&[0f32, 0.0, 1.0, 0.0, 0.0, 0.0]).reshape([1, 6]);
        assert_eq!(second, expected);
    }
}
