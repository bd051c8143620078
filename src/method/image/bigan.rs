//! BiGAN (Donahue, Krähenbühl and Darrell 2017; ALI, Dumoulin et al. 2017): an encoder and a generator that are never
//! connected, both trained against a discriminator of (image, code) pairs.
//!
//! With `E: x -> z`, `G: z -> x` and `D` of pairs, all from one forward pass:
//!
//! ```text
//! D          -log D(x, E(x)) - log(1 - D(G(z), z))
//! E and G    -log D(G(z), z) - log(1 - D(x, E(x)))        with exchanged labels, for both pairs
//! ```
//!
//! At the optimum `G` inverts `E`, although there is no reconstruction loss; [`crate::eval::images`] measures how well. `E`
//! and `D` read the image as a vector; `D` reads the code at each layer.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::nn::Path;
use tch::{Device, Kind, Tensor};

use super::discriminator::{DISCRIMINATOR_PATIENCE, discriminator_accuracy, gan_optimiser};
use crate::dataset::image_batch::ImageBatch;
use crate::error::Result;
use crate::nn::check_size;
use crate::nn::image::{Activation, ConditionedMlp, Mlp, mlp::uniform};
use crate::nn::layer::{Linear, bf16_autocast};
use crate::objective::adversarial::GanLoss;
use crate::train::schedule::{Decay, Schedule, check_steps};
use crate::train::{Clock, Method, OptimiserOptions, Scalars, Trainable, update_each};

/// Networks and the optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BiGanOptions {
    /// End the run with an error once the discriminator has been right on every item for this many steps, because the
    /// generator then gets no gradient. Checked at each log line. 0 never ends it.
    pub discriminator_patience: u64,
    /// Encoder and generator.
    pub coder: CoderOptions,
    /// Widths of the discriminator's hidden layers.
    pub discriminator_widths: Vec<i64>,
    /// Loss of the discriminator, and of encoder and generator.
    pub loss: GanLoss,
    /// Optimiser of all networks.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(BiGanOptions::default().optimiser, written)
}

impl Default for BiGanOptions {
    fn default() -> Self {
        Self {
            discriminator_patience: DISCRIMINATOR_PATIENCE,
            coder: CoderOptions::default(),
            discriminator_widths: vec![1024, 1024],
            loss: GanLoss::Vanilla,
            optimiser: OptimiserOptions {
                weight_decay: 2.5e-5,
                schedule: Schedule {
                    decay: Decay::LinearSecondHalf,
                    final_ratio: 0.01,
                    ..Schedule::default()
                },
                ..gan_optimiser(2e-4)
            },
        }
    }
}

impl BiGanOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        check_steps("method.discriminator_patience", self.discriminator_patience)?;
        self.coder.check()?;
        check_widths("method.discriminator_widths", &self.discriminator_widths)?;
        self.optimiser.check("method.optimiser")
    }
}

/// Encoder and generator, fully connected; the generator has the widths in reverse order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CoderOptions {
    /// Dimensions of the code, each in -1..1.
    pub code_dim: i64,
    /// Widths of the encoder's hidden layers.
    pub widths: Vec<i64>,
}

impl Default for CoderOptions {
    fn default() -> Self {
        Self {
            code_dim: 50,
            widths: vec![1024, 1024],
        }
    }
}

impl CoderOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        check_size("method.coder.code_dim", self.code_dim, 1)?;
        check_widths("method.coder.widths", &self.widths)
    }
}

fn check_widths(name: &str, widths: &[i64]) -> Result<()> {
    let mut numbered = widths.iter().enumerate();
    numbered.try_for_each(|(number, &width)| check_size(format!("{name}.{number}"), width, 1))
}

/// A fully connected network: `E` or `G`.
#[derive(Debug)]
struct Coder {
    hidden: Mlp,
    output: Linear,
}

impl Coder {
    fn new(path: &Path, inputs: i64, widths: &[i64], outputs: i64, leak: Activation) -> Self {
        let last = widths.last().copied().unwrap_or(inputs);
        Self {
            hidden: Mlp::new(&(path / "hidden"), inputs, widths, 1, leak),
            output: Linear::new(path / "output", last, outputs),
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        self.output.forward(&self.hidden.forward(x, train))
    }
}

/// The encoder and the generator as trainable modules.
#[derive(Debug)]
pub struct Coders {
    shape: [i64; 3],
    code_dim: i64,
    e: Coder,
    g: Coder,
    /// The encoder's trainable module.
    pub encoder: Trainable,
    /// The generator's trainable module.
    pub generator: Trainable,
}

impl Coders {
    /// New networks for images of `[channels, height, width]`.
    pub fn new(
        options: &CoderOptions,
        optimiser: &OptimiserOptions,
        shape: [i64; 3],
        device: Device,
    ) -> Self {
        let (pixels, dim) = (shape.iter().product(), options.code_dim);
        let (mut encoder, e) = Trainable::new("encoder", device, optimiser, |path: Path| {
            Coder::new(&path, pixels, &options.widths, dim, Activation::Leaky(0.2))
        });
        let (mut generator, g) = Trainable::new("generator", device, optimiser, |path: Path| {
            let widths: Vec<i64> = options.widths.iter().rev().copied().collect();
            Coder::new(&path, dim, &widths, pixels, Activation::Relu)
        });
        encoder.reinit_normal(0.02);
        generator.reinit_normal(0.02);
        Self {
            shape,
            code_dim: dim,
            e,
            g,
            encoder,
            generator,
        }
    }

