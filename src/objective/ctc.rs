//! Connectionist temporal classification (Graves et al. 2006), for label sequences without times.

use tch::{Kind, Tensor};

use super::classification::mean_where;
use crate::dataset::labels::NO_LABEL;
use crate::nn::Mask;

/// Mean over utterances of the negative log-probability of their label sequences, per label, in nats. Logits are
/// `[batch, labels + 1, frames]`, the blank last; sequences `[batch, longest]`, ended by [`NO_LABEL`]. Utterances without
/// labels are ignored, and so are those with more labels than frames (which are refused when data is read).
pub fn ctc(logits: &Tensor, mask: &Mask, sequences: &Tensor) -> Tensor {
    let blank = logits.size()[1] - 1;
    let log_probs = logits.log_softmax(1, Kind::Float).permute([2, 0, 1]);
    let counts = sequences
        .ne(NO_LABEL)
        .sum_dim_intlist(&[1i64][..], false, Kind::Int64);
    let lengths: Vec<i64> = Vec::try_from(&counts).unwrap_or_default();
    let (loss, _) = Tensor::internal_ctc_loss(
        &log_probs,
        &sequences.clamp_min(0),
        mask.lengths(),
        &lengths[..],
        blank,
        true,
    );
    let per_label = loss / counts.clamp_min(1);
    mean_where(&per_label, &counts.gt(0).to_kind(Kind::Float))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn it_sums_over_all_paths_of_a_sequence() {
        // Two labels and the blank over three frames, all equally probable. Of 27 paths, "a" has 6: aaa aa_ a__ _aa __a _a_
        // (_ is the blank), and "ab" has 5: aab abb ab_ a_b _ab.
        let logits = Tensor::zeros([3, 3, 3], (Kind::Float, Device::Cpu));
        let mask = Mask::new(&[3, 3, 3], Device::Cpu);
        let sequences =
            Tensor::from_slice(&[0, NO_LABEL, 0, 1, NO_LABEL, NO_LABEL]).reshape([3, 2]);
        let found = ctc(&logits, &mask, &sequences).double_value(&[]);
        let one = -(6.0f64 / 27.0).ln();
        let two = -(5.0f64 / 27.0).ln() / 2.0;
        assert!((found - (one + two) / 2.0).abs() < 1e-5, "{found}");
    }

    #[test]
    fn padding_is_not_read() {
        let logits = Tensor::randn([1, 4, 6], (Kind::Float, Device::Cpu));
        let sequences = Tensor::from_slice(&[2i64, 0]).reshape([1, 2]);
        let alone = ctc(
            &logits.narrow(2, 0, 4),
            &Mask::new(&[4], Device::Cpu),
            &sequences,
        );
        let two = Tensor::cat(&[&logits, &logits], 0);
        let sequences = Tensor::cat(&[&sequences, &sequences.full_like(NO_LABEL)], 0);
        let many = ctc(&two, &Mask::new(&[4, 6], Device::Cpu), &sequences);
        assert!((alone - many).abs().double_value(&[]) < 1e-5);
    }
}
