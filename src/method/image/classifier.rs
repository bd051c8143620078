//! A classifier of images trained on labels only: the baseline of domain adaptation and of semi-supervised training, and
//! the network whose features are used to score generated images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::dataset::image_batch::ImageBatch;
use crate::error::Result;
use crate::nn::image::{Extractor, Head, ImageClassifierOptions};
use crate::nn::layer::bf16_autocast;
use crate::objective::classification::{accuracy, cross_entropy};
use crate::train::{Clock, Method, OptimiserOptions, Scalars, Trainable, update};

/// The network and its optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct ClassifierMethodOptions {
    /// The network.
    pub network: ImageClassifierOptions,
    /// The optimiser.
    pub optimiser: OptimiserOptions,
}

impl ClassifierMethodOptions {
    /// Checks every value against the images.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(&self, shape: [i64; 3]) -> Result<()> {
        self.network.check("method.network", shape)?;
        self.optimiser.check("method.optimiser")
    }
}

/// The method.
#[derive(Debug)]
pub struct ImageClassifier {
    trainable: Trainable,
    extractor: Extractor,
    head: Head,
    device: Device,
    bf16: bool,
}

impl ImageClassifier {
    /// A new network for images of `[channels, height, width]`.
    pub fn new(
        options: &ClassifierMethodOptions,
        (shape, classes): ([i64; 3], i64),
        device: Device,
        bf16: bool,
    ) -> Self {
        let (trainable, (extractor, head)) =
            Trainable::new("classifier", device, &options.optimiser, |path| {
                let extractor = Extractor::new(&(&path / "extractor"), shape, &options.network);
                let hidden = &options.network.hidden;
                let head = Head::new(&(&path / "head"), extractor.dims(), hidden, classes);
                (extractor, head)
            });
        Self {
            trainable,
            extractor,
            head,
            device,
            bf16,
        }
    }

    /// Images to logits `[batch, classes]`.
    pub fn classify(&self, images: &Tensor, train: bool) -> Tensor {
        self.head
            .forward(&self.extractor.forward(images, train), train)
    }

    /// The features before the output layer, `[batch, last hidden width]`.
    pub fn features(&self, images: &Tensor) -> Tensor {
        self.head
            .features(&self.extractor.forward(images, false), false)
    }

    fn terms(&self, batch: &ImageBatch, train: bool, scalars: &mut Scalars) -> Tensor {
        let batch = batch.to(self.device);
        let logits = self.classify(&batch.images, train);
        let loss = cross_entropy(&logits, &batch.labels, 0.0);
        scalars.add("loss", &loss);
        scalars.add("label/accuracy", &accuracy(&logits, &batch.labels));
        loss
    }
}

impl Method for ImageClassifier {
    type Batch = ImageBatch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        vec![&mut self.trainable]
    }

    fn step(&mut self, batch: &ImageBatch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            let loss = self.terms(batch, true, scalars);
            update(&mut [&mut self.trainable], &loss, clock.total)?;
            Ok(())
        })
    }

    fn validate(&self, batch: &ImageBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let _ = self.terms(batch, false, &mut scalars);
            Ok(scalars)
        })
    }
}
