//! InfoGAN (Chen, Duan, Houthooft, Schulman, Sutskever and Abbeel 2016): from a generated image, a second head of the
//! discriminator predicts the latent code that it was generated from.
//!
//! With `z` noise, `c` a category and a few continuous codes, `D` and `Q` on one backbone:
//!
//! ```text
//! L_I = E log Q(c | G(z, c)) + H(c)                      a lower bound on I(c; G(z, c))      (the paper's eq. 5)
//! D and Q minimise  -log D(x) - log(1 - D(G(z, c))) - L_I
//! G minimises       -log D(G(z, c)) - L_I                                                      (eq. 6, both)
//! ```
//!
//! `D` and `Q` are one trainable module, so that their common backbone has one optimiser.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::nn::Path;
use tch::{Device, Kind, Tensor};

use super::discriminator::{DISCRIMINATOR_PATIENCE, discriminator_accuracy, gan_optimiser};
use crate::dataset::image_batch::ImageBatch;
use crate::error::{Error, Result};
use crate::nn::check_size;
use crate::nn::image::{Activation, ConvLayer, ConvNet, Mlp, UpNet, mlp::uniform, one_hot, up_net};
use crate::nn::layer::{Linear, bf16_autocast};
use crate::objective::adversarial::GanLoss;
use crate::objective::classification::{accuracy, cross_entropy};
use crate::train::schedule::check_steps;
use crate::train::{Clock, Division, Method, OptimiserOptions, Scalars, Trainable, update};

/// Latent codes, networks and weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InfoGanOptions {
    /// End the run with an error once the discriminator has been right on every item for this many steps, because the
    /// generator then gets no gradient. Checked at each log line. 0 never ends it.
    pub discriminator_patience: u64,
    /// Dimensions of the noise, uniform in -1..1.
    pub noise: i64,
    /// Number of values of the categorical code.
    pub categories: i64,
    /// Number of continuous codes, uniform in -1..1.
    pub continuous: i64,
    /// Feature maps per layer of the generator, from the smallest image to the largest. The discriminator has them in
    /// reverse order.
    pub channels: Vec<i64>,
    /// Width of the fully connected layer of generator and discriminator.
    pub hidden: i64,
    /// Width of the hidden layer of Q, the network that predicts the codes.
    pub code_hidden: i64,
    /// Loss of generator and discriminator.
    pub loss: GanLoss,
    /// Weight of the categorical code in the information loss.
    pub category_weight: f64,
    /// Weight of the continuous codes in the information loss.
    pub continuous_weight: f64,
    /// Optimiser of the generator.
    #[serde(deserialize_with = "own_generator_optimiser")]
    pub generator_optimiser: OptimiserOptions,
    /// Optimiser of discriminator and Q.
    #[serde(deserialize_with = "own_discriminator_optimiser")]
    pub discriminator_optimiser: OptimiserOptions,
}

fn own_generator_optimiser<'de, D: Deserializer<'de>>(
    written: D,
) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(InfoGanOptions::default().generator_optimiser, written)
}

fn own_discriminator_optimiser<'de, D: Deserializer<'de>>(
    written: D,
) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(InfoGanOptions::default().discriminator_optimiser, written)
}

impl Default for InfoGanOptions {
    fn default() -> Self {
        Self {
            discriminator_patience: DISCRIMINATOR_PATIENCE,
            noise: 62,
            categories: 10,
            continuous: 2,
            channels: vec![128, 64],
            hidden: 1024,
            code_hidden: 128,
            loss: GanLoss::Vanilla,
            category_weight: 1.0,
            continuous_weight: 1.0,
            generator_optimiser: gan_optimiser(1e-3),
            discriminator_optimiser: gan_optimiser(2e-4),
        }
    }
}

impl InfoGanOptions {
    /// Checks every value against the images.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, shape: [i64; 3]) -> Result<()> {
        check_steps("method.discriminator_patience", self.discriminator_patience)?;
        for (key, value, least) in [
            ("noise", self.noise, 0),
            ("categories", self.categories, 2),
            ("continuous", self.continuous, 0),
            ("hidden", self.hidden, 1),
            ("code_hidden", self.code_hidden, 1),
        ] {
            check_size(format!("method.{key}"), value, least)?;
        }
        up_net::check_widths("method.channels", shape, &self.channels)?;
        for (key, weight) in [
            ("category_weight", self.category_weight),
            ("continuous_weight", self.continuous_weight),
        ] {
            if !weight.is_finite() || weight < 0.0 {
                let found = weight.to_string();
                return Err(Error::option(format!("method.{key}"), "0 or more", found));
            }
        }
        self.generator_optimiser
            .check("method.generator_optimiser")?;
        self.discriminator_optimiser
            .check("method.discriminator_optimiser")
    }

    fn latent_dim(&self) -> i64 {
        self.noise + self.categories + self.continuous
    }
}

