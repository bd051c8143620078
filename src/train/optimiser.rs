//! Gradient descent over one flat buffer: an update takes few kernels, and its state can be saved.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::{Kind, Tensor};

use super::schedule::Schedule;
use crate::error::{Error, Result};

/// Update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimiserKind {
    /// Adam (Kingma and Ba 2015); weight decay is added to the gradient.
    #[default]
    Adam,
    /// AdamW (Loshchilov and Hutter 2019); weight decay acts on the weights directly.
    AdamW,
    /// Stochastic gradient descent with momentum `beta1`.
    Sgd,
    /// RMSProp (Hinton 2012): the gradient divided by the root of its mean square, which decays by `beta2`.
    RmsProp,
}

/// An optimiser and its learning-rate schedule. Keys left out have the default of the method that the table belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "PartialOptions")]
// Each key may be left out, which `PartialOptions` is for.
#[schemars(!from, default, deny_unknown_fields)]
pub struct OptimiserOptions {
    /// The update rule.
    pub kind: OptimiserKind,
    /// Learning rate, before the schedule's factor.
    pub lr: f64,
    /// Decay of the mean of gradients (Adam), or the momentum (SGD).
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment, for numerical stability.
    pub eps: f64,
    /// Weight decay (L2 regularisation); 0 is none.
    pub weight_decay: f64,
    /// Largest norm of a gradient, over all parameters of a network; longer ones are scaled down. 0 does not clip.
    pub clip_norm: f64,
    /// Decay of an exponential moving average of the weights, which validation and extraction then use. 0 keeps no
    /// average; 0.98 to 0.999 gives smoother results.
    pub ema_decay: f64,
    /// Learning-rate schedule.
    pub schedule: Schedule,
}

impl Default for OptimiserOptions {
    fn default() -> Self {
        Self {
            kind: OptimiserKind::Adam,
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            clip_norm: 5.0,
            ema_decay: 0.0,
            schedule: Schedule::default(),
        }
    }
}

/// [`OptimiserOptions`] as in a file: any subset of the keys.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PartialOptions {
    kind: Option<OptimiserKind>,
    lr: Option<f64>,
    beta1: Option<f64>,
    beta2: Option<f64>,
    eps: Option<f64>,
    weight_decay: Option<f64>,
    clip_norm: Option<f64>,
    ema_decay: Option<f64>,
    schedule: Option<Schedule>,
}

impl PartialOptions {
    fn over(self, base: OptimiserOptions) -> OptimiserOptions {
        OptimiserOptions {
            kind: self.kind.unwrap_or(base.kind),
            lr: self.lr.unwrap_or(base.lr),
            beta1: self.beta1.unwrap_or(base.beta1),
            beta2: self.beta2.unwrap_or(base.beta2),
            eps: self.eps.unwrap_or(base.eps),
            weight_decay: self.weight_decay.unwrap_or(base.weight_decay),
            clip_norm: self.clip_norm.unwrap_or(base.clip_norm),
            ema_decay: self.ema_decay.unwrap_or(base.ema_decay),
            schedule: self.schedule.unwrap_or(base.schedule),
        }
    }
}

impl From<PartialOptions> for OptimiserOptions {
    fn from(written: PartialOptions) -> Self {
        written.over(Self::default())
    }
}

impl OptimiserOptions {
    /// The given keys, and those of `base` for the rest: for `deserialize_with` of options with the default `base`.
    ///
    /// # Errors
    /// An unknown key, or a value of another type.
    pub fn over<'de, D: Deserializer<'de>>(base: Self, written: D) -> Result<Self, D::Error> {
        Ok(PartialOptions::deserialize(written)?.over(base))
    }

    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        let not_negative = [
            ("lr", self.lr),
            ("weight_decay", self.weight_decay),
            ("clip_norm", self.clip_norm),
            ("eps", self.eps),
        ];
        for (key, value) in not_negative {
            if !value.is_finite() || value < 0.0 {
                return Err(Error::option(
                    format!("{name}.{key}"),
                    "0 or more",
                    value.to_string(),
                ));
            }
        }
        for (key, value) in [
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("ema_decay", self.ema_decay),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::option(
                    format!("{name}.{key}"),
                    "0 <= x < 1",
                    value.to_string(),
                ));
            }
        }
        self.schedule.check(&format!("{name}.schedule"))
    }
}

