//! Bottlenecks of codes: none, scalar quantisation, a codebook, or Gaussian noise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::{Init, Path};
use tch::{Kind, Tensor, no_grad};

use super::check_size;
use super::gaussian::{Gaussian, SequencePrior};
use super::mask::Mask;
use crate::error::{Error, Result};

/// Limits the information in a code.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BottleneckOptions {
    /// No bottleneck.
    #[default]
    None,
    /// Finite scalar quantisation (Mentzer et al. 2023): each value of a code is rounded to one of `levels` even steps.
    /// A code has `code_dim * log2(levels)` bits. Gradients pass straight through the rounding.
    Fsq {
        /// Quantisation levels over [-1, 1], at least 2. Fewer levels leave less room for the speaker, and for content.
        levels: i64,
        /// Round by rank: in each utterance, each value of the codes has each level equally often, to within one code. How
        /// often a level occurs then says nothing about the speaker. Reads the whole utterance.
        #[serde(default)]
        balanced: bool,
    },
    /// Vector quantisation (van den Oord et al. 2017): a code is one of `codes` vectors, `log2(codes)` bits.
    Vq {
        /// Size of the codebook, at least 2.
        codes: i64,
        /// Weight of the commitment loss, which keeps the encoder's output near its codebook vector (eq. 3).
        #[serde(default = "default_commitment")]
        commitment: f64,
        /// A codebook vector used less than this share of uniform use is replaced by a recent encoder output; 0
        /// replaces none.
        #[serde(default = "default_restart_below")]
        restart_below: f64,
    },
    /// Gaussian codes with a divergence from a prior (Kingma and Welling 2014); extraction writes their mean.
    Vae {
        /// Weight of the divergence in nats, averaged over frames and summed over the values of a code.
        weight: f64,
        /// Bits per value that are not penalised (Kingma et al. 2016, appendix C.8).
        #[serde(default)]
        free_bits: f64,
        /// Units of a recurrent network that predicts each code from those before it, the prior of disentangled sequential
        /// autoencoders (Li and Mandt 2018; on speech, Lian et al. 2022); 0: the prior of every code is N(0, 1).
        #[serde(default)]
        prior_channels: i64,
    },
}

fn default_commitment() -> f64 {
    0.25
}

fn default_restart_below() -> f64 {
    0.05
}

impl BottleneckOptions {
    /// Whether it adds a loss.
    pub fn costs(&self) -> bool {
        matches!(self, Self::Vq { .. } | Self::Vae { .. })
    }

    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(self, name: &str) -> Result<()> {
        let refuse = |key: &str, expected: &str, found: String| {
            Err(Error::option(format!("{name}.{key}"), expected, found))
        };
        if let Self::Vae { prior_channels, .. } = self {
            check_size(format!("{name}.prior_channels"), prior_channels, 0)?;
        }
        let (wholes, reals) = match self {
            Self::None => (None, vec![]),
            Self::Fsq { levels, .. } => (Some(("levels", levels)), vec![]),
            Self::Vq {
                codes,
                commitment,
                restart_below,
            } => (
                Some(("codes", codes)),
                vec![("commitment", commitment), ("restart_below", restart_below)],
            ),
            Self::Vae {
                weight, free_bits, ..
            } => (None, vec![("weight", weight), ("free_bits", free_bits)]),
        };
        if let Some((key, value)) = wholes.filter(|(_, value)| !(2..=65536).contains(value)) {
            return refuse(key, "2 to 65536", value.to_string());
        }
        match reals.into_iter().find(|(_, x)| !x.is_finite() || *x < 0.0) {
            None => Ok(()),
            Some((key, value)) => refuse(key, "0 or more", value.to_string()),
        }
    }

    /// Channels that a bottleneck of this kind reads, for codes of `code_dim`.
    pub fn inputs(self, code_dim: i64) -> i64 {
        match self {
            Self::Vae { .. } => 2 * code_dim,
            _ => code_dim,
        }
    }
}

