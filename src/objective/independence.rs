//! Statistics of codes that do not depend on the speaker.

use tch::{Kind, Tensor};

use crate::dataset::labels::NO_LABEL;
use crate::nn::Mask;

/// Share of the variance of utterances' statistics that lies between speakers, as estimated from a batch: 0 where
/// utterances of one speaker are no more alike than those of two, 1 where each speaker's are the same. The statistics are
/// mean and covariance over time of codes `[batch, code_dim, codes]`, each standardised over the batch. Without a pair of
/// one speaker or of two it is 0.
///
/// The estimate has no bias: of standardised statistics `s`, it is the mean of `s_i s_j` over pairs of one speaker minus
/// that over pairs of two. A batch of few utterances may give a negative one.
pub fn speaker_variance(codes: &Tensor, mask: &Mask, speakers: &Tensor) -> Tensor {
    let statistics = standardised(&means_and_covariances(codes, mask));
    let alike = statistics.matmul(&statistics.tr()) / statistics.size()[1] as f64;
    let (row, column) = (speakers.unsqueeze(1), speakers.unsqueeze(0));
    let known = row.ne(NO_LABEL) * column.ne(NO_LABEL);
    let own = Tensor::eye(speakers.size()[0], (Kind::Bool, speakers.device()));
    let same = row.eq_tensor(&column) * &known * own.logical_not();
    let other = row.ne_tensor(&column) * known;
    let pairs = |which: &Tensor| which.to_kind(Kind::Float).sum(Kind::Float);
    let mean = |which: &Tensor| {
        (&alike * which.to_kind(Kind::Float)).sum(Kind::Float) / pairs(which).clamp_min(1.0)
    };
    let both = pairs(&same).clamp_max(1.0) * pairs(&other).clamp_max(1.0);
    (mean(&same) - mean(&other)) * both
}

/// `[batch, code_dim, codes]` to `[batch, code_dim + code_dim (code_dim + 1) / 2]`.
fn means_and_covariances(codes: &Tensor, mask: &Mask) -> Tensor {
    let codes = codes.to_kind(Kind::Float);
    let mean = mask.mean(&codes);
    let centred = mask.apply(&codes - &mean);
    let covariance = centred.matmul(&centred.transpose(1, 2)) / mask.counts_of(&codes);
    let dim = codes.size()[1];
    let pairs = Tensor::triu_indices(dim, dim, 0, (Kind::Int64, codes.device()));
    let upper = covariance.index(&[None, Some(pairs.get(0)), Some(pairs.get(1))]);
    Tensor::cat(&[mean.squeeze_dim(2), upper], 1)
}

/// Each column with mean 0 and variance 1; the scale is a constant for the gradient, so that it is not inflated.
fn standardised(values: &Tensor) -> Tensor {
    let centred = values - values.mean_dim(&[0i64][..], true, Kind::Float);
    let variance = centred.square().mean_dim(&[0i64][..], true, Kind::Float);
    centred * (variance + 1e-6).rsqrt().detach()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn speakers() -> Tensor {
        Tensor::arange(12, (Kind::Int64, Device::Cpu)).divide_scalar_mode(4, "floor")
    }

    #[test]
    fn independent_codes_have_none_and_copies_have_all() {
        tch::manual_seed(1);
        let mask = Mask::new(&[30; 12], Device::Cpu);
        let mean = |draw: &dyn Fn() -> Tensor| {
            let sum: f64 = (0..40)
                .map(|_| speaker_variance(&draw(), &mask, &speakers()).double_value(&[]))
                .sum();
            sum / 40.0
        };
        let none = mean(&|| Tensor::randn([12, 4, 30], CPU));
        assert!(none.abs() < 0.03, "{none}");
        let copies = mean(&|| Tensor::randn([3, 4, 30], CPU).repeat_interleave_self_int(4, 0, 12));
        // Over a batch of three speakers the sample variance is 1, of which pairs of two have -1/2.
        assert!((copies - 1.5).abs() < 1e-3, "{copies}");
    }

    #[test]
    fn a_covariance_of_the_speaker_is_found_though_means_are_equal() {
        tch::manual_seed(1);
        let (speakers, mask) = (speakers(), Mask::new(&[60; 12], Device::Cpu));
        let share = speakers.unsqueeze(1).unsqueeze(2).to_kind(Kind::Float) * 0.5;
        let codes = Tensor::randn([12, 2, 60], CPU);
        let (one, other) = (codes.narrow(1, 0, 1), codes.narrow(1, 1, 1));
        let mixed = Tensor::cat(&[&one, &(&one * &share + other)], 1).set_requires_grad(true);
        let found = speaker_variance(&mixed, &mask, &speakers);
        assert!(found.double_value(&[]) > 0.2);
        found.backward();
        assert!(mixed.grad().abs().max().double_value(&[]) > 0.0);
    }

    #[test]
    fn padding_and_missing_pairs_do_not_count() {
        tch::manual_seed(1);
        let codes = Tensor::randn([4, 3, 9], CPU);
        let speakers = Tensor::from_slice(&[0i64, 0, 1, 1]);
        let alone = speaker_variance(
            &codes.narrow(2, 0, 6),
            &Mask::new(&[6; 4], Device::Cpu),
            &speakers,
        );
        let padded = Mask::of_frames(&[6; 4], 9, Device::Cpu);
        let gap = speaker_variance(&codes, &padded, &speakers) - alone;
        assert!(gap.abs().double_value(&[]) < 1e-5);
        for speakers in [[0i64, 1, 2, 3], [5; 4], [NO_LABEL; 4]] {
            let found = speaker_variance(&codes, &padded, &Tensor::from_slice(&speakers));
            assert_eq!(found.double_value(&[]), 0.0);
        }
    }
}
