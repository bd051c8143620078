//! Online clustering: soft assignments that use all clusters equally, and their prediction from another view (swapped
//! assignments, Caron et al. 2020; for speech, Chang et al. 2023).

use tch::{Kind, Tensor, no_grad};

/// Assigns items to clusters from scores `[items, clusters]`: returns `[items, clusters]` with rows that sum to 1. The
/// items of each group use all clusters equally: entropic optimal transport with regularisation `epsilon`, by `rounds` of
/// Sinkhorn and Knopp's algorithm. Both papers use 3, after which a group may still prefer a cluster. `groups` `[items]` are
/// integers from 0. With speakers as groups, clusters hold no speaker
/// information. There is no gradient.
pub fn balanced_assignments(
    scores: &Tensor,
    groups: &Tensor,
    epsilon: f64,
    rounds: usize,
) -> Tensor {
    no_grad(|| {
        // In double precision, which holds exponentials of cosines down to an epsilon of 0.003.
        let same = groups.one_hot(-1).to_kind(Kind::Double);
        let size = same.matmul(
            &same
                .sum_dim_intlist(&[0i64][..], false, Kind::Double)
                .unsqueeze(1),
        );
        let scores = scores.to_kind(Kind::Double);
        let mut shares = ((&scores - scores.max()) / epsilon).exp();
        let clusters = scores.size()[1] as f64;
        for _ in 0..rounds {
            let used = same
                .matmul(&same.tr().matmul(&shares))
                .clamp_min(f64::MIN_POSITIVE);
            shares = shares / used * (&size / clusters);
            let whole = shares.sum_dim_intlist(&[1i64][..], true, Kind::Double);
            shares /= whole.clamp_min(f64::MIN_POSITIVE);
        }
        shares.to_kind(Kind::Float)
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
    use crate::nn::speaker_encoder::normalise;
    use tch::Device;

    #[test]
    fn every_group_uses_all_clusters_equally() {
        tch::manual_seed(0);
        // The second group prefers the first cluster.
        let groups = Tensor::from_slice(&[0i64, 1]).repeat([200]);
        let lean = groups.to_kind(Kind::Float).unsqueeze(1)
            * Tensor::from_slice(&[1f32, 0.0, 0.0, 0.0]).unsqueeze(0);
        let scores = Tensor::rand([400, 4], (Kind::Float, Device::Cpu)) + lean;
        let assigned = balanced_assignments(&scores, &groups, 0.1, 10);
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

    /// Spin's loss by its formula in double precision (Chang et al. 2023, eq. 2 to 5), and its gradient by finite differences, in
    /// which assignments stay as they are.
    #[test]
    fn loss_and_gradient_are_spins() {
        const ITEMS: usize = 11;
        const DIM: usize = 4;
        const CLUSTERS: usize = 5;
        const EPSILON: f64 = 0.02;
        const TEMPERATURE: f64 = 0.1;
        let unit = |row: &[f64]| -> Vec<f64> {
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter().map(|x| x / length).collect()
        };
        let scores = |items: &[f64], centres: &[f64]| -> Vec<Vec<f64>> {
            let score = |item: &Vec<f64>, centre: &[f64]| -> f64 {
                item.iter().zip(unit(centre)).map(|(a, b)| a * b).sum()
            };
            let items = items.chunks(DIM).map(unit);
            items
                .map(|item| {
                    centres
                        .chunks(DIM)
                        .map(|centre| score(&item, centre))
                        .collect()
                })
                .collect()
        };
        let assigned = |scores: &[Vec<f64>]| {
            let mut q: Vec<Vec<f64>> = scores
                .iter()
                .map(|row| row.iter().map(|x| (x / EPSILON).exp()).collect())
                .collect();
            for _ in 0..3 {
                for k in 0..CLUSTERS {
                    let sum: f64 = q.iter().map(|row| row[k]).sum();
                    q.iter_mut().for_each(|row| row[k] /= sum * CLUSTERS as f64);
                }
                for row in &mut q {
                    let sum: f64 = row.iter().sum();
                    row.iter_mut().for_each(|x| *x /= sum * ITEMS as f64);
                }
            }
            q.iter_mut().flatten().for_each(|x| *x *= ITEMS as f64);
            q
        };
        let cross_entropy = |scores: &[Vec<f64>], q: &[Vec<f64>]| -> f64 {
            let of = |(row, q): (&Vec<f64>, &Vec<f64>)| -> f64 {
                let sum: f64 = row.iter().map(|x| (x / TEMPERATURE).exp()).sum();
                let logs = row.iter().map(|x| x / TEMPERATURE - sum.ln());
                -logs.zip(q).map(|(log, q)| log * q).sum::<f64>()
            };
            scores.iter().zip(q).map(of).sum::<f64>() / ITEMS as f64
        };

        tch::manual_seed(0);
        let cpu = (Kind::Float, Device::Cpu);
        let [items, dim, clusters] = [ITEMS, DIM, CLUSTERS].map(|size| size as i64);
        let tensors = [[items, dim], [items, dim], [clusters, dim]]
            .map(|size| Tensor::randn(size, cpu).set_requires_grad(true));
        let numbers = tensors
            .each_ref()
            .map(|x| Vec::<f64>::try_from(x.detach().to_kind(Kind::Double).reshape([-1])).unwrap());
        let of_views =
            |numbers: &[Vec<f64>; 3]| [0, 1].map(|view| scores(&numbers[view], &numbers[2]));
        let fixed = of_views(&numbers).map(|scores| assigned(&scores));
        let formula = |numbers: &[Vec<f64>; 3]| {
            let [first, second] = of_views(numbers);
            (cross_entropy(&first, &fixed[1]) + cross_entropy(&second, &fixed[0])) / 2.0
        };

        let centres = normalise(&tensors[2]);
        let scores = [0, 1].map(|view| normalise(&tensors[view]).matmul(&centres.tr()));
        let one_group = Tensor::zeros([items], (Kind::Int64, Device::Cpu));
        let assigned = scores
            .each_ref()
            .map(|scores| balanced_assignments(scores, &one_group, EPSILON, 3));
        let loss = (assigned_cross_entropy(&scores[0], &assigned[1], TEMPERATURE)
            + assigned_cross_entropy(&scores[1], &assigned[0], TEMPERATURE))
            / 2.0;
        let expected = formula(&numbers);
        assert!(
            (loss.double_value(&[]) / expected - 1.0).abs() < 1e-6,
            "{loss} {expected}"
        );
        loss.backward();
        for (which, tensor) in tensors.iter().enumerate() {
            let found =
                Vec::<f64>::try_from(tensor.grad().to_kind(Kind::Double).reshape([-1])).unwrap();
            for (place, found) in found.into_iter().enumerate() {
                let at = |step: f64| {
                    let mut moved = numbers.clone();
                    moved[which][place] += step;
                    formula(&moved)
                };
                let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{which} {place}: {found} {expected}"
                );
            }
        }
    }
}
