//! Online clustering: soft assignments that use all clusters equally, and their prediction from another view (swapped
//! assignments, Caron et al. 2020; for speech, Chang et al. 2023).

use tch::{Kind, Tensor, no_grad};

/// Rounds of Sinkhorn and Knopp's algorithm. Both papers use 3, after which a group may still prefer a cluster.
const ROUNDS: usize = 10;

/// Assigns items to clusters from scores `[items, clusters]`: returns `[items, clusters]` with rows that sum to 1. The
/// items of each group use all clusters equally (approximately, after 10 rounds): entropic optimal transport with
/// regularisation `epsilon`. `groups` `[items]` are integers from 0. With speakers as groups, clusters hold no speaker
/// information. There is no gradient.
pub fn balanced_assignments(scores: &Tensor, groups: &Tensor, epsilon: f64) -> Tensor {
    no_grad(|| {
        let (same, size) = {
            let members = groups.one_hot(-1).to_kind(Kind::Float);
            let size = members.matmul(
                &members
                    .sum_dim_intlist(&[0i64][..], false, Kind::Float)
                    .unsqueeze(1),
            );
            (members, size)
        };
        let highest = scores.amax(1i64, true);
        let mut shares = ((scores - highest) / epsilon).exp();
        let clusters = scores.size()[1] as f64;
        for _ in 0..ROUNDS {
            let used = same.matmul(&same.tr().matmul(&shares)).clamp_min(1e-12);
            shares = shares / used * (&size / clusters);
            let whole = shares.sum_dim_intlist(&[1i64][..], true, Kind::Float);
            shares /= whole.clamp_min(1e-12);
        }
        shares
    })
}

/// Cross-entropy of the predictions `scores` `[items, clusters]`, divided by `temperature`, against assignments.
pub fn assigned_cross_entropy(scores: &Tensor, assigned: &Tensor, temperature: f64) -> Tensor {
    let log_share = (scores / temperature).log_softmax(1, Kind::Float);
    -(assigned * log_share)
        .sum_dim_intlist(&[1i64][..], false, Kind::Float)
        .mean(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn every_group_uses_all_clusters_equally() {
        tch::manual_seed(0);
        // The second group prefers the first cluster.
        let groups = Tensor::from_slice(&[0i64, 1]).repeat([200]);
        let lean = groups.to_kind(Kind::Float).unsqueeze(1)
            * Tensor::from_slice(&[1f32, 0.0, 0.0, 0.0]).unsqueeze(0);
        let scores = Tensor::rand([400, 4], (Kind::Float, Device::Cpu)) + lean;
        let assigned = balanced_assignments(&scores, &groups, 0.1);
        let rows = assigned.sum_dim_intlist(&[1i64][..], false, Kind::Float);
        assert!((rows - 1.0).abs().max().double_value(&[]) < 1e-5);
        for group in [0, 1] {
            let members = groups.eq(group).to_kind(Kind::Float).unsqueeze(1);
            let used = (&assigned * &members).sum_dim_intlist(&[0i64][..], false, Kind::Float);
            let off = (used / 200.0 - 0.25).abs().max().double_value(&[]);
            assert!(off < 0.02, "{group}: {off}");
        }
    }

    #[test]
    fn a_right_prediction_has_the_lowest_loss() {
        let assigned = Tensor::eye(3, (Kind::Float, Device::Cpu));
        let right = assigned_cross_entropy(&assigned, &assigned, 0.1).double_value(&[]);
        let wrong = assigned_cross_entropy(&assigned.roll([1], [0]), &assigned, 0.1);
        assert!(right < 1e-3 && wrong.double_value(&[]) > 9.0);
    }
}
