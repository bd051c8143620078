//! Numbers that change with the step: learning rates and adversarial weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check_within};

/// Largest number of steps.
pub const MAX_STEPS: u64 = 1_000_000_000;
/// Largest number of inner steps.
const MAX_INNER_STEPS: usize = 1000;

/// Checks a number of steps.
///
/// # Errors
/// [`Error::Option`] naming `key`.
pub fn check_steps(key: impl Into<String>, steps: u64) -> Result<()> {
    check_within(key, steps, 0..=MAX_STEPS)
}

/// Checks the number of inner steps of an adversary.
///
/// # Errors
/// [`Error::Option`] naming `key`.
pub fn check_inner_steps(key: impl Into<String>, steps: usize) -> Result<()> {
    check_within(key, steps, 1..=MAX_INNER_STEPS)
}

/// Shape of the learning rate after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Constant.
    #[default]
    Constant,
    /// Half a cosine down to `final_ratio` (Loshchilov and Hutter 2017).
    Cosine,
    /// `1 / (1 + 10 p)^0.75`, where `p` is the share of training done (Ganin et al. 2016, section 5.2.2).
    InversePower,
    /// Constant for the first half, then linear down to `final_ratio`.
    LinearSecondHalf,
}

/// Learning-rate schedule, a factor of the full learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Steps of linear warm-up from 0; 0 starts at the full rate.
    pub warmup_steps: u64,
    /// Shape after warm-up.
    pub decay: Decay,
    /// Factor at the last step of `cosine` and `linear_second_half`.
    pub final_ratio: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            warmup_steps: 0,
            decay: Decay::Constant,
            final_ratio: 0.0,
        }
    }
}

impl Schedule {
    /// The factor for the update after `done` of `total` steps.
    pub fn factor(&self, done: u64, total: u64) -> f64 {
        if done < self.warmup_steps {
            return (done + 1) as f64 / self.warmup_steps as f64;
        }
        let span = total.saturating_sub(self.warmup_steps).max(1) as f64;
        let at = ((done - self.warmup_steps) as f64 / span).min(1.0);
        let to_final = |share: f64| self.final_ratio + (1.0 - self.final_ratio) * share;
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Cosine => to_final(0.5 * (1.0 + (std::f64::consts::PI * at).cos())),
            Decay::InversePower => (1.0 + 10.0 * at).powf(-0.75),
            Decay::LinearSecondHalf => to_final((2.0 - 2.0 * at).min(1.0)),
        }
    }

    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        check_steps(format!("{name}.warmup_steps"), self.warmup_steps)?;
        check_within(format!("{name}.final_ratio"), self.final_ratio, 0.0..=1.0)
    }
}

/// A weight that is 0 at first, then rises linearly to its full value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ramp {
    /// Full value; 0 leaves the term out.
    pub weight: f64,
    /// Steps at 0 before the rise.
    pub start: u64,
    /// Steps of the rise from 0 to the full value; 0 jumps to it.
    pub length: u64,
}

impl Default for Ramp {
    fn default() -> Self {
        Self {
            weight: 0.3,
            start: 200,
            length: 500,
        }
    }
}

impl Ramp {
    /// The weight at `step`.
    pub fn at(&self, step: u64) -> f64 {
        let steps = step.saturating_sub(self.start) as f64;
        let risen = match self.length {
            0 => f64::from(u8::from(step >= self.start)),
            length => (steps / length as f64).min(1.0),
        };
        self.weight * risen
    }

    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        if !self.weight.is_finite() || self.weight < 0.0 {
            let found = self.weight.to_string();
            return Err(Error::option(format!("{name}.weight"), "0 or more", found));
        }
        check_steps(format!("{name}.start"), self.start)?;
        check_steps(format!("{name}.length"), self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_then_cosine() {
        let schedule = Schedule {
            warmup_steps: 10,
            decay: Decay::Cosine,
            final_ratio: 0.1,
        };
        assert!((schedule.factor(0, 110) - 0.1).abs() < 1e-12);
        assert!((schedule.factor(9, 110) - 1.0).abs() < 1e-12);
        assert!((schedule.factor(60, 110) - 0.55).abs() < 1e-12);
        assert!((schedule.factor(110, 110) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn inverse_power_and_linear_second_half() {
        let of = |decay| Schedule {
            decay,
            final_ratio: 0.2,
            ..Schedule::default()
        };
        let inverse_power = of(Decay::InversePower).factor(50, 100);
        assert!((inverse_power - 6f64.powf(-0.75)).abs() < 1e-12);
        let linear = of(Decay::LinearSecondHalf);
        for (done, expected) in [(0, 1.0), (50, 1.0), (75, 0.6), (100, 0.2)] {
            assert!((linear.factor(done, 100) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_ramp_is_zero_then_rises_then_is_constant() {
        let ramp = Ramp {
            weight: 0.4,
            start: 100,
            length: 200,
        };
        assert_eq!((ramp.at(100), ramp.at(200), ramp.at(900)), (0.0, 0.2, 0.4));
    }
}