/// Moments over a module's flat parameters, and the number of updates.
#[derive(Debug)]
pub struct Optimiser {
    options: OptimiserOptions,
    first: Tensor,
    second: Tensor,
    updates: u64,
}

impl Optimiser {
    /// New moments for `flat`.
    pub fn new(options: &OptimiserOptions, flat: &Tensor) -> Self {
        Self {
            options: options.clone(),
            first: flat.zeros_like(),
            second: flat.zeros_like(),
            updates: 0,
        }
    }

    /// Moves `flat` against `grad`, both `[parameters]`; `total_steps` is the schedule's horizon.
    /// Call without gradients.
    pub fn step(&mut self, flat: &mut Tensor, grad: Tensor, total_steps: u64) {
        let o = &self.options;
        let lr = o.lr * o.schedule.factor(self.updates, total_steps);
        self.updates += 1;
        let mut grad = clip(grad, o.clip_norm);
        if o.weight_decay > 0.0 {
            match o.kind {
                OptimiserKind::AdamW => {
                    let _ = flat.g_mul_scalar_(1.0 - lr * o.weight_decay);
                }
                _ => grad += &*flat * o.weight_decay,
            }
        }
        match o.kind {
            OptimiserKind::Sgd => {
                let _ = self.first.g_mul_scalar_(o.beta1).g_add_(&grad);
                let _ = flat.g_sub_(&(&self.first * lr));
            }
            OptimiserKind::RmsProp => {
                self.follow_squares(&grad);
                let denominator = self.second.sqrt() + self.options.eps;
                let _ = flat.addcdiv_(&(grad * -lr), &denominator);
            }
            OptimiserKind::Adam | OptimiserKind::AdamW => {
                let (b1, b2) = (o.beta1, o.beta2);
                let _ = self.first.lerp_(&grad, 1.0 - b1);
                self.follow_squares(&grad);
                let o = &self.options;
                let updates = self.updates as i32;
                let correction = (1.0 - b2.powi(updates)).sqrt();
                let mut denominator = self.second.sqrt();
                let _ = denominator.g_div_scalar_(correction).g_add_scalar_(o.eps);
                let rate = -lr / (1.0 - b1.powi(updates));
                let _ = flat.addcdiv_(&(&self.first * rate), &denominator);
            }
        }
    }

    /// Updates the mean of squared gradients.
    fn follow_squares(&mut self, grad: &Tensor) {
        let b2 = self.options.beta2;
        let _ = self
            .second
            .g_mul_scalar_(b2)
            .addcmul_(grad, &grad.shallow_clone().g_mul_scalar(1.0 - b2));
    }

    /// The tensors for a checkpoint, with their names; each is `[parameters]`.
    pub fn moments(&self) -> [(&'static str, &Tensor); 2] {
        [("first", &self.first), ("second", &self.second)]
    }

    /// Number of updates so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Sets the number of updates, when the moments come from a checkpoint.
    pub fn set_updates(&mut self, updates: u64) {
        self.updates = updates;
    }

    /// The options.
    pub fn options(&self) -> &OptimiserOptions {
        &self.options
    }
}

/// Shortens a gradient to the norm `longest`, without synchronising with the device.
fn clip(mut grad: Tensor, longest: f64) -> Tensor {
    if longest <= 0.0 {
        return grad;
    }
    let scale = (grad.norm().to_kind(Kind::Float) + 1e-6).reciprocal() * longest;
    grad.g_mul_(&scale.clamp_max(1.0))
}
