//! The scores of each image method, with their baselines.

use ndarray::Array2;
use tch::{Device, Kind, Tensor};

use super::assignment::{classes_used, confusion, hungarian_accuracy, majority_accuracy};
use super::codes::{Codes, chance, class_scores, factor_scores, reconstruction_score};
use super::forward::{classes_of, numbers, of_draws, of_images, settle, tensor_of};
use super::samples::{SAMPLES, SampleEvaluator};
use super::{Labelled, linear};
use crate::dataset::images::Images;
use crate::error::{Error, Result};
use crate::eval::score::Score;
use crate::method::dann::Dann;
use crate::method::dann_backbone::ImageBackbone;
use crate::method::image::bigan::Coders;
use crate::method::image::config::{ImageConfig, ImageInventory};
use crate::method::image::infogan::InfoGan;
use crate::method::image::train::ImageModel;
use crate::method::image::triplegan::TripleGan;
use crate::method::image::vaegan::VaeGan;
use crate::objective::information::category_bound;

/// A trained method and the images that it is evaluated on.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// The method.
    pub model: &'a ImageModel,
    /// Its configuration and its images.
    pub run: (&'a ImageConfig, &'a ImageInventory),
    /// The training images.
    pub train: &'a Images,
    /// Test sets, by name; of several sets the first is the target domain of an adaptation, the second its source.
    pub tests: &'a [(String, Images)],
    /// The classifier whose features measure generated images.
    pub lenet: Option<&'a ImageModel>,
    /// The device of tensors.
    pub device: Device,
}

