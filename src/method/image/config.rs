//! The configuration of an image run: one TOML file.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::autoencoder::AutoencoderOptions;
use super::bigan::BiGanOptions;
use super::classifier::ClassifierMethodOptions;
use super::infogan::InfoGanOptions;
use super::triplegan::TripleGanOptions;
use super::vaegan::VaeGanOptions;
use crate::dataset::images::{ImageAugment, ImageOptions, ImageSource, Images, MOST_SIDE};
use crate::error::{Error, Result, check_within};
use crate::method::dann::DannOptions;
use crate::method::old_keys::document;
use crate::nn::device::DeviceChoice;
use crate::nn::image::ImageClassifierOptions;
use crate::train::TrainOptions;
use crate::train::experiment::{Configuration, Experiment};

/// A training run on images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Seed of all random numbers. On the CPU, the same seed and number of threads give the same run, bit for bit.
    #[serde(default)]
    pub seed: u64,
    /// Device to train on.
    #[serde(default)]
    pub device: DeviceChoice,
    /// Compute convolutions and linear layers in bfloat16, the rest in single precision. Faster on recent GPUs; results
    /// differ slightly.
    #[serde(default)]
    pub bf16: bool,
    /// Training and validation images.
    pub data: ImageDataOptions,
    /// Size and channels that all images are converted to.
    #[serde(default)]
    pub view: ImageOptions,
    /// The method and its options.
    pub method: ImageMethodOptions,
    /// Number of steps, validation, checkpoints and logging.
    #[serde(default)]
    pub train: TrainOptions,
}

/// Image sets, labels and batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageDataOptions {
    /// Training images; in domain adaptation, the source domain.
    pub train: ImageSource,
    /// Validation images. Without them nothing is validated and no checkpoint becomes `best`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<ImageSource>,
    /// Training images of the target domain (`dann`). Their labels are not used in training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ImageSource>,
    /// Images per batch. With a target domain, this many of each domain.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Training images whose labels are used, the same number of each class, drawn at random by `seed`. 0 uses all
    /// labels.
    #[serde(default)]
    pub labelled: usize,
    /// Labelled images per batch, in addition to `batch` images without labels. Only for `triplegan`.
    #[serde(default)]
    pub labelled_batch: usize,
    /// Random augmentation of training images.
    #[serde(default)]
    pub augment: ImageAugment,
}

fn default_batch() -> usize {
    128
}

/// A method on images and its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum ImageMethodOptions {
    /// InfoGAN (Chen et al. 2016): a generative adversarial network whose latent codes can be recovered from its
    /// images.
    InfoGan(InfoGanOptions),
    /// VAE-GAN (Larsen et al. 2016): a variational autoencoder with a reconstruction error in the feature space of a
    /// discriminator.
    VaeGan(VaeGanOptions),
    /// BiGAN (Donahue et al. 2017): encoder and generator, trained by a discriminator of (image, code) pairs.
    BiGan(BiGanOptions),
    /// The encoder and generator of BiGAN, trained as a plain autoencoder: its baseline.
    Autoencoder(AutoencoderOptions),
    /// Triple GAN (Li et al. 2017): classifier, generator and discriminator of (image, class) pairs, for few labels.
    TripleGan(TripleGanOptions),
    /// A classifier trained on labelled images alone: the baseline of Triple GAN.
    Classifier(ClassifierMethodOptions),
    /// Domain-adversarial training (Ganin et al. 2016): a classifier for the images of two domains, with labels of one.
    Dann(ImageDannOptions),
}

/// DANN on images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageDannOptions {
    /// The feature extractor and the classifier head.
    pub network: ImageClassifierOptions,
    /// The domain classifier and how the feature extractor is trained against it.
    pub adversary: DannOptions,
}

/// Shape and classes of a run's images, saved as `inventory.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageInventory {
    /// Channels, height and width.
    pub shape: [i64; 3],
    /// Classes; 0 without labels.
    pub classes: i64,
}

/// Largest number of classes.
const MAX_CLASSES: i64 = 1 << 16;
/// File of the [`ImageInventory`] in an experiment.
pub const INVENTORY: &str = "inventory.json";

impl ImageInventory {
    /// Reads the `inventory.json` of an experiment.
    ///
    /// # Errors
    /// A missing or broken file; [`Error::Key`] for a shape or a number of classes that no networks can be built for.
    pub fn read(experiment: &Experiment) -> Result<Self> {
        let inventory: Self = experiment.read_json(INVENTORY)?;
        let path = experiment.path().join(INVENTORY);
        let ([channels, height, width], classes) = (inventory.shape, inventory.classes);
        let sides = 1..=MOST_SIDE as i64;
        if ![1, 3].contains(&channels) || !sides.contains(&height) || !sides.contains(&width) {
            let expected = format!("1 or 3 channels, height and width from 1 to {MOST_SIDE}");
            return Err(Error::key(
                path,
                "shape",
                expected,
                format!("{:?}", inventory.shape),
            ));
        }
        match (0..=MAX_CLASSES).contains(&classes) {
            true => Ok(inventory),
            false => {
                let expected = format!("0 to {MAX_CLASSES}");
                Err(Error::key(path, "classes", expected, classes.to_string()))
            }
        }
    }

