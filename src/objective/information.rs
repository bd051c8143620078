//! Bounds on mutual information.

use tch::{Kind, Tensor};

/// Log-density in nats of vectors `[batch, dim]` under independent Gaussians, mean over dimensions and not counting
/// the constant: `[batch]`.
pub fn gaussian_log_density(x: &Tensor, mean: &Tensor, log_variance: &Tensor) -> Tensor {
    let gap = (x - mean).square() / log_variance.exp();
    ((gap + log_variance) * -0.5).mean_dim(&[1i64][..], false, Kind::Float)
}

/// The contrastive log-ratio upper bound (Cheng et al. 2020, eq. 6), a scalar: how much better a Gaussian of `mean` and
/// `log_variance` `[batch, dim]` says its own `x` than that of every other of the batch.
pub fn club(x: &Tensor, mean: &Tensor, log_variance: &Tensor) -> Tensor {
    let own = gaussian_log_density(x, mean, log_variance);
    let gaps = (x.unsqueeze(0) - mean.unsqueeze(1)).square();
    let every = (gaps / log_variance.unsqueeze(1).exp() + log_variance.unsqueeze(1)) * -0.5;
    own.mean(Kind::Float) - every.mean(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn the_bound_is_that_of_its_formula() {
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
    fn nothing_is_told_by_what_does_not_depend() {
        tch::manual_seed(0);
        let cpu = (Kind::Float, Device::Cpu);
        let x = Tensor::randn([64, 4], cpu);
        let same = Tensor::zeros([64, 4], cpu);
        assert!(club(&x, &same, &same).abs().double_value(&[]) < 1e-5);
        assert!(club(&x, &x, &same).double_value(&[]) > 0.5);
    }
}
