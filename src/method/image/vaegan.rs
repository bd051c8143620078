//! VAE-GAN (Larsen, Sønderby, Larochelle and Winther 2016): a variational autoencoder whose reconstruction error is measured
//! in the features of a discriminator that is trained along.
//!
//! With `x~ = G(z)`, `z ~ q(z | x) = N(mean, variance)` a reconstruction and `x_p = G(z_p)`, `z_p ~ N(0, 1)` a sample, `D_l` the
//! discriminator's feature maps and `CE` its cross-entropy, in this order and from one forward pass (algorithm 1):
//!
//! ```text
//! encoder        KL(q(z | x) || N(0, 1)) + 1/2 |D_l(x) - D_l(x~)|^2
//! decoder        gamma 1/2 |D_l(x) - D_l(x~)|^2 + CE(x~, real) + CE(x_p, real)
//! discriminator  CE(x, real) + CE(x~, not real) + CE(x_p, not real)
//! ```
//!
//! The adversarial loss has no gradient for the encoder, the reconstruction none for the discriminator. With three classes
//! "not real" is `reconstructed` for `x~` and `sampled` for `x_p`: the discriminator also distinguishes these two. Without a
//! discriminator the method is a plain variational autoencoder on pixels.
//!
//! Departures: the decoder minimises CE against `real` where the paper maximises the discriminator's loss; transposed
//! convolutions have width 4 instead of 5; pixels are 0 to 1.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::nn::Path;
use tch::{Device, Kind, Tensor};

use super::discriminator::DISCRIMINATOR_PATIENCE;
use crate::dataset::image_batch::ImageBatch;
use crate::error::{Error, Result};
use crate::nn::check_size;
use crate::nn::gaussian::Gaussian;
use crate::nn::image::conv_net::check_layers;
use crate::nn::image::{Activation, ConvLayer, ConvNet, Mlp, UpNet, up_net};
use crate::nn::layer::{Linear, bf16_autocast};
use crate::objective::classification::{accuracy, cross_entropy};
use crate::train::schedule::check_steps;
use crate::train::{
    Clock, Division, Method, OptimiserKind, OptimiserOptions, Scalars, Trainable, update,
    update_each,
};

/// The classes that the discriminator distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiscriminatorClasses {
    /// No discriminator: a plain variational autoencoder.
    None,
    /// Real and generated; reconstructions count as generated.
    #[default]
    TwoClasses,
    /// Real, reconstructed and sampled.
    ThreeClasses,
}

/// Where the reconstruction error is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Between feature maps of the discriminator.
    #[default]
    Features,
    /// Between pixels.
    Pixels,
}

/// Balances discriminator and decoder. The discriminator is not updated while one of its losses is below `equilibrium -
/// margin`; the decoder is not updated while one of them is above `equilibrium + margin`. Where both would be held
/// back, both are updated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gate {
    /// Cross-entropy in nats at which discriminator and decoder are balanced; `ln 2 = 0.69` is chance.
    pub equilibrium: f64,
    /// Distance from `equilibrium`, in nats, within which both are updated.
    pub margin: f64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            equilibrium: 0.68,
            margin: 0.35,
        }
    }
}

/// Networks, and weights of the losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VaeGanOptions {
    /// End the run with an error once the discriminator has been right on every item for this many steps, because the
    /// generator then gets no gradient. Checked at each log line. 0 never ends it.
    pub discriminator_patience: u64,
    /// Dimensions of the code.
    pub code_dim: i64,
    /// Feature maps per layer of the encoder; each layer halves height and width.
    pub encoder_channels: Vec<i64>,
    /// Feature maps per layer of the decoder, from the smallest image to the largest.
    pub decoder_channels: Vec<i64>,
    /// Feature maps per layer of the discriminator.
    pub discriminator_channels: Vec<i64>,
    /// Width of the fully connected layer of encoder and discriminator.
    pub hidden: i64,
    /// The classes that the discriminator distinguishes.
    pub discriminator: DiscriminatorClasses,
    /// Where the reconstruction error is measured.
    pub reconstruction: Measured,
    /// Standard deviation of a pixel around its reconstruction, for `reconstruction = "pixels"`.
    pub pixel_deviation: f64,
    /// Weight of the reconstruction error in the decoder's loss; the adversarial loss has weight 1.
    pub gamma: f64,
    /// Skips updates of discriminator or decoder while one is far ahead of the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Optimiser of all networks.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(VaeGanOptions::default().optimiser, written)
}

