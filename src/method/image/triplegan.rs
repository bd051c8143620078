//! Triple GAN (Li, Xu, Zhu and Zhang 2017): a classifier, a class-conditional generator and a discriminator of (image, class)
//! pairs, for few labels and many images without.
//!
//! With `C` the classifier, `G` the generator, `D` of pairs, `x_l, y_l` labelled and `x_u` unlabelled images. With the class
//! that `C` predicts, one half of `x_u` counts as real pairs, the other half `x_u'` as generated pairs:
//!
//! ```text
//! D   -log D(x_l, y_l), D(x_u, C(x_u))  -  1/2 log(1 - D(G(z, y), y))  -  1/2 log(1 - D(x_u', C(x_u')))
//! G   -1/2 log D(G(z, y), y)
//! C   CE(C(x_l), y_l) + h H(C(x_u)) + b KL(uniform || mean C(x_u))
//!     + 1/2 sum_y C(x_u)_y * -log D(x_u, y)                               C's adversarial loss
//!     + g CE(C(G(z, y)), y)                                               generated pairs, after a warm-up
//! ```
//!
//! `D`, `G` and `C` are updated one after another, `D` and `G` by option several times; at first `C` is trained alone. Its
//! adversarial loss is an expectation over classes, as in the paper; the authors' program uses the most probable class. The
//! baseline is [`super::classifier`]: the same network on the same labels only.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::nn::Path;
use tch::{Device, Kind, Tensor};

use super::discriminator::{DISCRIMINATOR_PATIENCE, discriminator_accuracy, gan_optimiser};
use crate::dataset::image_batch::ImageBatch;
use crate::dataset::labels::NO_LABEL;
use crate::error::{Error, Result};
use crate::nn::check_size;
use crate::nn::image::{
    Activation, ConditionedMlp, Extractor, Head, ImageClassifierOptions, one_hot,
};
use crate::nn::layer::bf16_autocast;
use crate::objective::classification::{accuracy, cross_entropy};
use crate::objective::information::{class_balance, entropy};
use crate::train::schedule::check_steps;
use crate::train::{Clock, Division, Method, OptimiserOptions, Scalars, Trainable, update};

/// Networks, schedule and weights of the losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TripleGanOptions {
    /// End the run with an error once the discriminator has been right on every item for this many steps, because the
    /// generator then gets no gradient. Checked at each log line. 0 never ends it.
    pub discriminator_patience: u64,
    /// The classifier.
    pub classifier: ImageClassifierOptions,
    /// Dimensions of the generator's noise.
    pub noise: i64,
    /// Widths of the generator's hidden layers.
    pub generator_widths: Vec<i64>,
    /// Widths of the discriminator's hidden layers.
    pub discriminator_widths: Vec<i64>,
    /// Standard deviation of Gaussian noise added to the discriminator's input, and to its hidden layers.
    pub discriminator_noise: (f64, f64),
    /// Number of first steps in which only the classifier is trained, without its adversarial loss.
    pub pretrain_steps: u64,
    /// First step that trains the classifier on generated images.
    pub pairs_after: u64,
    /// Steps of discriminator and generator per step of the classifier.
    pub gan_steps: i64,
    /// Weight of the entropy of the classifier's output on unlabelled images; it makes predictions confident.
    pub entropy_weight: f64,
    /// Weight of the balance of classes over a batch; it makes predictions use all classes equally.
    pub balance_weight: f64,
    /// Weight of the classifier's adversarial loss.
    pub gan_weight: f64,
    /// Weight of the classifier's loss on generated images.
    pub pairs_weight: f64,
    /// Optimiser of the classifier.
    #[serde(deserialize_with = "own_classifier_optimiser")]
    pub classifier_optimiser: OptimiserOptions,
    /// Optimiser of generator and discriminator.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_classifier_optimiser<'de, D: Deserializer<'de>>(
    written: D,
) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(TripleGanOptions::default().classifier_optimiser, written)
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(TripleGanOptions::default().optimiser, written)
}

