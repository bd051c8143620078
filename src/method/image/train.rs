//! An image run: image sets, batches and inventory for a method.

use std::path::Path;
use std::sync::Arc;

use tch::{Device, Tensor};

use super::autoencoder::Autoencoder;
use super::bigan::BiGan;
use super::classifier::ImageClassifier;
use super::config::{INVENTORY, ImageConfig, ImageInventory, ImageMethodOptions};
use super::infogan::InfoGan;
use super::triplegan::TripleGan;
use super::vaegan::VaeGan;
use crate::dataset::image_batch::{ImageBatch, ImageSet};
use crate::dataset::images::{
    ImageAugment, ImageOptions, ImageSampler, ImageShape, ImageSource, Images, draw_labelled,
};
use crate::dataset::loader::Loader;
use crate::dataset::parts::{Part, Parts};
use crate::error::{Error, Result, check_within};
use crate::io::atomic;
use crate::method::dann::Dann;
use crate::method::dann_backbone::ImageBackbone;
use crate::method::fine_tuning::Start;
use crate::nn::built;
use crate::train::experiment::Experiment;
use crate::train::ranks::Facts;
use crate::train::trainer::{Batches, Progress, step_seed, train};
use crate::train::{Job, Method, checkpoint};

/// Largest number of values in a batch of images.
const MAX_VALUES: usize = 1 << 30;
/// Images per validation batch.
const VALID_BATCH: usize = 500;

/// A method on images of any kind.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant has the name of its method")]
pub enum ImageModel {
    InfoGan(Box<InfoGan>),
    VaeGan(Box<VaeGan>),
    BiGan(Box<BiGan>),
    Autoencoder(Box<Autoencoder>),
    TripleGan(Box<TripleGan>),
    Classifier(Box<ImageClassifier>),
    Dann(Box<Dann<ImageBackbone>>),
}

impl ImageModel {
    /// New networks on `device`.
    pub fn new(config: &ImageConfig, inventory: &ImageInventory, device: Device) -> Self {
        let (shape, classes, bf16) = (inventory.shape, inventory.classes, config.bf16);
        match &config.method {
            ImageMethodOptions::InfoGan(options) => {
                Self::InfoGan(Box::new(InfoGan::new(options, shape, device, bf16)))
            }
            ImageMethodOptions::VaeGan(options) => {
                Self::VaeGan(Box::new(VaeGan::new(options, shape, device, bf16)))
            }
            ImageMethodOptions::BiGan(options) => {
                Self::BiGan(Box::new(BiGan::new(options, shape, device, bf16)))
            }
            ImageMethodOptions::Autoencoder(options) => {
                Self::Autoencoder(Box::new(Autoencoder::new(options, shape, device, bf16)))
            }
            ImageMethodOptions::TripleGan(options) => {
                let of = (shape, classes);
                Self::TripleGan(Box::new(TripleGan::new(options, of, device, bf16)))
            }
            ImageMethodOptions::Classifier(options) => {
                let of = (shape, classes);
                Self::Classifier(Box::new(ImageClassifier::new(options, of, device, bf16)))
            }
            ImageMethodOptions::Dann(options) => {
                let build = |path: tch::nn::Path| {
                    ImageBackbone::new(&path, shape, &options.network, device)
                };
                let head = (&options.network.hidden[..], classes);
                let method = Dann::new(&options.adversary, head, device, bf16, build);
                Self::Dann(Box::new(method))
            }
        }
    }

    /// Images `[batch, channels, height, width]` to the method's representation of them, `[batch, dims]`: the codes of an
    /// encoder, the features before a classifier's output layer, or the codes that InfoGAN's Q predicts.
    pub fn encode(&self, images: &Tensor) -> Tensor {
        match self {
            Self::InfoGan(method) => method.encode(images),
            Self::VaeGan(method) => method.encode(images, false).mean,
            Self::BiGan(method) => method.coders().encode(images, false),
            Self::Autoencoder(method) => method.coders().encode(images, false),
            Self::TripleGan(method) => method.features(images),
            Self::Classifier(method) => method.features(images),
            Self::Dann(method) => method.backbone().of(images, false),
        }
    }

    /// The method.
    pub fn method(&mut self) -> &mut dyn Method<Batch = ImageBatch> {
        match self {
            Self::InfoGan(method) => method.as_mut(),
            Self::VaeGan(method) => method.as_mut(),
            Self::BiGan(method) => method.as_mut(),
            Self::Autoencoder(method) => method.as_mut(),
            Self::TripleGan(method) => method.as_mut(),
            Self::Classifier(method) => method.as_mut(),
            Self::Dann(method) => method.as_mut(),
        }
    }
}