impl Default for VaeGanOptions {
    fn default() -> Self {
        Self {
            discriminator_patience: DISCRIMINATOR_PATIENCE,
            code_dim: 64,
            encoder_channels: vec![64, 128, 256],
            decoder_channels: vec![256, 128],
            discriminator_channels: vec![32, 128, 256],
            hidden: 512,
            discriminator: DiscriminatorClasses::TwoClasses,
            reconstruction: Measured::Features,
            pixel_deviation: 0.25,
            gamma: 1e-3,
            gate: None,
            optimiser: OptimiserOptions {
                kind: OptimiserKind::RmsProp,
                lr: 3e-4,
                beta2: 0.9,
                clip_norm: 0.0,
                ..OptimiserOptions::default()
            },
        }
    }
}

/// Convolutions of width 5 and stride 2; if `plain`, the first has no normalisation.
fn halving(channels: &[i64], plain: bool) -> Vec<ConvLayer> {
    let layers = channels.iter().enumerate();
    layers
        .map(|(number, &channels)| ConvLayer {
            channels,
            kernel: 5,
            stride: 2,
            padding: 2,
            norm: number > 0 || !plain,
            ..ConvLayer::default()
        })
        .collect()
}

impl VaeGanOptions {
    /// Checks every value against the images.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, shape: [i64; 3]) -> Result<()> {
        check_steps("method.discriminator_patience", self.discriminator_patience)?;
        check_size("method.code_dim", self.code_dim, 1)?;
        check_size("method.hidden", self.hidden, 1)?;
        up_net::check_widths("method.decoder_channels", shape, &self.decoder_channels)?;
        for (key, channels) in [
            ("encoder_channels", &self.encoder_channels),
            ("discriminator_channels", &self.discriminator_channels),
        ] {
            check_layers(&format!("method.{key}"), shape, &halving(channels, false))?;
        }
        for (key, value) in [
            ("pixel_deviation", self.pixel_deviation),
            ("gamma", self.gamma),
        ] {
            if !(value.is_finite() && value > 0.0) {
                let found = value.to_string();
                return Err(Error::option(format!("method.{key}"), "above 0", found));
            }
        }
        if let Some(Gate {
            equilibrium,
            margin,
        }) = self.gate
        {
            for (key, value) in [("equilibrium", equilibrium), ("margin", margin)] {
                if !value.is_finite() || value < 0.0 {
                    let key = format!("method.gate.{key}");
                    return Err(Error::option(key, "0 or more", value.to_string()));
                }
            }
        }
        if self.discriminator == DiscriminatorClasses::None
            && self.reconstruction == Measured::Features
        {
            let expected = "\"pixels\" without a discriminator";
            return Err(Error::option("method.reconstruction", expected, "features"));
        }
        self.optimiser.check("method.optimiser")
    }
}

#[derive(Debug)]
struct Encoder {
    maps: ConvNet,
    hidden: Mlp,
    mean: Linear,
    log_variance: Linear,
}

#[derive(Debug)]
struct Discriminator {
    maps: ConvNet,
    hidden: Mlp,
    classes: Linear,
}

impl Discriminator {
    /// Images to feature maps `[batch, values]` and logits `[batch, classes]`.
    fn forward(&self, images: &Tensor) -> (Tensor, Tensor) {
        let maps = self.maps.vectors(images, true);
        let logits = self.classes.forward(&self.hidden.forward(&maps, true));
        (maps, logits)
    }
}

/// The method.
#[derive(Debug)]
pub struct VaeGan {
    options: VaeGanOptions,
    encoder: Trainable,
    decoder: Trainable,
    discriminator: Option<Trainable>,
    e: Encoder,
    g: UpNet,
    d: Option<Discriminator>,
    device: Device,
    bf16: bool,
}

/// Classes of the discriminator.
const REAL: i64 = 0;
const RECONSTRUCTED: i64 = 1;

impl VaeGan {
    /// New networks for images of `[channels, height, width]`.
    pub fn new(options: &VaeGanOptions, shape: [i64; 3], device: Device, bf16: bool) -> Self {
        let (hidden, dim) = (options.hidden, options.code_dim);
        let (encoder, e) = Trainable::new("encoder", device, &options.optimiser, |path: Path| {
            let layers = halving(&options.encoder_channels, false);
            let maps = ConvNet::new(&(&path / "maps"), shape, &layers, Activation::Relu);
            let inputs = maps.output_dim();
            Encoder {
                maps,
                hidden: Mlp::new(&(&path / "hidden"), inputs, &[hidden], 0, Activation::Relu),
                mean: Linear::new(&path / "mean", hidden, dim),
                log_variance: Linear::zeros(&path / "log_variance", hidden, dim),
            }
        });
        let (decoder, g) = Trainable::new("decoder", device, &options.optimiser, |path: Path| {
            UpNet::new(
                &path,
                dim,
                shape,
                &options.decoder_channels,
                Activation::Relu,
            )
        });
        let built = (options.discriminator != DiscriminatorClasses::None).then(|| {
            Trainable::new("discriminator", device, &options.optimiser, |path: Path| {
                let layers = halving(&options.discriminator_channels, true);
                let maps = ConvNet::new(&(&path / "maps"), shape, &layers, Activation::Relu);
                let inputs = maps.output_dim();
                let classes = if options.discriminator == DiscriminatorClasses::ThreeClasses {
                    3
                } else {
                    2
                };
                Discriminator {
                    maps,
                    hidden: Mlp::new(&(&path / "hidden"), inputs, &[hidden], 0, Activation::Relu),
                    classes: Linear::new(&path / "classes", hidden, classes),
                }
            })
        });
        let (discriminator, d) = built.unzip();
        Self {
            options: options.clone(),
            encoder,
            decoder,
            discriminator,
            e,
            g,
            d,
            device,
            bf16,
        }
    }