/// The latent vector of an image.
#[derive(Debug)]
pub struct Latent {
    /// `[batch, noise]`.
    pub noise: Tensor,
    /// `[batch]`.
    pub categories: Tensor,
    /// `[batch, continuous]`.
    pub continuous: Tensor,
}

/// `G`: a hidden layer, then upsampling layers.
#[derive(Debug)]
struct Generator {
    hidden: Mlp,
    images: UpNet,
}

/// The backbone of `D` and `Q`, and their heads.
#[derive(Debug)]
struct Discriminator {
    maps: ConvNet,
    hidden: Mlp,
    score: Linear,
    code_hidden: Mlp,
    code: Linear,
}

/// The output of discriminator and `Q` for images.
#[derive(Debug)]
pub struct Answer {
    /// `D` before its sigmoid, `[batch, 1]`.
    pub score: Tensor,
    /// `Q` of the category, logits `[batch, categories]`.
    pub category: Tensor,
    /// `Q`'s means of the continuous codes, `[batch, continuous]`.
    pub continuous: Tensor,
}

/// The method.
#[derive(Debug)]
pub struct InfoGan {
    options: InfoGanOptions,
    generator: Trainable,
    discriminator: Trainable,
    g: Generator,
    d: Discriminator,
    device: Device,
    bf16: bool,
}

impl InfoGan {
    /// New networks for images of `[channels, height, width]`.
    pub fn new(options: &InfoGanOptions, shape: [i64; 3], device: Device, bf16: bool) -> Self {
        let (mut generator, g) = Trainable::new(
            "generator",
            device,
            &options.generator_optimiser,
            |path: Path| Generator {
                hidden: Mlp::new(
                    &(&path / "hidden"),
                    options.latent_dim(),
                    &[options.hidden],
                    0,
                    Activation::Relu,
                ),
                images: UpNet::new(
                    &(&path / "images"),
                    options.hidden,
                    shape,
                    &options.channels,
                    Activation::Relu,
                ),
            },
        );
        let (mut discriminator, d) = Trainable::new(
            "discriminator",
            device,
            &options.discriminator_optimiser,
            |path: Path| Discriminator::new(&path, options, shape),
        );
        generator.reinit_normal(0.02);
        discriminator.reinit_normal(0.02);
        Self {
            options: options.clone(),
            generator,
            discriminator,
            g,
            d,
            device,
            bf16,
        }
    }

    /// The options.
    pub fn options(&self) -> &InfoGanOptions {
        &self.options
    }

    /// Draws the latent vectors of `batch` images.
    pub fn draw(&self, batch: i64) -> Latent {
        let o = &self.options;
        Latent {
            noise: uniform(batch, o.noise, self.device),
            categories: Tensor::randint(o.categories, [batch], (Kind::Int64, self.device)),
            continuous: uniform(batch, o.continuous, self.device),
        }
    }

    /// Images `[batch, channels, height, width]` in 0..1.
    pub fn generate(&self, latent: &Latent, train: bool) -> Tensor {
        let category = one_hot(&latent.categories, self.options.categories);
        let code = Tensor::cat(&[&latent.noise, &category, &latent.continuous], 1);
        let hidden = self.g.hidden.forward(&code, train);
        self.g.images.forward(&hidden, train).sigmoid()
    }

    /// Outputs of discriminator and `Q` for images.
    pub fn discriminate(&self, images: &Tensor, train: bool) -> Answer {
        self.d.forward(images, self.options.categories, train)
    }

    /// The codes that `Q` predicts from images: probabilities of the categories and means of the continuous codes,
    /// `[batch, categories + continuous]`.
    pub fn encode(&self, images: &Tensor) -> Tensor {
        let answer = self.discriminate(images, false);
        let category = answer.category.softmax(1, Kind::Float);
        Tensor::cat(&[category, answer.continuous], 1)
    }