/// Trains what `config` describes in the folder `exp`.
///
/// # Errors
/// Errors of configuration, data, libtorch and disk, each with its place.
pub fn train_images(
    config: &ImageConfig,
    exp: &Path,
    start: &Start,
    progress: &mut dyn Progress,
) -> Result<()> {
    config.check()?;
    let ranks = &start.ranks;
    if ranks.is_first() {
        atomic::try_folder(exp)?;
    }
    let device = config.device.resolve_for(ranks.local())?;
    config.train.set_threads(ranks.local());
    let data = ImageData::open(config)?;
    config.check_method(&data.inventory)?;
    ranks.compare(|| data.facts())?;
    let experiment = match ranks.is_first() {
        true => Experiment::create(exp, config, start.resume)?,
        false => Experiment::of_another_rank(exp),
    };
    if ranks.is_first() {
        experiment.write_json(INVENTORY, &data.inventory)?;
    }
    tch::manual_seed(step_seed(config.seed, u64::MAX));
    let mut model = built(|| ImageModel::new(config, &data.inventory, device))?;
    let job = Job {
        experiment: &experiment,
        options: &config.train,
        seed: config.seed,
        ranks,
    };
    train(model.method(), &data, &job, progress)
}

/// The model of an image experiment with the weights of checkpoint `name`, its configuration and its images.
///
/// # Errors
/// A missing or broken experiment or checkpoint, named; [`Error::Key`] for one that was not trained on images.
pub fn load_images(
    experiment: &Experiment,
    name: &str,
    device: Device,
) -> Result<(ImageModel, ImageConfig, ImageInventory)> {
    let config: ImageConfig = experiment.config()?;
    config.check()?;
    let inventory = ImageInventory::read(experiment)?;
    config.check_method(&inventory)?;
    let weights = experiment.checkpoint(name)?;
    let mut model = built(|| ImageModel::new(&config, &inventory, device))?;
    checkpoint::load_weights(&weights, &model.method().trainables())?;
    Ok((model, config, inventory))
}

/// One set of images and how batches are drawn from it.
#[derive(Debug, Clone)]
struct Draw {
    set: Arc<ImageSet>,
    /// Indices of the images to draw from.
    among: Vec<usize>,
    batch: usize,
}

/// The image sets of a run. A batch is the concatenation of one batch of each draw.
struct ImageData {
    config: ImageConfig,
    inventory: ImageInventory,
    draws: Vec<Draw>,
    valid: Option<ImageSet>,
}

impl ImageData {
    fn open(config: &ImageConfig) -> Result<Self> {
        let data = &config.data;
        let train = open(&data.train, &config.view, "data.train", config)?;
        let (shape, classes) = (train.shape, train.classes);
        let draws = draws(config, train)?;
        let like = |source: &ImageSource, key: &str| {
            let images = source.open(&config.view)?;
            match images.shape == shape {
                true => Ok(images),
                false => {
                    let expected = format!("{} as data.train has (see [view])", shape_name(shape));
                    Err(Error::option(key, expected, shape_name(images.shape)))
                }
            }
        };
        let mut this = Self {
            config: config.clone(),
            inventory: ImageInventory {
                shape: [shape.channels, shape.height, shape.width].map(|side| side as i64),
                classes: classes as i64,
            },
            draws,
            valid: None,
        };
        if let Some(target) = &data.target {
            let images = like(target, "data.target")?;
            let (count, batch) = (images.len(), data.batch);
            let set = ImageSet::new(images, vec![false; count], 1)?;
            this.draws.push(Draw {
                set: Arc::new(set),
                among: (0..count).collect(),
                batch,
            });
        }
        if let Some(valid) = &data.valid {
            let images = like(valid, "data.valid")?;
            if config.method.uses_labels() {
                images.check_labels(classes)?;
            }
            let use_label = vec![images.labels.is_some(); images.len()];
            this.valid = Some(ImageSet::new(images, use_label, 0)?);
        }
        // Checked before anything is written.
        for draw in &this.draws {
            ImageSampler::new(draw.among.len(), draw.batch, 0)?;
            let most = MAX_VALUES / shape.values();
            check_within("data.batch", draw.batch, 2..=most)?;
        }
        Ok(this)
    }
}