impl Default for TripleGanOptions {
    fn default() -> Self {
        let adam = gan_optimiser(3e-4);
        Self {
            discriminator_patience: DISCRIMINATOR_PATIENCE,
            classifier: ImageClassifierOptions::default(),
            noise: 100,
            generator_widths: vec![500, 500],
            discriminator_widths: vec![1000, 500, 250, 250, 250],
            discriminator_noise: (0.3, 0.5),
            pretrain_steps: 1000,
            pairs_after: 2000,
            gan_steps: 1,
            entropy_weight: 0.3,
            balance_weight: 1e-3,
            gan_weight: 0.5,
            pairs_weight: 0.1,
            classifier_optimiser: OptimiserOptions {
                weight_decay: 1e-4,
                ema_decay: 0.99,
                ..adam.clone()
            },
            optimiser: adam,
        }
    }
}

impl TripleGanOptions {
    /// Checks every value against the images.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, shape: [i64; 3]) -> Result<()> {
        check_steps("method.discriminator_patience", self.discriminator_patience)?;
        self.classifier.check("method.classifier", shape)?;
        check_size("method.noise", self.noise, 1)?;
        check_size("method.gan_steps", self.gan_steps, 1)?;
        check_steps("method.pretrain_steps", self.pretrain_steps)?;
        check_steps("method.pairs_after", self.pairs_after)?;
        for (key, widths) in [
            ("generator_widths", &self.generator_widths),
            ("discriminator_widths", &self.discriminator_widths),
        ] {
            for (number, &width) in widths.iter().enumerate() {
                check_size(format!("method.{key}.{number}"), width, 1)?;
            }
        }
        for (key, value) in [
            ("discriminator_noise", self.discriminator_noise.0),
            ("discriminator_noise", self.discriminator_noise.1),
            ("entropy_weight", self.entropy_weight),
            ("balance_weight", self.balance_weight),
            ("gan_weight", self.gan_weight),
            ("pairs_weight", self.pairs_weight),
        ] {
            if !value.is_finite() || value < 0.0 {
                let found = value.to_string();
                return Err(Error::option(format!("method.{key}"), "0 or more", found));
            }
        }
        self.classifier_optimiser
            .check("method.classifier_optimiser")?;
        self.optimiser.check("method.optimiser")
    }
}

/// Images with their classes, one of `[batch, channels, height, width]` and `[batch]`.
type Pairs = (Tensor, Tensor);

/// The method.
#[derive(Debug)]
pub struct TripleGan {
    options: TripleGanOptions,
    classifier: Trainable,
    generator: Trainable,
    discriminator: Trainable,
    extractor: Extractor,
    head: Head,
    g: ConditionedMlp,
    d: ConditionedMlp,
    shape: [i64; 3],
    classes: i64,
    device: Device,
    bf16: bool,
}

impl TripleGan {
    /// New networks for images of `[channels, height, width]` and `classes`.
    pub fn new(
        options: &TripleGanOptions,
        (shape, classes): ([i64; 3], i64),
        device: Device,
        bf16: bool,
    ) -> Self {
        let pixels: i64 = shape.iter().product();
        let (classifier, (extractor, head)) = Trainable::new(
            "classifier",
            device,
            &options.classifier_optimiser,
            |path: Path| {
                let extractor = Extractor::new(&(&path / "extractor"), shape, &options.classifier);
                let hidden = &options.classifier.hidden;
                let head = Head::new(&(&path / "head"), extractor.dims(), hidden, classes);
                (extractor, head)
            },
        );
        let (generator, g) =
            Trainable::new("generator", device, &options.optimiser, |path: Path| {
                let sizes = (options.noise, classes, pixels);
                let widths = &options.generator_widths;
                ConditionedMlp::new(&path, sizes, widths, true, Activation::Softplus)
            });
        let (discriminator, d) =
            Trainable::new("discriminator", device, &options.optimiser, |path: Path| {
                let leaky = Activation::Leaky(0.2);
                let (input, hidden) = options.discriminator_noise;
                let widths = &options.discriminator_widths;
                ConditionedMlp::new(&path, (pixels, classes, 1), widths, false, leaky)
                    .noise(input, hidden)
            });
        Self {
            options: options.clone(),
            classifier,
            generator,
            discriminator,
            extractor,
            head,
            g,
            d,
            shape,
            classes,
            device,
            bf16,
        }
    }