/// Codes and their loss.
#[derive(Debug)]
pub struct Squeezed {
    /// `[batch, code_dim, codes]`; the padding is not zeroed.
    pub codes: Tensor,
    /// The weighted loss of the bottleneck, a scalar, where it has one.
    pub penalty: Option<Tensor>,
    /// Perplexity of the codebook: the number of equally used vectors with the same entropy as this batch.
    pub perplexity: Option<Tensor>,
}

/// A bottleneck with its parameters.
#[derive(Debug)]
pub struct Bottleneck {
    options: BottleneckOptions,
    codebook: Option<Codebook>,
    prior: Option<SequencePrior>,
}

impl Bottleneck {
    /// For codes of `code_dim`.
    pub fn new(path: Path, code_dim: i64, options: BottleneckOptions) -> Self {
        let codebook = match options {
            BottleneckOptions::Vq { codes, .. } => {
                Some(Codebook::new(&path / "codebook", codes, code_dim))
            }
            _ => None,
        };
        let prior = match options {
            BottleneckOptions::Vae { prior_channels, .. } if prior_channels > 0 => Some(
                SequencePrior::new(&path / "prior", code_dim, prior_channels),
            ),
            _ => None,
        };
        Self {
            options,
            codebook,
            prior,
        }
    }

    /// `[batch, inputs, codes]` to codes. `train` draws noise and updates the statistics of a codebook's use.
    pub fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Squeezed {
        match (self.options, &self.codebook) {
            (BottleneckOptions::Fsq { levels, balanced }, _) => {
                Squeezed::free(scalar_quantise(x, mask, levels, balanced))
            }
            (
                BottleneckOptions::Vae {
                    weight, free_bits, ..
                },
                _,
            ) => {
                let posterior = Gaussian::of_halves(x);
                let codes = posterior.draw(train);
                let divergence = match &self.prior {
                    None => posterior.divergence(),
                    Some(prior) => posterior.divergence_from(&prior.forward(&codes, mask)),
                };
                let by_value = mask.mean_of_all(&divergence);
                let penalised = by_value.clamp_min(free_bits * std::f64::consts::LN_2);
                Squeezed {
                    codes,
                    penalty: Some(penalised.sum(Kind::Float) * weight),
                    perplexity: None,
                }
            }
            (BottleneckOptions::Vq { commitment, .. }, Some(codebook)) => {
                codebook.forward(x, mask, train, commitment)
            }
            _ => Squeezed::free(x.shallow_clone()),
        }
    }

    /// `[batch, inputs, codes]` to the codes alone, as [`Bottleneck::forward`] without training, at any length and
    /// without the loss.
    pub fn codes(&self, x: &Tensor, mask: &Mask) -> Tensor {
        match (self.options, &self.codebook) {
            (BottleneckOptions::Fsq { levels, balanced }, _) => {
                scalar_quantise(x, mask, levels, balanced)
            }
            (BottleneckOptions::Vae { .. }, _) => x.chunk(2, 1).swap_remove(0),
            (BottleneckOptions::Vq { .. }, Some(codebook)) => codebook.chosen(x).2,
            _ => x.shallow_clone(),
        }
    }

    /// Replaces unused vectors of the codebook. Called once per step, before anything of the step is computed.
    pub fn before_step(&self) {
        if let (BottleneckOptions::Vq { restart_below, .. }, Some(codebook)) =
            (self.options, &self.codebook)
        {
            codebook.restart(restart_below);
        }
    }
}

impl Squeezed {
    fn free(codes: Tensor) -> Self {
        Self {
            codes,
            penalty: None,
            perplexity: None,
        }
    }
}

fn scalar_quantise(x: &Tensor, mask: &Mask, levels: i64, balanced: bool) -> Tensor {
    match balanced {
        true => quantise_by_rank(x, mask, levels),
        false => quantise(x, levels),
    }
}

