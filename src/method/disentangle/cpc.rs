//! Contrastive predictive coding (van den Oord et al. 2018): codes predict the codes that follow. Negatives are from the
//! same utterance, as in VQ-CPC (van Niekerk et al. 2020), so the speaker does not help.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::nn::layer::Conv1d;
use crate::nn::recurrent::Recurrent;
use crate::nn::{Mask, check_size, check_small};
use crate::objective::invariance::Invariance;
use crate::train::{OptimiserOptions, Trainable};

/// Contrastive predictive coding of the codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CpcOptions {
    /// Weight of the loss.
    pub weight: f64,
    /// Number of following codes to predict.
    pub steps: i64,
    /// Units of the recurrent context network.
    pub channels: i64,
    /// Divides the cosines; lower values weight the hardest negatives more.
    pub temperature: f64,
}

impl Default for CpcOptions {
    fn default() -> Self {
        Self {
            weight: 1.0,
            steps: 3,
            channels: 128,
            temperature: 0.1,
        }
    }
}

impl CpcOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        for (key, value) in [("weight", self.weight), ("temperature", self.temperature)] {
            if !value.is_finite() || value <= 0.0 {
                let found = value.to_string();
                return Err(Error::option(format!("{name}.{key}"), "more than 0", found));
            }
        }
        check_small(format!("{name}.steps"), self.steps, 1)?;
        check_size(format!("{name}.channels"), self.channels, 1)
    }
}

/// A causal recurrent context network and one linear map per distance, as a trainable module.
#[derive(Debug)]
pub struct Cpc {
    options: CpcOptions,
    trainable: Trainable,
    context: Recurrent,
    maps: Vec<Conv1d>,
}

impl Cpc {
    /// For codes of `code_dim`.
    pub fn new(
        options: &CpcOptions,
        code_dim: i64,
        optimiser: &OptimiserOptions,
        device: Device,
    ) -> Self {
        let channels = options.channels;
        let (trainable, (context, maps)) = Trainable::new("cpc", device, optimiser, |path| {
            let context = Recurrent::new(&path / "context", code_dim, channels, 1, true);
            let map = |step| Conv1d::new(&path / format!("step{step}"), channels, code_dim, 1);
            (context, (1..=options.steps).map(map).collect())
        });
        Self {
            options: options.clone(),
            trainable,
            context,
            maps,
        }
    }

    /// Its trainable module.
    pub fn trainable(&mut self) -> &mut Trainable {
        &mut self.trainable
    }

    /// The weighted loss of codes `[batch, code_dim, codes]`: each prediction has to identify its code among all codes of
    /// the utterance. Zero for utterances that are too short.
    pub fn loss(&self, codes: &Tensor, mask: &Mask) -> Tensor {
        let context = self.context.forward(codes, mask);
        let contrastive = Invariance::Contrastive {
            temperature: self.options.temperature,
        };
        let mut sum = codes.sum(Kind::Float) * 0.0;
        for (step, map) in (1..).zip(&self.maps) {
            let rest = mask.frames() - step;
            if rest < 1 {
                break;
            }
            let predicted = map.forward(&context.narrow(2, 0, rest));
            let actual = codes.narrow(2, step, rest);
            let lengths: Vec<i64> = mask.lengths().iter().map(|n| (n - step).max(0)).collect();
            let both = Mask::of_frames(&lengths, rest, codes.device());
            sum += contrastive.loss(&predicted, &actual, &both);
        }
        sum * (self.options.weight / self.options.steps as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn a_repeating_sequence_is_learned() {
        tch::manual_seed(0);
        let options = CpcOptions {
            channels: 16,
            ..Default::default()
        };
        let optimiser = OptimiserOptions {
            lr: 0.01,
            ..Default::default()
        };
        let mut cpc = Cpc::new(&options, 4, &optimiser, Device::Cpu);
        // Four directions in a fixed order, from different starts.
        let lengths = [12, 9, 2, 1];
        let mask = Mask::new(&lengths, Device::Cpu);
        let batch = || {
            let circle = Tensor::eye(4, (Kind::Float, Device::Cpu)).repeat([1, 4]);
            let rows: Vec<Tensor> = (0..4).map(|start| circle.narrow(1, start, 12)).collect();
            mask.apply(Tensor::stack(&rows, 0))
        };
        let first = cpc.loss(&batch(), &mask).double_value(&[]);
        for _ in 0..150 {
            let loss = cpc.loss(&batch(), &mask);
            crate::train::update(&mut [cpc.trainable()], &loss, 150).unwrap();
        }
        let last = cpc.loss(&batch(), &mask).double_value(&[]);
        // Three equal codes among twelve cannot be distinguished.
        assert!(last < 0.7 * first && last.is_finite(), "{first} {last}");
    }
}