    /// The category's cross-entropy `H(c) - I`, and the continuous codes' negative log-likelihood under Gaussians of
    /// deviation 1, in nats and without its constant.
    fn code_losses(&self, answer: &Answer, latent: &Latent) -> (Tensor, Tensor) {
        let category = cross_entropy(&answer.category, &latent.categories, 0.0);
        let gaps = (&answer.continuous - &latent.continuous).square() * 0.5;
        let each = gaps.sum_dim_intlist(&[1i64][..], false, Kind::Float);
        (category, each.mean(Kind::Float))
    }

    /// `-L_I` without the entropies, which are constant.
    fn information_loss(&self, answer: &Answer, latent: &Latent, scalars: &mut Scalars) -> Tensor {
        let (category, continuous) = self.code_losses(answer, latent);
        let entropy = (self.options.categories as f64).ln();
        scalars.add("information/category", &(-&category + entropy));
        scalars.add("information/continuous", &-&continuous);
        category * self.options.category_weight + continuous * self.options.continuous_weight
    }
}

impl Discriminator {
    fn new(path: &Path, options: &InfoGanOptions, shape: [i64; 3]) -> Self {
        let widths = options.channels.iter().rev().enumerate();
        let layers: Vec<ConvLayer> = widths
            .map(|(number, &width)| ConvLayer::halving(width, number > 0))
            .collect();
        let leaky = Activation::Leaky(0.1);
        let maps = ConvNet::new(&(path / "maps"), shape, &layers, leaky);
        let hidden = Mlp::new(
            &(path / "hidden"),
            maps.output_dim(),
            &[options.hidden],
            0,
            leaky,
        );
        let (read, own) = (options.hidden, options.code_hidden);
        Self {
            maps,
            hidden,
            score: Linear::new(path / "score", read, 1),
            code_hidden: Mlp::new(&(path / "code_hidden"), read, &[own], 0, leaky),
            code: Linear::new(path / "code", own, options.categories + options.continuous),
        }
    }

    fn forward(&self, images: &Tensor, categories: i64, train: bool) -> Answer {
        let read = self
            .hidden
            .forward(&self.maps.vectors(images, train), train);
        let code = self.code.forward(&self.code_hidden.forward(&read, train));
        Answer {
            score: self.score.forward(&read),
            category: code.narrow(1, 0, categories),
            continuous: code.narrow(1, categories, code.size()[1] - categories),
        }
    }
}

impl Method for InfoGan {
    type Batch = ImageBatch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        vec![&mut self.generator, &mut self.discriminator]
    }

    fn division(&self) -> Division {
        Division::Ranks
    }

    fn step(&mut self, batch: &ImageBatch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            let real = batch.images.to(self.device);
            let latent = self.draw(real.size()[0]);
            let made = self.generate(&latent, true);

            let of_real = self.discriminate(&real, true).score;
            let answer = self.discriminate(&made.detach(), true);
            let loss = self.options.loss.discriminator(&of_real, &answer.score);
            scalars.add("discriminator/loss", &loss);
            let right = discriminator_accuracy(&of_real, &answer.score);
            scalars.add_discriminator_accuracy(&right, self.options.discriminator_patience);
            let loss = loss + self.information_loss(&answer, &latent, scalars);
            update(&mut [&mut self.discriminator], &loss, clock.total)?;

            let answer = self.discriminate(&made, true);
            let loss = self.options.loss.generator(&answer.score);
            scalars.add("generator/loss", &loss);
            let loss = loss + self.information_loss(&answer, &latent, scalars);
            update(&mut [&mut self.generator], &loss, clock.total)?;
            Ok(())
        })
    }

    /// Losses on newly generated images, and the discriminator's accuracy on real and generated ones.
    fn validate(&self, batch: &ImageBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let real = batch.images.to(self.device);
            let latent = self.draw(real.size()[0]);
            let answer = self.discriminate(&self.generate(&latent, false), false);
            let of_real = self.discriminate(&real, false).score;
            let right = discriminator_accuracy(&of_real, &answer.score);
            scalars.add_discriminator_accuracy(&right, self.options.discriminator_patience);
            let loss = self.information_loss(&answer, &latent, &mut scalars);
            scalars.add("loss", &loss);
            let right = accuracy(&answer.category, &latent.categories);
            scalars.add("category/accuracy", &right);
            Ok(scalars)
        })
    }
}