/// As [`quantise`], with the level of a value by its rank among the values of its channel and sequence,
/// `[batch, channels, frames]`. Equal values are ranked in the order of time.
pub fn quantise_by_rank(x: &Tensor, mask: &Mask, levels: i64) -> Tensor {
    let bounded = x.tanh();
    let sorted_last = match mask.real() {
        None => bounded.detach(),
        Some(real) => bounded.detach().masked_fill(&real.logical_not(), 2.0),
    };
    let rank = |x: &Tensor| x.argsort_stable(true, 2, false);
    let counts = mask.counts_of(x).clamp_min(1.0);
    let level = (rank(&rank(&sorted_last)) * levels)
        .divide_tensor_mode(&counts, "floor")
        .clamp(0.0, (levels - 1) as f64);
    let rounded = level / ((levels - 1) as f64 / 2.0) - 1.0;
    &bounded + (rounded - &bounded).detach()
}

/// Finite scalar quantisation: rounds `tanh(x)` to `levels` even steps over [-1, 1]; the gradient is that of `tanh`.
pub fn quantise(x: &Tensor, levels: i64) -> Tensor {
    let bounded = x.tanh();
    let half = (levels - 1) as f64 / 2.0;
    let rounded = ((&bounded + 1.0) * half).round() / half - 1.0;
    &bounded + (rounded - &bounded).detach()
}

/// A codebook with statistics of its use.
#[derive(Debug)]
struct Codebook {
    /// `[codes, dim]`.
    vectors: Tensor,
    /// Running share of use of each vector, 1 for uniform use, `[codes]`.
    usage: Tensor,
    /// Codes of the last batch at random places, to replace unused vectors, `[codes, dim]`.
    recent: Tensor,
}

/// Weight of a new batch in the running share of use.
const USAGE_DECAY: f64 = 0.95;

impl Codebook {
    fn new(path: Path, codes: i64, dim: i64) -> Self {
        let spread = Init::Randn {
            mean: 0.0,
            stdev: 0.5,
        };
        Self {
            vectors: path.var("vectors", &[codes, dim], spread),
            usage: path.ones_no_train("usage", &[codes]),
            recent: path.zeros_no_train("recent", &[codes, dim]),
        }
    }

    fn forward(&self, x: &Tensor, mask: &Mask, train: bool, commitment: f64) -> Squeezed {
        let (nearest, chosen, codes) = self.chosen(x);
        let real = mask.flat_real(x.device());
        let use_ = no_grad(|| self.count(&nearest, &real));
        if train {
            no_grad(|| self.remember(&by_code(x), &use_, &real));
        }
        let gap = |from: &Tensor, to: &Tensor| {
            mask.mean_of_all(&(from - to.detach()).square())
                .mean(Kind::Float)
        };
        let share = &use_ / use_.sum(Kind::Float).clamp_min(1.0);
        let entropy = -(&share * share.clamp_min(1e-12).log()).sum(Kind::Float);
        Squeezed {
            codes,
            penalty: Some(gap(&chosen, x) + gap(x, &chosen) * commitment),
            perplexity: Some(entropy.exp()),
        }
    }

    /// For `[batch, dim, codes]`: the indices `[batch * codes]` of the nearest vectors, these vectors, and codes with
    /// their values and the gradient of `x`.
    fn chosen(&self, x: &Tensor) -> (Tensor, Tensor, Tensor) {
        let nearest = no_grad(|| self.nearest(&by_code(x)));
        let chosen = self.vectors.index_select(0, &nearest);
        let chosen = chosen.view_as(&x.transpose(1, 2)).transpose(1, 2);
        let codes = x + (&chosen - x).detach();
        (nearest, chosen, codes)
    }

    /// Indices of the nearest vectors of `[frames, dim]`.
    fn nearest(&self, flat: &Tensor) -> Tensor {
        let lengths = self
            .vectors
            .square()
            .sum_dim_intlist(&[1i64][..], false, Kind::Float);
        (lengths - flat.matmul(&self.vectors.tr()) * 2.0).argmin(1, false)
    }

    /// How often each vector was chosen by a frame without padding, `[codes]`.
    fn count(&self, nearest: &Tensor, real: &Tensor) -> Tensor {
        self.usage.zeros_like().index_add(0, nearest, real)
    }

