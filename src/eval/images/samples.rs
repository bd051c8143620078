//! The distance of generated images to real ones, by the features of a small classifier that the toolkit trained: Fréchet
//! distance and kernel distance. Not comparable with values from an Inception network.

use tch::{Device, Tensor};

use super::forward::{classes_of, numbers, of_images};
use super::frechet::{Moments, frechet_distance};
use super::kid::{KidOptions, kid};
use crate::dataset::images::Images;
use crate::error::{Error, Result};
use crate::eval::score::Score;
use crate::method::image::classifier::ImageClassifier;

/// Images per set.
pub const SAMPLES: usize = 10_000;
/// Images per batch of the classifier.
const BATCH: i64 = 500;

/// The classifier whose features are compared, and the moments of real images.
#[derive(Debug)]
pub struct SampleEvaluator<'a> {
    classifier: &'a ImageClassifier,
    real: ndarray::Array2<f64>,
    moments: Moments,
    /// The distance of real training images: a lower bound for generated images.
    lower_bound: f64,
    device: Device,
}

impl<'a> SampleEvaluator<'a> {
    /// Compares with `test`; `train` gives the lower bound.
    ///
    /// # Errors
    /// [`Error::Torch`], and as [`Moments::of`].
    pub fn new(
        classifier: &'a ImageClassifier,
        (train, test): (&Images, &Images),
        device: Device,
    ) -> Result<Self> {
        let features = |images: &Images| -> Result<_> {
            let of = of_images(images, device, |batch| classifier.features(batch));
            Ok(numbers(&of)?.mapv(f64::from))
        };
        let real = features(test)?;
        let moments = Moments::of(&real)?;
        let some: Vec<usize> = (0..train.len().min(SAMPLES)).collect();
        let lower_bound =
            frechet_distance(&Moments::of(&features(&train.select(&some))?)?, &moments)?;
        Ok(Self {
            classifier,
            real,
            moments,
            lower_bound,
            device,
        })
    }

    /// Frechet and kernel distance of images `[images, channels, height, width]` in 0..1.
    ///
    /// # Errors
    /// [`Error::Torch`], and errors of the distances.
    pub fn scores(&self, set: &str, name: &str, made: &Tensor) -> Result<Vec<Score>> {
        let features = self.through(made, |batch| self.classifier.features(batch));
        let features = numbers(&features)?.mapv(f64::from);
        let frechet = frechet_distance(&Moments::of(&features)?, &self.moments)?;
        let options = KidOptions::default();
        let size = options.size.min(features.nrows()).min(self.real.nrows());
        let kernel = kid(&self.real, &features, KidOptions { size, ..options })?;
        Ok(vec![
            Score::new(set, format!("Frechet-LeNet, {name}"), frechet)
                .beside("train against test", self.lower_bound),
            Score::new(set, format!("kernel distance, {name}"), kernel.mean)
                .beside("deviation", kernel.deviation),
        ])
    }

    /// Share of images that the classifier assigns to `classes`.
    ///
    /// # Errors
    /// [`Error::Torch`].
    pub fn agreement(&self, made: &Tensor, classes: &[usize]) -> Result<f64> {
        let logits = self.through(made, |batch| self.classifier.classify(batch, false));
        let named = classes_of(&logits)?;
        let right = named.iter().zip(classes).filter(|(a, b)| a == b).count();
        match classes.len() {
            0 => Err(Error::option("generated images", "at least one", "none")),
            count => Ok(right as f64 / count as f64),
        }
    }

    fn through(&self, images: &Tensor, network: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let parts: Vec<Tensor> = images
            .split(BATCH, 0)
            .iter()
            .map(|batch| tch::no_grad(|| network(&batch.to(self.device))).to(Device::Cpu))
            .collect();
        Tensor::cat(&parts, 0)
    }
}
