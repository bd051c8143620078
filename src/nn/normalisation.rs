//! A [`Normalisation`] as operations of libtorch, for exported modules.

use tch::{Kind, Tensor};

use crate::dataset::normalisation::{Cmvn, Normalisation, NormalisationOptions};

/// [`Normalisation::apply`] on tensors.
#[derive(Debug)]
pub struct TensorNormalisation {
    options: NormalisationOptions,
    /// Each `[bins]`.
    mean: Tensor,
    std: Tensor,
}

impl TensorNormalisation {
    /// That of `normalisation`, on the CPU.
    pub fn new(normalisation: &Normalisation) -> Self {
        let (mean, std) = normalisation.statistics();
        Self {
            options: normalisation.options().clone(),
            mean: Tensor::from_slice(mean),
            std: Tensor::from_slice(std),
        }
    }

    /// Features `[1, frames, bins]` to normalised ones, `[1, frames or fixed_frames, bins]`.
    pub fn forward(&self, feats: &Tensor) -> Tensor {
        let mut x = feats.shallow_clone();
        if self.options.subtracts_utterance_mean() {
            x = &x - mean(&x, &[1, 2]).to_kind(Kind::Float);
        }
        x = match self.options.cmvn {
            Cmvn::None => x,
            Cmvn::Global => (x - &self.mean) / &self.std,
            Cmvn::Utterance => {
                let centre = mean(&x, &[1]);
                let variance = mean(&(&x - &centre).square(), &[1]);
                let std = variance.sqrt().clamp_min(1e-5).to_kind(Kind::Float);
                (x - centre.to_kind(Kind::Float)) / std
            }
        };
        match self.options.fixed_frames {
            0 => x,
            // In double precision: positions between distant frames would not be exact otherwise.
            frames => x
                .to_kind(Kind::Double)
                .transpose(1, 2)
                .upsample_linear1d([frames as i64], true, None)
                .transpose(1, 2)
                .to_kind(Kind::Float),
        }
    }
}

/// Mean over `dims`, which are kept, in double precision.
fn mean(x: &Tensor, dims: &[i64]) -> Tensor {
    x.mean_dim(dims, true, Kind::Double)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn it_equals_the_normalisation() {
        let feats = Array2::from_shape_fn((131, 5), |(frame, bin)| {
            ((frame * 37 + bin * 11) % 101) as f32 * 0.2 - 12.0
        });
        for cmvn in [Cmvn::None, Cmvn::Utterance, Cmvn::Global] {
            for (subtract_utterance_mean, fixed_frames) in
                [(true, 0), (false, 40), (true, 1), (false, 300)]
            {
                let options = NormalisationOptions {
                    subtract_utterance_mean: Some(subtract_utterance_mean),
                    cmvn,
                    fixed_frames,
                };
                let other = feats.mapv(|x| x * 2.0 + 1.0);
                let normalisation =
                    Normalisation::fit(&options, 5, std::iter::once(Ok(other))).unwrap();
                let expected = normalisation.apply(feats.clone());
                let values: Vec<f32> = feats.iter().copied().collect();
                let x = Tensor::from_slice(&values).reshape([1, 131, 5]);
                let found = TensorNormalisation::new(&normalisation).forward(&x);
                assert_eq!(found.size(), [1, expected.nrows() as i64, 5]);
                let found: Vec<f32> = Vec::try_from(found.reshape([-1])).unwrap();
                for (a, b) in found.iter().zip(&expected) {
                    assert!((a - b).abs() < 2e-6, "{options:?}: {a} for {b}");
                }
            }
        }
    }
}