impl ImageData {
    /// What has to be the same on all ranks.
    fn facts(&self) -> Result<Facts> {
        let sets = self.draws.iter().enumerate().map(|(number, draw)| {
            let images = draw.set.images();
            let pixels = (0..images.len()).fold(0, |checksum, index| {
                let values: &[u8] = bytemuck::cast_slice(images.image(index));
                crc32c::crc32c_append(checksum, values)
            });
            let description = format!("{} (checksum {pixels:08x})", images.len());
            (format!("images of set {}", number + 1), description)
        });
        Facts::new(&self.config, sets.collect())
    }
}

fn shape_name(shape: ImageShape) -> String {
    let ImageShape {
        channels,
        height,
        width,
    } = shape;
    format!("images of {height} x {width} with {channels} channels")
}

fn open(
    source: &ImageSource,
    view: &ImageOptions,
    key: &str,
    config: &ImageConfig,
) -> Result<Images> {
    let images = source.open(view)?;
    if config.method.uses_labels() {
        if images.labels.is_none() {
            return Err(Error::option(key, "images with labels", "none"));
        }
        images.check_classes()?;
    }
    Ok(images)
}

/// How the training images are drawn: all of them; labelled ones only; or both, labelled ones first.
fn draws(config: &ImageConfig, train: Images) -> Result<Vec<Draw>> {
    let (data, count) = (&config.data, train.len());
    let labelled: Vec<usize> = match (&train.labels, data.labelled) {
        (Some(labels), 1..) => draw_labelled(labels, train.classes, data.labelled, config.seed)?,
        _ => (0..count).collect(),
    };
    let draw = |set: Arc<ImageSet>, among: Vec<usize>, batch| Draw { set, among, batch };
    if data.labelled_batch == 0 {
        let use_label = train.labels.is_some();
        let set = Arc::new(ImageSet::new(train, vec![use_label; count], 0)?);
        return Ok(vec![draw(set, labelled, data.batch)]);
    }
    let number = labelled.len();
    let labelled = ImageSet::new(train.select(&labelled), vec![true; number], 0)?;
    let rest = ImageSet::new(train, vec![false; count], 0)?;
    Ok(vec![
        draw(
            Arc::new(labelled),
            (0..number).collect(),
            data.labelled_batch,
        ),
        draw(Arc::new(rest), (0..count).collect(), data.batch),
    ])
}

impl Batches<ImageBatch> for ImageData {
    fn train(
        &self,
        first: u64,
        parts: &Parts,
        at_once: usize,
    ) -> Box<dyn Iterator<Item = Result<Part<ImageBatch>>> + '_> {
        let seed = self.config.seed;
        let augment = self.config.data.augment;
        let mut samplers = Vec::new();
        for (number, draw) in self.draws.iter().enumerate() {
            // Each set has a seed of its own: sets may have the same size.
            let own = step_seed(seed, u64::MAX - 1 - number as u64) as u64;
            match ImageSampler::new(draw.among.len(), draw.batch * parts.count(), own) {
                Ok(sampler) => samplers.push((sampler, own)),
                Err(error) => return Box::new(std::iter::once(Err(error))),
            }
        }
        let draws = self.draws.clone();
        let (own, first) = (parts.clone(), first * parts.own().len() as u64);
        Box::new(Loader::spawn(first, at_once, move |number| {
            let (number, part) = own.nth(number);
            let parts: Vec<ImageBatch> = draws
                .iter()
                .zip(&mut samplers)
                .map(|(draw, (sampler, seed))| {
                    let places = sampler.batch(number);
                    let images: Vec<usize> = places.iter().map(|&p| draw.among[p]).collect();
                    let varied = (augment != ImageAugment::default())
                        .then_some((&augment, step_seed(*seed, number) as u64));
                    let places = own.places(part, images.len()).0;
                    draw.set.part_of_batch(&images, places, varied)
                })
                .collect();
            Ok(Part {
                batch: ImageBatch::cat(&parts),
                // All parts have the same size.
                share: 1.0 / own.count() as f64,
            })
        }))
    }

    fn valid(&self) -> Box<dyn Iterator<Item = Result<ImageBatch>> + '_> {
        let Some(set) = &self.valid else {
            return Box::new(std::iter::empty());
        };
        let order: Vec<usize> = (0..set.images().len()).collect();
        let batches: Vec<Vec<usize>> = order.chunks(VALID_BATCH).map(<[usize]>::to_vec).collect();
        Box::new((batches.into_iter()).map(|batch| Ok(set.batch(&batch, None))))
    }
}