    /// The options.
    pub fn options(&self) -> &VaeGanOptions {
        &self.options
    }

    /// `q(z | x)`, `[batch, code_dim]`.
    pub fn encode(&self, images: &Tensor, train: bool) -> Gaussian {
        let maps = self.e.maps.vectors(images, train);
        let hidden = self.e.hidden.forward(&maps, train);
        let log_variance = self.e.log_variance.forward(&hidden);
        Gaussian::new(self.e.mean.forward(&hidden), &log_variance)
    }

    /// Codes `[batch, code_dim]` to images in 0..1.
    pub fn decode(&self, codes: &Tensor, train: bool) -> Tensor {
        self.g.forward(codes, train).sigmoid()
    }

    /// `1/2 |x - x~|^2` of pixels over their variance, mean over the batch.
    fn pixel_error(&self, x: &Tensor, reconstruction: &Tensor) -> Tensor {
        half_square(x, reconstruction) / self.options.pixel_deviation.powi(2)
    }

    /// A step without a discriminator.
    fn step_alone(&mut self, x: &Tensor, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        let posterior = self.encode(x, true);
        let divergence = divergence(&posterior);
        let error = self.pixel_error(x, &self.decode(&posterior.draw(true), true));
        scalars.add("encoder/divergence", &divergence);
        scalars.add("decoder/reconstruction", &error);
        update(
            &mut [&mut self.encoder, &mut self.decoder],
            &(divergence + error),
            clock.total,
        )
    }

    /// The losses of encoder, decoder and discriminator.
    fn losses(&self, d: &Discriminator, x: &Tensor, scalars: &mut Scalars) -> [Tensor; 3] {
        let posterior = self.encode(x, true);
        let reconstruction = self.decode(&posterior.draw(true), true);
        let sample = self.decode(&posterior.mean.randn_like(), true);
        let (maps, of_real) = d.forward(x);
        let (maps_made, of_reconstruction) = d.forward(&reconstruction);
        let (_, of_sample) = d.forward(&sample);

        let divergence = divergence(&posterior);
        let error = match self.options.reconstruction {
            Measured::Features => half_square(&maps.detach(), &maps_made),
            Measured::Pixels => self.pixel_error(x, &reconstruction),
        };
        let sampled = of_real.size()[1] - 1;
        let real = class_loss(&of_real, REAL);
        let made = class_loss(&of_reconstruction, RECONSTRUCTED) + class_loss(&of_sample, sampled);
        let fooled = class_loss(&of_reconstruction, REAL) + class_loss(&of_sample, REAL);
        for (name, term) in [
            ("encoder/divergence", &divergence),
            ("decoder/reconstruction", &error),
            ("decoder/fooled", &fooled),
            ("discriminator/real", &real),
            ("discriminator/made", &(&made * 0.5)),
        ] {
            scalars.add(name, term);
        }
        let right = class_accuracy(&of_real, REAL)
            + (class_accuracy(&of_reconstruction, RECONSTRUCTED)
                + class_accuracy(&of_sample, sampled))
                * 0.5;
        scalars.add_discriminator_accuracy(&(right * 0.5), self.options.discriminator_patience);
        [
            divergence + &error,
            error * self.options.gamma + fooled,
            real + made,
        ]
    }
}

/// `1/2 |a - b|^2`, summed over all dimensions but the batch, mean over the batch.
fn half_square(a: &Tensor, b: &Tensor) -> Tensor {
    (a - b).square().sum(Kind::Float) * (0.5 / a.size()[0] as f64)
}

/// Mean over the batch of `KL(N(mean, variance) || N(0, 1))` in nats.
fn divergence(posterior: &Gaussian) -> Tensor {
    posterior.divergence().sum(Kind::Float) / posterior.mean.size()[0] as f64
}

/// Cross-entropy of all rows against one class.
fn class_loss(logits: &Tensor, class: i64) -> Tensor {
    cross_entropy(logits, &same(logits, class), 0.0)
}

