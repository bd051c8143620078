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
    between_speakers(&statistics, speakers, Tensor::shallow_clone)
}

/// How much more alike statistics `[batch, statistics]` of one speaker are than those of two, where `s_i` and `s_j` are alike by
/// `whiten(s_i) s_j` per statistic. 0 without a pair of one speaker or of two.
pub fn between_speakers(
    statistics: &Tensor,
    speakers: &Tensor,
    whiten: impl Fn(&Tensor) -> Tensor,
) -> Tensor {
    let statistics = statistics - statistics.mean_dim(&[0i64][..], true, Kind::Float);
    let alike = whiten(&statistics).matmul(&statistics.tr()) / statistics.size()[1] as f64;
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

/// The covariance within speakers `[statistics, statistics]` of statistics `[batch, statistics]`; none where no speaker has two.
pub fn within_speakers(statistics: &Tensor, speakers: &Tensor) -> Option<Tensor> {
    let (row, column) = (speakers.unsqueeze(1), speakers.unsqueeze(0));
    let same = (row.eq_tensor(&column) * row.ne(NO_LABEL)).to_kind(Kind::Float);
    let counts = same.sum_dim_intlist(&[1i64][..], true, Kind::Float);
    let several = counts.gt(1.5).to_kind(Kind::Float);
    let means = same.matmul(statistics) / counts.clamp_min(1.0);
    let centred = (statistics - means) * &several;
    // Each speaker takes one degree of freedom.
    let free = (&several * (counts.clamp_min(1.0).reciprocal().neg() + 1.0)).sum(Kind::Float);
    (free.double_value(&[]) > 0.5).then(|| centred.tr().matmul(&centred) / free)
}

/// Statistics of codes of `code_dim`.
pub fn statistics_of(code_dim: i64) -> i64 {
    code_dim + code_dim * (code_dim + 1) / 2
}

/// `[batch, code_dim, codes]` to `[batch, code_dim + code_dim (code_dim + 1) / 2]`.
pub fn means_and_covariances(codes: &Tensor, mask: &Mask) -> Tensor {
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
            let sum: f64 = (0..400)
                .map(|_| speaker_variance(&draw(), &mask, &speakers()).double_value(&[]))
                .sum();
            sum / 400.0
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
    fn the_covariance_within_speakers_has_no_bias() {
        let statistics = Tensor::from_slice2(&[
            [0.0f32, 1.0],
            [2.0, 5.0],
            [9.0, 9.0],
            [7.0, 7.0],
            [7.0, 8.0],
        ]);
        let speakers = Tensor::from_slice(&[0i64, 0, NO_LABEL, 2, 2]);
        let found = within_speakers(&statistics, &speakers).unwrap();
        // Deviations (-1, -2), (1, 2), (0, -0.5), (0, 0.5) of two degrees of freedom.
        let expected = Tensor::from_slice2(&[[1.0f32, 2.0], [2.0, 4.25]]);
        assert!((found - expected).abs().max().double_value(&[]) < 1e-6);
        let lone = Tensor::from_slice(&[0i64, 1, 2, 3, 4]);
        assert!(within_speakers(&statistics, &lone).is_none());
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