    /// Refuses images of another shape; `name` is the option that they come from.
    ///
    /// # Errors
    /// [`Error::Option`] with both shapes.
    pub fn check_shape(&self, name: &str, images: &Images) -> Result<()> {
        let of = images.shape;
        let found = [of.channels, of.height, of.width].map(|side| side as i64);
        match found == self.shape {
            true => Ok(()),
            false => {
                let expected = format!("images of {:?} (channels, height, width)", self.shape);
                Err(Error::option(name, expected, format!("{found:?}")))
            }
        }
    }
}

impl ImageMethodOptions {
    /// Its name in configurations.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InfoGan(_) => "infogan",
            Self::VaeGan(_) => "vaegan",
            Self::BiGan(_) => "bigan",
            Self::Autoencoder(_) => "autoencoder",
            Self::TripleGan(_) => "triplegan",
            Self::Classifier(_) => "classifier",
            Self::Dann(_) => "dann",
        }
    }

    /// Whether it learns from labels.
    pub fn uses_labels(&self) -> bool {
        matches!(
            self,
            Self::TripleGan(_) | Self::Classifier(_) | Self::Dann(_)
        )
    }
}

impl Configuration for ImageConfig {
    fn read(path: &Path) -> Result<Self> {
        document(path)?.options()
    }
}

impl ImageConfig {
    /// Checks every value that can be checked without data.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        self.train.check()?;
        self.view.check()?;
        self.data
            .augment
            .check()
            .map_err(|error| error.in_table("data"))?;
        for (key, value, least) in [
            ("batch", self.data.batch, 2),
            ("labelled_batch", self.data.labelled_batch, 0),
        ] {
            check_within(format!("data.{key}"), value, least..=1 << 16)?;
        }
        check_within("data.labelled", self.data.labelled, 0..=u32::MAX as usize)?;
        let wrong = |key: &str, expected: &str, found: &str| {
            Err(Error::option(format!("data.{key}"), expected, found))
        };
        let adapts = matches!(self.method, ImageMethodOptions::Dann(_));
        match (adapts, &self.data.target) {
            (true, None) => return wrong("target", "images of the target domain", "none"),
            (false, Some(_)) => return wrong("target", "none without method \"dann\"", "one"),
            _ => {}
        }
        let triple = matches!(self.method, ImageMethodOptions::TripleGan(_));
        let (labelled, per_batch) = (self.data.labelled, self.data.labelled_batch);
        if triple && per_batch < 2 {
            return wrong("labelled_batch", "at least 2", &per_batch.to_string());
        }
        if !triple && per_batch > 0 {
            let expected = "0 without method \"triplegan\"";
            return wrong("labelled_batch", expected, &per_batch.to_string());
        }
        if !self.method.uses_labels() && labelled > 0 {
            let expected = "0 for a method that does not learn from labels";
            return wrong("labelled", expected, &labelled.to_string());
        }
        Ok(())
    }

    /// Checks the method's options against the images.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check_method(&self, inventory: &ImageInventory) -> Result<()> {
        let shape = inventory.shape;
        match &self.method {
            ImageMethodOptions::InfoGan(options) => options.check(shape),
            ImageMethodOptions::VaeGan(options) => options.check(shape),
            ImageMethodOptions::BiGan(options) => options.check(),
            ImageMethodOptions::Autoencoder(options) => options.check(),
            ImageMethodOptions::TripleGan(options) => options.check(shape),
            ImageMethodOptions::Classifier(options) => options.check(shape),
            ImageMethodOptions::Dann(options) => {
                options.network.check("method.network", shape)?;
                options.adversary.check("method.adversary")
            }
        }
        .map_err(|error| error.in_table("method"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_shape_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let experiment = Experiment::create(dir.path(), &toml::Table::new(), false).unwrap();
        let read = |shape: [i64; 3], classes| {
            let inventory = ImageInventory { shape, classes };
            experiment.write_json(INVENTORY, &inventory).unwrap();
            (ImageInventory::read(&experiment).map_err(|error| error.to_string())).err()
        };
        assert_eq!(read([3, 32, 28], 10), None);
        for (shape, classes, message) in [
            (
                [1, -1, 28],
                10,
                "shape: expected 1 or 3 channels, height and width from 1 to 4096, found [1, -1, 28]",
            ),
            ([1, 1 << 40, 28], 10, "found [1, 1099511627776, 28]"),
            ([2, 28, 28], 10, "found [2, 28, 28]"),
            (
                [1, 28, 28],
                1 << 40,
                "classes: expected 0 to 65536, found 1099511627776",
            ),
        ] {
            let error = read(shape, classes).unwrap();
            assert!(
                error.contains("inventory.json: ") && error.ends_with(message),
                "{error}"
            );
        }
    }
}