    /// Images to logits `[batch, classes]`.
    pub fn classify(&self, images: &Tensor, train: bool) -> Tensor {
        let features = self.extractor.forward(images, train);
        self.head.forward(&features, train)
    }

    /// The features before the classifier's output layer, `[batch, dims]`.
    pub fn features(&self, images: &Tensor) -> Tensor {
        self.head
            .features(&self.extractor.forward(images, false), false)
    }

    /// Images of `classes` `[batch]`, in 0..1.
    pub fn generate(&self, classes: &Tensor, train: bool) -> Tensor {
        let [channels, height, width] = self.shape;
        let batch = classes.size()[0];
        let noise = Tensor::rand([batch, self.options.noise], (Kind::Float, self.device));
        let pixels = self
            .g
            .forward(&noise, &one_hot(classes, self.classes), train);
        (pixels.sigmoid()).reshape([batch, channels, height, width])
    }

    /// Number of classes.
    pub fn classes(&self) -> i64 {
        self.classes
    }

    /// Draws `batch` classes.
    pub fn draw(&self, batch: i64) -> Tensor {
        Tensor::randint(self.classes, [batch], (Kind::Int64, self.device))
    }

    fn score(&self, (images, classes): &Pairs) -> Tensor {
        let one_hot = one_hot(classes, self.classes);
        self.d.forward(&images.flatten(1, -1), &one_hot, true)
    }

    /// `x_l` and `y_l`; `x_u`.
    fn parts(&self, batch: &ImageBatch) -> (Pairs, Tensor) {
        let labelled = batch.labels.ne(NO_LABEL).to_kind(Kind::Int64);
        let count = labelled.sum(Kind::Int64).int64_value(&[]);
        let batch = batch.to(self.device);
        let rest = batch.images.size()[0] - count;
        (
            (
                batch.images.narrow(0, 0, count),
                batch.labels.narrow(0, 0, count),
            ),
            batch.images.narrow(0, count, rest),
        )
    }

    /// `-log D(x, y)` of images with every class, `[batch, classes]`.
    fn unreality(&self, images: &Tensor) -> Tensor {
        tch::no_grad(|| {
            let batch = images.size()[0];
            let each = images.repeat_interleave_self_int(self.classes, 0, None);
            let every = Tensor::arange(self.classes, (Kind::Int64, self.device)).repeat([batch]);
            let scores = self.score(&(each, every));
            scores.reshape([batch, self.classes]).neg().softplus()
        })
    }

    /// Images with the classes that the classifier predicts.
    fn classified(&self, images: &Tensor) -> Pairs {
        let logits = tch::no_grad(|| self.classify(images, false));
        (images.shallow_clone(), logits.argmax(1, false))
    }

    /// Updates discriminator and generator on images with the classes that the classifier predicts.
    fn update(
        &mut self,
        labelled: &Pairs,
        unlabelled: &Tensor,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let halves = unlabelled.chunk(2, 0);
        let (as_real, as_made) = (self.classified(&halves[0]), self.classified(&halves[1]));
        let real = (
            Tensor::cat(&[&labelled.0, &as_real.0], 0),
            Tensor::cat(&[&labelled.1, &as_real.1], 0),
        );
        for _ in 0..self.options.gan_steps {
            let drawn = self.draw(labelled.0.size()[0]);
            let made = self.generate(&drawn, true);

            let of_real = self.score(&real);
            let of_made = self.score(&(made.detach(), drawn.shallow_clone()));
            let of_named = self.score(&as_made);
            let loss = minus_log(&of_real) + (minus_log(&-&of_made) + minus_log(&-&of_named)) * 0.5;
            scalars.add("discriminator/loss", &loss);
            let all_made = Tensor::cat(&[of_made, of_named], 0);
            let right = discriminator_accuracy(&of_real, &all_made);
            scalars.add_discriminator_accuracy(&right, self.options.discriminator_patience);
            update(&mut [&mut self.discriminator], &loss, clock.total)?;

            let loss = minus_log(&self.score(&(made, drawn))) * 0.5;
            scalars.add("generator/loss", &loss);
            update(&mut [&mut self.generator], &loss, clock.total)?;
        }
        Ok(())
    }