fn class_accuracy(logits: &Tensor, class: i64) -> Tensor {
    accuracy(logits, &same(logits, class))
}

fn same(logits: &Tensor, class: i64) -> Tensor {
    Tensor::full([logits.size()[0]], class, (Kind::Int64, logits.device()))
}

impl Gate {
    /// Whether discriminator and decoder are updated, from the discriminator's losses on real and generated images.
    fn open(&self, real: f64, made: f64) -> (bool, bool) {
        let (low, high) = (
            self.equilibrium - self.margin,
            self.equilibrium + self.margin,
        );
        let discriminator = real >= low && made >= low;
        let decoder = real <= high && made <= high;
        match discriminator || decoder {
            true => (discriminator, decoder),
            false => (true, true),
        }
    }
}

impl Method for VaeGan {
    type Batch = ImageBatch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        let discriminator = self.discriminator.iter_mut();
        let mut trainables = vec![&mut self.encoder, &mut self.decoder];
        trainables.extend(discriminator);
        trainables
    }

    fn division(&self) -> Division {
        match self.options.gate {
            Some(_) => Division::None("method.gate"),
            None => Division::Any,
        }
    }

    fn step(&mut self, batch: &ImageBatch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            let x = batch.images.to(self.device);
            let Some(d) = &self.d else {
                return self.step_alone(&x, clock, scalars);
            };
            let [encoder, decoder, discriminator] = self.losses(d, &x, scalars);
            let (discriminator_moves, decoder_moves) = match self.options.gate {
                None => (true, true),
                Some(gate) => {
                    let losses = scalars.read();
                    gate.open(losses["discriminator/real"], losses["discriminator/made"])
                }
            };
            let mut trainables = (
                [&mut self.encoder],
                [&mut self.decoder],
                self.discriminator.iter_mut().collect::<Vec<_>>(),
            );
            let mut groups: Vec<(&mut [&mut Trainable], &Tensor)> =
                vec![(&mut trainables.0, &encoder)];
            if decoder_moves {
                groups.push((&mut trainables.1, &decoder));
            }
            if discriminator_moves {
                groups.push((&mut trainables.2, &discriminator));
            }
            update_each(&mut groups, clock.total)?;
            Ok(())
        })
    }

    /// Mean squared error per pixel of the reconstruction from the posterior's mean, and the divergence.
    fn validate(&self, batch: &ImageBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let x = batch.images.to(self.device);
            let posterior = self.encode(&x, false);
            let error = (self.decode(&posterior.mean, false) - x).square();
            scalars.add("loss", &error.mean(Kind::Float));
            scalars.add("encoder/divergence", &divergence(&posterior));
            Ok(scalars)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_stops_one_network_and_never_both() {
        let gate = Gate::default();
        assert_eq!(gate.open(0.7, 0.6), (true, true));
        assert_eq!(gate.open(0.2, 0.6), (false, true));
        assert_eq!(gate.open(1.2, 0.6), (true, false));
        assert_eq!(gate.open(0.1, 1.5), (true, true));
    }

    #[test]
    fn the_divergence_is_zero_at_the_prior() {
        let zero = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu));
        let at_prior = divergence(&Gaussian::new(zero.shallow_clone(), &zero));
        assert_eq!(at_prior.double_value(&[]), 0.0);
        // Mean 1 in two dimensions: a half of each.
        let off = divergence(&Gaussian::new(&zero + 1.0, &zero));
        assert!((off.double_value(&[]) - 1.0).abs() < 1e-6);
    }

    /// The discriminator's output contributes to the decoder's loss, and not to the encoder's.
    #[test]
    fn no_adversarial_gradient_reaches_the_encoder() {
        let options = VaeGanOptions {
            encoder_channels: vec![4],
            decoder_channels: vec![4],
            discriminator_channels: vec![4],
            hidden: 8,
            ..Default::default()
        };
        let method = VaeGan::new(&options, [1, 8, 8], Device::Cpu, false);
        let x = Tensor::rand([6, 1, 8, 8], (Kind::Float, Device::Cpu));
        let discriminator = method.discriminator.as_ref().unwrap();
        let mut tensors = discriminator.tensors();
        let (_, output) = tensors.find(|(name, _)| name == "classes.weight").unwrap();
        // Whether a loss depends on the discriminator's output layer.
        let depends = |loss: usize| {
            let d = method.d.as_ref().unwrap();
            let losses = method.losses(d, &x, &mut Scalars::default());
            let gradients = Tensor::run_backward(&[&losses[loss]], &[output], false, false);
            gradients[0].defined()
        };
        assert_eq!([0, 1, 2].map(depends), [false, true, true]);
    }
}
