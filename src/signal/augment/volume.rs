//! Volume perturbation.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::within;
use crate::error::{Error, Result};

/// What gains are drawn from, as Kaldi's `perturb_data_dir_volume.sh` draws them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeOptions {
    /// The least factor.
    pub min: f64,
    /// The greatest factor.
    pub max: f64,
}

impl Default for VolumeOptions {
    fn default() -> Self {
        Self {
            min: 0.125,
            max: 2.0,
        }
    }
}

impl VolumeOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Option`] for factors outside 0.001 to 1000 or in the wrong order.
    pub fn check(&self) -> Result<()> {
        within("volume.min", self.min, 1e-3, 1e3)?;
        within("volume.max", self.max, 1e-3, 1e3)?;
        if self.min > self.max {
            let expected = format!("at most volume.max, {}", self.max);
            return Err(Error::option("volume.min", expected, self.min.to_string()));
        }
        Ok(())
    }

    /// Draws a factor, all between the bounds with the same chance.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        self.min + (self.max - self.min) * rng.random::<f64>()
    }
}

/// Multiplies the samples.
pub fn change_volume(samples: &mut [f32], factor: f64) {
    for sample in samples {
        *sample = (f64::from(*sample) * factor) as f32;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn factors_fill_their_range() {
        let options = VolumeOptions::default();
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let drawn: Vec<f64> = (0..1000).map(|_| options.draw(&mut rng)).collect();
        assert!(drawn.iter().all(|factor| (0.125..2.0).contains(factor)));
        let mean = drawn.iter().sum::<f64>() / 1000.0;
        assert!((mean - 1.0625).abs() < 0.06, "{mean}");
        let mut samples = [0.5, -0.25];
        change_volume(&mut samples, 0.5);
        assert_eq!(samples, [0.25, -0.125]);
        let wrong = VolumeOptions { min: 2.0, max: 1.0 };
        assert!(
            wrong
                .check()
                .unwrap_err()
                .to_string()
                .starts_with("volume.min: expected at most")
        );
    }
}