    /// The classifier's loss.
    fn classifier_loss(
        &self,
        (images, labels): &Pairs,
        unlabelled: &Tensor,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Tensor {
        let o = &self.options;
        let logits = self.classify(images, true);
        let supervised = cross_entropy(&logits, labels, 0.0);
        scalars.add("classifier/cross_entropy", &supervised);
        scalars.add("classifier/accuracy", &accuracy(&logits, labels));
        let logits = self.classify(unlabelled, true);
        let (entropy, balance) = (entropy(&logits), class_balance(&logits));
        scalars.add("classifier/entropy", &entropy);
        let mut loss = supervised + entropy * o.entropy_weight + balance * o.balance_weight;
        if clock.step >= o.pretrain_steps && o.gan_weight > 0.0 {
            let adversarial = (logits.softmax(1, Kind::Float) * self.unreality(unlabelled))
                .sum_dim_intlist(&[1i64][..], false, Kind::Float)
                .mean(Kind::Float);
            scalars.add("classifier/adversarial", &adversarial);
            loss += adversarial * o.gan_weight;
        }
        if clock.step >= o.pairs_after && o.pairs_weight > 0.0 {
            let drawn = self.draw(images.size()[0]);
            let made = tch::no_grad(|| self.generate(&drawn, true));
            let pairs = cross_entropy(&self.classify(&made, true), &drawn, 0.0);
            scalars.add("classifier/pairs", &pairs);
            loss += pairs * o.pairs_weight;
        }
        loss
    }
}

/// `-log sigmoid(score)`, mean.
fn minus_log(scores: &Tensor) -> Tensor {
    scores.neg().softplus().mean(Kind::Float)
}

impl Method for TripleGan {
    type Batch = ImageBatch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        vec![
            &mut self.classifier,
            &mut self.generator,
            &mut self.discriminator,
        ]
    }

    fn division(&self) -> Division {
        Division::Ranks
    }

    fn step(&mut self, batch: &ImageBatch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            let (labelled, unlabelled) = self.parts(batch);
            if clock.step >= self.options.pretrain_steps {
                self.update(&labelled, &unlabelled, clock, scalars)?;
            }
            let loss = self.classifier_loss(&labelled, &unlabelled, clock, scalars);
            scalars.add("classifier/loss", &loss);
            update(&mut [&mut self.classifier], &loss, clock.total)?;
            Ok(())
        })
    }

    fn validate(&self, batch: &ImageBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let batch = batch.to(self.device);
            let logits = self.classify(&batch.images, false);
            scalars.add("loss", &cross_entropy(&logits, &batch.labels, 0.0));
            scalars.add("classifier/accuracy", &accuracy(&logits, &batch.labels));
            Ok(scalars)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_gan_steps_are_refused() {
        let options = TripleGanOptions {
            gan_steps: 0,
            ..TripleGanOptions::default()
        };
        let message = options.check([1, 28, 28]).unwrap_err().to_string();
        let expected = "method.gan_steps: expected 1 to 65536, found 0";
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn every_image_is_scored_with_every_class() {
        let options = TripleGanOptions {
            discriminator_noise: (0.0, 0.0),
            discriminator_widths: vec![8],
            generator_widths: vec![8],
            ..TripleGanOptions::default()
        };
        let method = TripleGan::new(&options, ([1, 16, 16], 3), Device::Cpu, false);
        let images = Tensor::rand([2, 1, 16, 16], (Kind::Float, Device::Cpu));
        let found = method.unreality(&images);
        assert_eq!(found.size(), [2, 3]);
        for class in 0..3 {
            let pairs = (images.shallow_clone(), Tensor::from_slice(&[class, class]));
            let expected = method.score(&pairs).sigmoid().log().neg().squeeze_dim(1);
            assert!(
                found
                    .select(1, class)
                    .allclose(&expected, 1e-5, 1e-6, false)
            );
        }
    }
}
