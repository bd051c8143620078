//! The baseline of BiGAN: its encoder and generator as an autoencoder, trained on the reconstruction error per pixel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::bigan::{CoderOptions, Coders};
use crate::dataset::image_batch::ImageBatch;
use crate::error::Result;
use crate::nn::layer::bf16_autocast;
use crate::train::{Clock, Method, OptimiserOptions, Scalars, Trainable, update};

/// Networks and the optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct AutoencoderOptions {
    /// Encoder and generator (decoder).
    pub coder: CoderOptions,
    /// Optimiser of both.
    pub optimiser: OptimiserOptions,
}

impl AutoencoderOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        self.coder.check()?;
        self.optimiser.check("method.optimiser")
    }
}

/// The method.
#[derive(Debug)]
pub struct Autoencoder {
    coders: Coders,
    device: Device,
    bf16: bool,
}

impl Autoencoder {
    /// New networks for images of `[channels, height, width]`.
    pub fn new(options: &AutoencoderOptions, shape: [i64; 3], device: Device, bf16: bool) -> Self {
        Self {
            coders: Coders::new(&options.coder, &options.optimiser, shape, device),
            device,
            bf16,
        }
    }

    /// Encoder and generator.
    pub fn coders(&self) -> &Coders {
        &self.coders
    }

    fn error(&self, x: &Tensor, train: bool) -> Tensor {
        let again = self.coders.decode(&self.coders.encode(x, train), train);
        (again - x).square().mean(Kind::Float)
    }
}

impl Method for Autoencoder {
    type Batch = ImageBatch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        vec![&mut self.coders.encoder, &mut self.coders.generator]
    }

    fn step(&mut self, batch: &ImageBatch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            let loss = self.error(&batch.images.to(self.device), true);
            scalars.add("loss", &loss);
            let Coders {
                encoder, generator, ..
            } = &mut self.coders;
            update(&mut [encoder, generator], &loss, clock.total)?;
            Ok(())
        })
    }

    fn validate(&self, batch: &ImageBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let loss = self.error(&batch.images.to(self.device), false);
            scalars.add("loss", &loss);
            Ok(scalars)
        })
    }
}