    fn remember(&self, flat: &Tensor, counts: &Tensor, real: &Tensor) {
        let codes = self.usage.size()[0] as f64;
        let even = counts * (codes / counts.sum(Kind::Float).clamp_min(1.0).double_value(&[]));
        let _ = self.usage.shallow_clone().lerp_(&even, 1.0 - USAGE_DECAY);
        let places = real.multinomial(self.usage.size()[0], true);
        self.recent
            .shallow_clone()
            .copy_(&flat.index_select(0, &places));
    }

    fn restart(&self, below: f64) {
        no_grad(|| {
            let dead = self.usage.lt(below);
            let vectors = self.recent.where_self(&dead.unsqueeze(1), &self.vectors);
            self.vectors.shallow_clone().copy_(&vectors);
            // Uniform use again, so that a new vector is not replaced before it could be chosen.
            let _ = self.usage.shallow_clone().masked_fill_(&dead, 2.0 * below);
        });
    }
}

/// `[batch, dim, codes]` as `[batch * codes, dim]`.
fn by_code(x: &Tensor) -> Tensor {
    x.transpose(1, 2).flatten(0, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;
    use tch::nn::{self, OptimizerConfig, VarStore};

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn vector(codes: i64) -> BottleneckOptions {
        BottleneckOptions::Vq {
            codes,
            commitment: 0.25,
            restart_below: 0.05,
        }
    }

    #[test]
    fn quantised_codes_are_on_their_levels_and_keep_a_gradient() {
        let x = Tensor::randn([4, 50], CPU).set_requires_grad(true);
        let codes = quantise(&x, 3);
        let off = (&codes - codes.round()).abs().max().double_value(&[]);
        assert!(off < 1e-6);
        codes.sum(Kind::Float).backward();
        assert!(x.grad().abs().min().double_value(&[]) > 0.0);
    }

    #[test]
    fn ranks_use_each_level_equally_often_whatever_the_padding() {
        tch::manual_seed(3);
        let x = Tensor::randn([2, 4, 9], CPU) * 0.1 + 0.7;
        let x = x.set_requires_grad(true);
        let codes = quantise_by_rank(&x, &Mask::new(&[9, 6], Device::Cpu), 3);
        for (row, length) in [(0, 9), (1, 6)] {
            let own = codes.get(row).narrow(1, 0, length).round();
            for level in [-1.0, 0.0, 1.0] {
                let counts = own
                    .eq(level)
                    .sum_dim_intlist(&[1i64][..], false, Kind::Int64);
                assert_eq!(counts.eq(length / 3).all().int64_value(&[]), 1);
            }
            let alone = x.narrow(0, row, 1).narrow(2, 0, length);
            let alone = quantise_by_rank(&alone, &Mask::new(&[length], Device::Cpu), 3);
            assert_eq!(alone.get(0).round(), own);
            let order = own.get(0).unsqueeze(1) - own.get(0).unsqueeze(0);
            let values = x.get(row).get(0).narrow(0, 0, length);
            let gaps = values.unsqueeze(1) - values.unsqueeze(0);
            assert!((order * gaps).min().double_value(&[]) >= 0.0);
        }
        codes.sum(Kind::Float).backward();
        assert!(x.grad().abs().min().double_value(&[]) > 0.0);
    }

    #[test]
    fn a_codebook_gives_its_nearest_vectors() {
        let store = VarStore::new(Device::Cpu);
        let bottleneck = Bottleneck::new(store.root(), 2, vector(2));
        let vectors = Tensor::from_slice(&[0f32, 0.0, 1.0, 1.0]).reshape([2, 2]);
        no_grad(|| {
            let codebook = bottleneck.codebook.as_ref().unwrap();
            codebook.vectors.shallow_clone().copy_(&vectors);
        });
        // Frames (0.1, 0.2), (0.9, 0.8) and one of padding.
        let x = Tensor::from_slice(&[0.1f32, 0.9, 5.0, 0.2, 0.8, 5.0]).reshape([1, 2, 3]);
        let mask = Mask::new(&[2, 3], Device::Cpu);
        let x = Tensor::cat(&[&x, &x.narrow(2, 0, 1).expand([1, 2, 3], false)], 0);
        let found = bottleneck.forward(&x, &mask, false);
        let first: Vec<f32> =
            Vec::try_from(found.codes.get(0).narrow(1, 0, 2).reshape([-1])).unwrap();
        assert_eq!(first, [0.0, 1.0, 0.0, 1.0]);
        // Distances: frame 1 and its three copies 0.05, frame 2 0.05, over two values.
        let penalty = found.penalty.unwrap().double_value(&[]);
        assert!((penalty - 1.25 * 0.025).abs() < 1e-6, "{penalty}");
        // Four of five frames chose the first vector.
        let entropy = -(0.8f64 * 0.8f64.ln() + 0.2 * 0.2f64.ln());
        let perplexity = found.perplexity.unwrap().double_value(&[]);
        assert!((perplexity - entropy.exp()).abs() < 1e-5);
    }

    #[test]
    fn unused_vectors_are_replaced_by_recent_codes() {
        tch::manual_seed(0);
        let store = VarStore::new(Device::Cpu);
        let bottleneck = Bottleneck::new(store.root(), 4, vector(16));
        let mask = Mask::new(&[50, 50], Device::Cpu);
        // Far from the initial codebook.
        let batch = || Tensor::randn([2, 4, 50], CPU) + 20.0;
        let mut used = 0.0;
        for _ in 0..100 {
            bottleneck.before_step();
            let found = bottleneck.forward(&batch(), &mask, true);
            used = found.perplexity.unwrap().double_value(&[]);
        }
        assert!(used > 8.0, "{used}");
    }

    fn gaussian(free_bits: f64, prior_channels: i64) -> BottleneckOptions {
        BottleneckOptions::Vae {
            weight: 1.0,
            free_bits,
            prior_channels,
        }
    }

    #[test]
    fn the_divergence_is_that_of_gaussians() {
        let x = Tensor::from_slice(&[0.5f32, (0.25f32).ln()]).reshape([1, 2, 1]);
        let mask = Mask::new(&[1], Device::Cpu);
        let store = VarStore::new(Device::Cpu);
        let divergence: f64 = 0.5 * (0.25 + 0.25 - 1.0 - 0.25f64.ln());
        for (free_bits, expected) in [(0.0, divergence), (2.0, 2.0 * std::f64::consts::LN_2)] {
            let bottleneck = Bottleneck::new(store.root(), 1, gaussian(free_bits, 0));
            let found = bottleneck.forward(&x, &mask, false);
            let penalty = found.penalty.unwrap().double_value(&[]);
            assert!((penalty - expected).abs() < 1e-6, "{penalty} {expected}");
            assert_eq!(found.codes.double_value(&[0, 0, 0]), 0.5);
        }
    }

    /// A learned prior is N(0, 1) at first, and predicts what repeats itself after training.
    #[test]
    fn a_learned_prior_lowers_the_divergence_of_what_it_predicts() {
        tch::manual_seed(4);
        let store = VarStore::new(Device::Cpu);
        let bottleneck = Bottleneck::new(store.root(), 2, gaussian(0.0, 8));
        let mask = Mask::new(&[20, 12], Device::Cpu);
        let mean = Tensor::from_slice(&[2f32, -1.0, -1.5, 1.0]).reshape([2, 2, 1]);
        let x = Tensor::cat(
            &[
                mean.expand([2, 2, 20], false),
                Tensor::zeros([2, 2, 20], CPU) - 3.0,
            ],
            1,
        );
        let cost = || bottleneck.forward(&x, &mask, false).penalty.unwrap();
        let standard = Bottleneck::new(VarStore::new(Device::Cpu).root(), 2, gaussian(0.0, 0));
        let plain = standard.forward(&x, &mask, false).penalty.unwrap();
        let before = cost();
        assert!((&before - plain).abs().double_value(&[]) < 1e-5);
        let mut adam = nn::Adam::default().build(&store, 0.02).unwrap();
        for _ in 0..60 {
            adam.backward_step(&cost());
        }
        assert!(cost().double_value(&[]) < 0.5 * before.double_value(&[]));
    }
}