impl Evaluation<'_> {
    /// All scores of the method.
    ///
    /// # Errors
    /// [`Error::Option`] for images of another shape, and errors of the measures.
    pub fn scores(&self) -> Result<Vec<Score>> {
        self.check()?;
        tch::manual_seed(0);
        let (set, test) = &self.tests[0];
        match self.model {
            ImageModel::InfoGan(method) => self.infogan(method, set, test),
            ImageModel::VaeGan(method) => self.vaegan(method, set, test),
            ImageModel::BiGan(method) => self.coders(method.coders(), true, set, test),
            ImageModel::Autoencoder(method) => self.coders(method.coders(), false, set, test),
            ImageModel::TripleGan(method) => self.triplegan(method, set, test),
            ImageModel::Classifier(method) => {
                let classify = |images: &Tensor| method.classify(images, false);
                self.tests
                    .iter()
                    .map(|(set, test)| self.accuracy(set, test, classify))
                    .collect()
            }
            ImageModel::Dann(method) => self.dann(method),
        }
    }

    fn check(&self) -> Result<()> {
        for (name, images) in self.tests {
            self.run.1.check_shape(&format!("--test {name}"), images)?;
        }
        match self.tests.is_empty() {
            true => Err(Error::option("--test", "at least one set", "none")),
            false => Ok(()),
        }
    }

    fn sample_evaluator(&self, test: &Images) -> Result<Option<SampleEvaluator<'_>>> {
        match self.lenet {
            None => Ok(None),
            Some(ImageModel::Classifier(lenet)) => {
                let evaluator = SampleEvaluator::new(lenet, (self.train, test), self.device)?;
                Ok(Some(evaluator))
            }
            Some(_) => {
                let expected = "an experiment of method \"classifier\"";
                Err(Error::option("--lenet", expected, "another method"))
            }
        }
    }

    fn accuracy(
        &self,
        set: &str,
        test: &Images,
        classify: impl Fn(&Tensor) -> Tensor,
    ) -> Result<Score> {
        let named = classes_of(&of_images(test, self.device, classify))?;
        let labels = labels_of(set, test)?;
        let right = named.iter().zip(labels).filter(|(a, b)| a == b).count();
        let accuracy = right as f64 / labels.len().max(1) as f64;
        Ok(Score::new(set, "accuracy", accuracy).beside("chance", chance(labels)))
    }

    fn infogan(&self, method: &InfoGan, set: &str, test: &Images) -> Result<Vec<Score>> {
        // With the batch statistics of the generated images, as in training; those of real images are set below.
        let made_of = of_draws(SAMPLES, |count| {
            let latent = method.draw(count);
            let answer = method.discriminate(&method.generate(&latent, false), true);
            let categories = latent.categories.to_kind(Kind::Float).unsqueeze(1);
            Tensor::cat(&[answer.category, categories], 1)
        });
        let categories = method.options().categories;
        let drawn = made_of.select(1, categories).to_kind(Kind::Int64);
        let bound = category_bound(&made_of.narrow(1, 0, categories), &drawn);
        let mut scores = vec![
            Score::new("generated", "information on the category, nats", bound)
                .beside("most", (categories as f64).ln()),
        ];
        settle(method, self.train, self.device);
        let answers = of_images(test, self.device, |images| method.encode(images));
        if let Some(labels) = &test.labels {
            let named = classes_of(&answers.narrow(1, 0, categories))?;
            let table = confusion(&named, labels)?;
            let used = classes_used(&table) as f64;
            let classes = self.run.1.classes as f64;
            scores.extend([
                Score::new(set, "majority accuracy", majority_accuracy(&table))
                    .beside("chance", chance(labels)),
                Score::new(set, "Hungarian accuracy", hungarian_accuracy(&table))
                    .beside("chance", chance(labels)),
                Score::new(set, "classes used", used).beside("of", classes),
            ]);
        }
        scores.extend(factor_scores(set, &numbers(&answers)?, test)?);
        let samples = || of_draws(SAMPLES, |count| method.generate(&method.draw(count), false));
        self.add_sample_scores(set, test, samples, &mut scores)?;
        Ok(scores)
    }

    fn add_sample_scores(
        &self,
        set: &str,
        test: &Images,
        samples: impl FnOnce() -> Tensor,
        scores: &mut Vec<Score>,
    ) -> Result<()> {
        if let Some(evaluator) = self.sample_evaluator(test)? {
            scores.extend(evaluator.scores(set, "samples", &samples())?);
        }
        Ok(())
    }

    fn vaegan(&self, method: &VaeGan, set: &str, test: &Images) -> Result<Vec<Score>> {
        let encode = |images: &Tensor| method.encode(images, false).mean;
        let back = of_images(test, self.device, |images| {
            method.decode(&encode(images), false)
        });
        let images = tensor_of(test, 0, test.len(), Device::Cpu);
        let squares = (&back - &images).square().mean(Kind::Float);
        let mut scores = vec![Score::new(
            set,
            "squared error of a pixel",
            squares.double_value(&[]),
        )];
        scores.extend(reconstruction_score(set, &images, &back));
        let codes = numbers(&of_images(test, self.device, encode))?;
        scores.extend(factor_scores(set, &codes, test)?);
        let dims = method.options().code_dim;
        if let Some(evaluator) = self.sample_evaluator(test)? {
            let samples = of_draws(SAMPLES, |count| {
                let codes = Tensor::randn([count, dims], (Kind::Float, self.device));
                method.decode(&codes, false)
            });
            scores.extend(evaluator.scores(set, "samples", &samples)?);
            scores.extend(evaluator.scores(set, "reconstructions", &back)?);
        }
        Ok(scores)
    }

    /// Scores of an encoder and a generator, with the untrained encoder and the pixels themselves as baselines.
    fn coders(
        &self,
        coders: &Coders,
        generates: bool,
        set: &str,
        test: &Images,
    ) -> Result<Vec<Score>> {
        let back = of_images(test, self.device, |images| {
            coders.decode(&coders.encode(images, false), false)
        });
        let images = tensor_of(test, 0, test.len(), Device::Cpu);
        let mut scores = reconstruction_score(set, &images, &back);
        let fresh = ImageModel::new(self.run.0, self.run.1, self.device);
        let untrained = match &fresh {
            ImageModel::BiGan(method) => method.coders(),
            ImageModel::Autoencoder(method) => method.coders(),
            _ => coders,
        };
        let read = |name, encode: &dyn Fn(&Tensor) -> Tensor| -> Result<Codes> {
            let of = |images: &Images| numbers(&of_images(images, self.device, encode));
            Ok(Codes {
                name,
                train: of(self.train)?,
                test: of(test)?,
            })
        };
        let codes = [
            read("codes", &|images| coders.encode(images, false))?,
            // Batch statistics: an untrained network has no running ones.
            read("untrained encoder", &|images| {
                untrained.encode(images, true)
            })?,
            read("pixels", &|images| images.flatten(1, -1))?,
        ];
        scores.extend(class_scores(set, &codes, (self.train, test))?);
        scores.extend(factor_scores(set, &codes[0].test, test)?);
        if generates {
            let samples = || of_draws(SAMPLES, |count| coders.decode(&coders.draw(count), false));
            self.add_sample_scores(set, test, samples, &mut scores)?;
        }
        Ok(scores)
    }

    fn triplegan(&self, method: &TripleGan, set: &str, test: &Images) -> Result<Vec<Score>> {
        let score = self.accuracy(set, test, |images| method.classify(images, false))?;
        let error = Score::new(set, "error", 1.0 - score.value)
            .beside("chance", 1.0 - chance(labels_of(set, test)?));
        let mut scores = vec![score, error];
        if let Some(evaluator) = self.sample_evaluator(test)? {
            let classes: Vec<usize> = (0..SAMPLES)
                .map(|number| number % self.run.1.classes as usize)
                .collect();
            let mut first = 0;
            let made = of_draws(SAMPLES, |count| {
                let some = &classes[first..first + count as usize];
                first += some.len();
                let some: Vec<i64> = some.iter().map(|&class| class as i64).collect();
                method.generate(&Tensor::from_slice(&some).to(self.device), false)
            });
            let agreement = evaluator.agreement(&made, &classes)?;
            let chance = 1.0 / self.run.1.classes.max(1) as f64;
            scores.push(
                Score::new(
                    "generated",
                    "class, by an independent classifier",
                    agreement,
                )
                .beside("chance", chance),
            );
            scores.extend(evaluator.scores(set, "samples", &made)?);
        }
        Ok(scores)
    }

    /// Accuracy on every set; and the accuracy of a new linear probe for the domain of the first two, from features and, as
    /// a baseline, from pixels.
    fn dann(&self, method: &Dann<ImageBackbone>) -> Result<Vec<Score>> {
        let features = |images: &Tensor| method.backbone().of(images, false);
        let mut scores = Vec::new();
        for (set, test) in self.tests {
            let classify = |images: &Tensor| method.classify(&features(images));
            scores.push(self.accuracy(set, test, classify)?);
        }
        if let [(target, first), (source, second), ..] = self.tests {
            let name = format!("{target} or {source}");
            let of = |read: &dyn Fn(&Tensor) -> Tensor| -> Result<f64> {
                let sets = [first, second].map(|images| of_images(images, self.device, read));
                self.domain_accuracy(&numbers(&sets[0])?, &numbers(&sets[1])?)
            };
            scores.push(
                Score::new(&name, "domain by a linear probe", of(&features)?)
                    .beside("chance", 0.5)
                    .beside("pixels", of(&|images| images.flatten(1, -1))?),
            );
        }
        Ok(scores)
    }

    /// Trains a probe on the first half of both sets, equally many of each, and tests it on the second half.
    fn domain_accuracy(&self, first: &Array2<f32>, second: &Array2<f32>) -> Result<f64> {
        let half = first.nrows().min(second.nrows()) / 2;
        let part = |from: usize| {
            let rows = ndarray::s![from..from + half, ..];
            ndarray::concatenate![ndarray::Axis(0), first.slice(rows), second.slice(rows)]
        };
        let labels: Vec<usize> = (0..2 * half)
            .map(|item| usize::from(item >= half))
            .collect();
        let (train, test) = (part(0), part(half));
        let of = |vectors| Labelled {
            vectors,
            labels: &labels,
        };
        linear::linear_accuracy(of(&train), of(&test), Default::default())
    }
}

fn labels_of<'a>(set: &str, images: &'a Images) -> Result<&'a [usize]> {
    match &images.labels {
        Some(labels) => Ok(labels),
        None => {
            let option = format!("--test {set}");
            Err(Error::option(option, "images with labels", "none"))
        }
    }
}
