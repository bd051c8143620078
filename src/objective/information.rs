//! Bounds on mutual information.

use tch::{Kind, Tensor};

use super::classification::cross_entropy;

/// Log-density in nats of vectors `[batch, dim]` under independent Gaussians, mean over dimensions, without the
/// constant: `[batch]`.
pub fn gaussian_log_density(x: &Tensor, mean: &Tensor, log_variance: &Tensor) -> Tensor {
    let gap = (x - mean).square() / log_variance.exp();
    ((gap + log_variance) * -0.5).mean_dim(&[1i64][..], false, Kind::Float)
}

/// The contrastive log-ratio upper bound (CLUB, Cheng et al. 2020, eq. 6), a scalar: the log-density of `x` under its own
/// Gaussian of `mean` and `log_variance` `[batch, dim]`, minus its mean over the Gaussians of the batch.
pub fn club(x: &Tensor, mean: &Tensor, log_variance: &Tensor) -> Tensor {
    let own = gaussian_log_density(x, mean, log_variance);
    let gaps = (x.unsqueeze(0) - mean.unsqueeze(1)).square();
    let every = (gaps / log_variance.unsqueeze(1).exp() + log_variance.unsqueeze(1)) * -0.5;
    own.mean(Kind::Float) - every.mean(Kind::Float)
}

/// Mean entropy in nats of the distributions of logits `[batch, classes]`.
pub fn entropy(logits: &Tensor) -> Tensor {
    let terms = logits.softmax(1, Kind::Float) * logits.log_softmax(1, Kind::Float);
    terms
        .sum_dim_intlist(&[1i64][..], false, Kind::Float)
        .mean(Kind::Float)
        .neg()
}

/// A lower bound in nats on the mutual information of logits `[items, classes]` and uniform classes `[items]`: the entropy
/// of the classes minus the cross-entropy (Barber and Agakov 2003).
pub fn category_bound(logits: &Tensor, classes: &Tensor) -> f64 {
    let cross_entropy = cross_entropy(logits, classes, 0.0).double_value(&[]);
    (logits.size()[1] as f64).ln() - cross_entropy
}

/// How far the mean predicted distribution of a batch of logits `[batch, classes]` is from uniform, in nats: the
/// cross-entropy of the uniform distribution against it, minus its smallest value.
pub fn class_balance(logits: &Tensor) -> Tensor {
    let share = (logits.softmax(1, Kind::Float)).mean_dim(&[0i64][..], false, Kind::Float);
    let least = (logits.size()[1] as f64).ln();
    share.clamp_min(1e-12).log().mean(Kind::Float).neg() - least
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn the_bound_follows_its_formula() {
        // Two samples of one value: densities -x^2/2 at variance 1.
        let vector = |values: [f32; 2]| Tensor::from_slice(&values).reshape([2, 1]);
        let (x, mean) = (vector([0.0, 2.0]), vector([0.5, 1.0]));
        let log_variance = mean.zeros_like();
        let density = |x: f64, mean: f64| -0.5 * (x - mean) * (x - mean);
        let own = (density(0.0, 0.5) + density(2.0, 1.0)) / 2.0;
        let every = [(0.0, 0.5), (2.0, 0.5), (0.0, 1.0), (2.0, 1.0)];
        let mean_all = every.map(|(x, m)| density(x, m)).iter().sum::<f64>() / 4.0;
        let found = club(&x, &mean, &log_variance).double_value(&[]);
        assert!((found - (own - mean_all)).abs() < 1e-6, "{found}");
    }

    #[test]
    fn independent_variables_have_a_bound_of_zero() {
        tch::manual_seed(0);
        let cpu = (Kind::Float, Device::Cpu);
        let x = Tensor::randn([64, 4], cpu);
        let same = Tensor::zeros([64, 4], cpu);
        assert!(club(&x, &same, &same).abs().double_value(&[]) < 1e-5);
        assert!(club(&x, &x, &same).double_value(&[]) > 0.5);
    }

    #[test]
    fn confident_and_balanced_classes_have_no_loss() {
        let sure = Tensor::eye(3, (Kind::Float, Device::Cpu)) * 50.0;
        let value = |x: Tensor| x.double_value(&[]);
        assert!(value(entropy(&sure)).abs() < 1e-6);
        assert!(value(class_balance(&sure)).abs() < 1e-5);
        let unsure = sure.zeros_like();
        assert!((value(entropy(&unsure)) - 3f64.ln()).abs() < 1e-6);
        let one = sure.narrow(0, 0, 1);
        assert!(value(class_balance(&one)) > 1.0);
    }
}