    /// Images to codes `[batch, code_dim]`.
    pub fn encode(&self, images: &Tensor, train: bool) -> Tensor {
        self.e.forward(&(images.flatten(1, -1) * 2.0 - 1.0), train)
    }

    /// Codes to images in 0..1.
    pub fn decode(&self, codes: &Tensor, train: bool) -> Tensor {
        let [channels, height, width] = self.shape;
        let pixels = self.g.forward(codes, train).sigmoid();
        pixels.reshape([-1, channels, height, width])
    }

    /// Draws `batch` codes, uniform in -1..1.
    pub fn draw(&self, batch: i64) -> Tensor {
        uniform(batch, self.code_dim, self.encoder.flat().device())
    }
}

/// The method.
#[derive(Debug)]
pub struct BiGan {
    options: BiGanOptions,
    coders: Coders,
    discriminator: Trainable,
    d: ConditionedMlp,
    device: Device,
    bf16: bool,
}

impl BiGan {
    /// New networks for images of `[channels, height, width]`.
    pub fn new(options: &BiGanOptions, shape: [i64; 3], device: Device, bf16: bool) -> Self {
        let coders = Coders::new(&options.coder, &options.optimiser, shape, device);
        let sizes = (shape.iter().product(), options.coder.code_dim, 1);
        let (mut discriminator, d) =
            Trainable::new("discriminator", device, &options.optimiser, |path: Path| {
                let leaky = Activation::Leaky(0.2);
                ConditionedMlp::new(&path, sizes, &options.discriminator_widths, false, leaky)
            });
        discriminator.reinit_normal(0.02);
        Self {
            options: options.clone(),
            coders,
            discriminator,
            d,
            device,
            bf16,
        }
    }

    /// Encoder and generator.
    pub fn coders(&self) -> &Coders {
        &self.coders
    }

    /// Scores of real images with their codes and of codes with their images, each `[batch, 1]`.
    fn scores(&self, x: &Tensor, train: bool) -> (Tensor, Tensor) {
        let z = self.coders.draw(x.size()[0]);
        let (codes, made) = (self.coders.encode(x, train), self.coders.decode(&z, train));
        let pair = |images: &Tensor, codes: &Tensor| {
            let pixels = images.flatten(1, -1) * 2.0 - 1.0;
            self.d.forward(&pixels, codes, train)
        };
        (pair(x, &codes), pair(&made, &z))
    }
}

impl Method for BiGan {
    type Batch = ImageBatch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        vec![
            &mut self.coders.encoder,
            &mut self.coders.generator,
            &mut self.discriminator,
        ]
    }

    fn step(&mut self, batch: &ImageBatch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            let x = batch.images.to(self.device);
            let (encoded, generated) = self.scores(&x, true);
            let discriminator = self.options.loss.discriminator(&encoded, &generated);
            let coders = self.options.loss.discriminator(&generated, &encoded);
            scalars.add("discriminator/loss", &discriminator);
            scalars.add("coders/loss", &coders);
            let right = discriminator_accuracy(&encoded, &generated);
            scalars.add_discriminator_accuracy(&right, self.options.discriminator_patience);
            update_each(
                &mut [
                    (
                        &mut [&mut self.coders.encoder, &mut self.coders.generator],
                        &coders,
                    ),
                    (&mut [&mut self.discriminator], &discriminator),
                ],
                clock.total,
            )?;
            Ok(())
        })
    }

    /// The discriminator's accuracy, and the reconstruction error per pixel, which no training loss contains.
    fn validate(&self, batch: &ImageBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let x = batch.images.to(self.device);
            let (encoded, generated) = self.scores(&x, false);
            let right = discriminator_accuracy(&encoded, &generated);
            scalars.add_discriminator_accuracy(&right, self.options.discriminator_patience);
            let again = self.coders.decode(&self.coders.encode(&x, false), false);
            scalars.add("loss", &(again - x).abs().mean(Kind::Float));
            Ok(scalars)
        })
    }
}
