//! Masked prediction (HuBERT, Hsu et al. 2021): spans of the phonetic encoder's input are masked, and labels are predicted where
//! they are. What is said there has to be inferred from what is around it. Two departures: a masked frame is the mean of the training
//! set and not a learned vector, and the label head is linear or what `method.label_head` says, without cosines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::dataset::labels::NO_LABEL;
use crate::error::{Error, Result};
use crate::nn::{Mask, check_size};

/// Spans that are masked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaskedPredictionOptions {
    /// The chance that a span begins at a frame. Spans may overlap. HuBERT has 0.08 for frames of 20 ms.
    pub start: f64,
    /// Frames of a span.
    pub frames: i64,
    /// Weight of the loss where the input is not masked. More than 0 learns the labels sooner, and less from what is around them.
    pub unmasked: f64,
}

impl Default for MaskedPredictionOptions {
    fn default() -> Self {
        Self {
            start: 0.04,
            frames: 20,
            unmasked: 0.0,
        }
    }
}

impl MaskedPredictionOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        if !(self.start > 0.0 && self.start <= 1.0) {
            let found = self.start.to_string();
            return Err(Error::option(format!("{name}.start"), "0 < x <= 1", found));
        }
        if !self.unmasked.is_finite() || self.unmasked < 0.0 {
            let found = self.unmasked.to_string();
            return Err(Error::option(
                format!("{name}.unmasked"),
                "0 or more",
                found,
            ));
        }
        check_size(format!("{name}.frames"), self.frames, 1)
    }

    /// Draws spans for a batch by libtorch's generator. A span that begins near the end of an utterance is cut there.
    pub fn draw(&self, mask: &Mask, device: Device) -> Masked {
        let (batch, frames) = (mask.lengths().len() as i64, mask.frames());
        let begins = Tensor::rand([batch, 1, frames], (Kind::Float, device)).lt(self.start);
        // A frame is masked if one of the last `self.frames`, itself among them, begins a span.
        let before = begins
            .to_kind(Kind::Float)
            .constant_pad_nd([self.frames - 1, 0]);
        Masked {
            frames: before
                .max_pool1d([self.frames], [1], [0], [1], false)
                .gt(0.5),
            unmasked: self.unmasked,
        }
    }
}

/// The frames that are masked.
#[derive(Debug)]
pub struct Masked {
    /// `[batch, 1, frames]`.
    frames: Tensor,
    unmasked: f64,
}

impl Masked {
    /// Features `[batch, bins, frames]` with masked frames zero: normalised, that is the mean.
    pub fn apply(&self, feats: &Tensor) -> Tensor {
        feats.masked_fill(&self.frames, 0.0)
    }

    /// Labels of frames `[batch, frames]`, of those alone that are masked.
    pub fn only(&self, labels: &Tensor) -> Tensor {
        labels.masked_fill(&self.frames.squeeze_dim(1).logical_not(), NO_LABEL)
    }

    /// Labels of the other frames, and the weight of their loss; none where that is 0.
    pub fn others(&self, labels: &Tensor) -> Option<(Tensor, f64)> {
        (self.unmasked > 0.0).then(|| {
            let others = labels.masked_fill(&self.frames.squeeze_dim(1), NO_LABEL);
            (others, self.unmasked)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_their_length_and_their_share() {
        tch::manual_seed(0);
        let options = MaskedPredictionOptions {
            start: 0.02,
            frames: 10,
            unmasked: 0.0,
        };
        let mask = Mask::new(&[2000, 1500], Device::Cpu);
        let masked = options.draw(&mask, Device::Cpu);
        let share = masked
            .frames
            .to_kind(Kind::Float)
            .mean(Kind::Float)
            .double_value(&[]);
        // 1 - (1 - 0.02)^10, and a standard deviation of about 0.015.
        assert!((share - 0.183).abs() < 0.05, "{share}");
        let row: Vec<bool> = Vec::try_from(masked.frames.get(0).get(0)).unwrap();
        let spans: Vec<usize> = row.split(|masked| !masked).map(<[bool]>::len).collect();
        let whole = &spans[..spans.len() - 1];
        assert!(
            whole.iter().all(|&length| length == 0 || length >= 10),
            "{spans:?}"
        );
    }

    #[test]
    fn labels_count_where_input_is_masked() {
        tch::manual_seed(1);
        let options = MaskedPredictionOptions::default();
        let masked = options.draw(&Mask::new(&[300], Device::Cpu), Device::Cpu);
        let feats = masked.apply(&Tensor::ones([1, 4, 300], (Kind::Float, Device::Cpu)));
        let labels = masked.only(&Tensor::full([1, 300], 7, (Kind::Int64, Device::Cpu)));
        let zeros = feats.select(1, 0).eq(0.0);
        assert_eq!(zeros, labels.eq(7));
        assert!(zeros.any().int64_value(&[]) == 1 && zeros.all().int64_value(&[]) == 0);
    }
}
