//! A speech run: corpora, normalisation and inventory for a method.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::Array2;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tch::{Device, Tensor};

use super::config::{Config, DataOptions, Input, MethodOptions};
use super::dann::Dann;
use super::dann_backbone::SpeechBackbone;
use super::disentangle::{Disentangle, DisentangleShape};
use super::fhvae::Fhvae;
use super::fine_tuning::{self, Beginning, Start};
use super::model_info::INVENTORY;
pub use super::model_info::ModelInfo;
use super::recogniser::Recogniser;
use super::remarks::{self, RunData};
use super::resumed;
use super::run_features::RunFeatures;
use super::trained::DisentangledModel;
use crate::dataset::DataDir;
use crate::dataset::augment::AugmentChain;
use crate::dataset::batch::SpeechBatch;
use crate::dataset::computed::ComputedFeats;
use crate::dataset::corpus::{Inventory, SpeechCorpus};
use crate::dataset::labels::Labels;
use crate::dataset::loader::Loader;
use crate::dataset::normalisation::Normalisation;
use crate::dataset::parts::{Part, Parts};
use crate::dataset::recordings::{RecordingOptions, Recordings};
use crate::dataset::sampler::{Sampler, pack_by_length};
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::audio::Pipes;
use crate::nn::ssl::SslConfig;
use crate::nn::{AnyFrontEnd, built};
use crate::signal::pitch::FramePitch;
use crate::signal::{AnyFrontEndOptions, FeatureExtractor};
use crate::train::experiment::Experiment;
use crate::train::ranks::{Facts, Ranks};
use crate::train::trainer::{Batches, Progress, step_seed, train};
use crate::train::{Job, Method, Trainable, checkpoint};

/// Frames per validation batch.
const VALID_FRAMES: usize = 8192;

/// Trains what `config` describes in the folder `exp`, from new weights or as `start` says.
///
/// # Errors
/// Errors of configuration, data, libtorch and disk, each with its place.
pub fn train_speech(
    config: &Config,
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
    let front_end = match &config.data.front_end {
        None => None,
        Some(path) => {
            // A network computes nothing where features are stored: it is loaded to be known.
            let device = match config.data.input {
                Input::Audio => device,
                Input::Features => Device::Cpu,
            };
            Some(AnyFrontEnd::open(&AnyFrontEndOptions::read(path)?, device)?)
        }
    };
    let own_type = front_end.as_ref().map(|own| own.options().feature_type());
    let features = RunFeatures::of(&config.data, own_type)?;
    let config = &features.resolve(config, exp, start)?;
    let beginning = Beginning::of(config, exp, start, front_end.as_ref())?;
    let check = |bins| features.check(config, bins, (exp, start));
    let data = SpeechData::open(config, front_end.as_ref(), (&beginning, exp, &check), ranks)?;
    if let Some(front_end) = &front_end {
        check_front_end(front_end, data.info.normalisation.bins())?;
        if ranks.is_first() && config.data.input == Input::Features {
            data.compare_with(front_end)?;
        }
    }
    if ranks.is_first() && start.resume {
        resumed::check(exp, &config.data, &data.info, front_end.as_ref())?;
    }
    // No rank writes before all have read.
    ranks.compare(|| data.facts())?;
    tch::manual_seed(step_seed(config.seed, u64::MAX));
    let mut method = built(|| build(config, &data.info, device))??;
    let filled = beginning.fill(&data.info, config, &mut method.trainables())?;
    if let (Built::Disentangle(method), Some(layers)) = (&method, config.method.ssl_layers())
        && beginning.is_new()
        && !filled.took("phonetic_encoder")
    {
        method.model().load_ssl_layers(&layers.model)?;
    }
    fine_tuning::freeze(config.method.frozen(), &filled, method.trainables())?;
    let experiment = match ranks.is_first() {
        true => Experiment::create(exp, config, start.resume)?,
        false => Experiment::of_another_rank(exp),
    };
    if ranks.is_first() {
        experiment.write_json(INVENTORY, &data.info)?;
        if let Some(front_end) = &front_end {
            experiment.write_toml(resumed::FRONT_END, front_end.options())?;
        }
        beginning.save(&experiment, &mut method.trainables(), &filled)?;
    }
    drop(front_end);
    let job = Job {
        experiment: &experiment,
        options: &config.train,
        seed: config.seed,
        ranks,
    };
    match &mut method {
        Built::Disentangle(method) => train(method.as_mut(), &data, &job, progress),
        Built::Fhvae(method) => train(method.as_mut(), &data, &job, progress),
        Built::Dann(method) => train(method.as_mut(), &data, &job, progress),
        Built::Recogniser(method) => train(method.as_mut(), &data, &job, progress),
    }
}

/// Refuses a front-end with another number of columns than the features have, with which extraction from audio would be
/// wrong.
fn check_front_end(front_end: &AnyFrontEnd, bins: usize) -> Result<()> {
    match front_end.dim() == bins {
        true => Ok(()),
        false => {
            let expected = format!("a front-end that gives the features' {bins} columns");
            let found = format!("{} of {}", front_end.dim(), front_end.options().name());
            Err(Error::option("data.front_end", expected, found))
        }
    }
}

/// The model of an experiment, with the weights of checkpoint `name`.
///
/// # Errors
/// A missing or broken experiment or checkpoint, named.
pub fn load(
    experiment: &Experiment,
    name: &str,
    device: Device,
) -> Result<(Box<dyn DisentangledModel>, ModelInfo)> {
    let config: Config = experiment.config()?;
    config.check()?;
    let info = ModelInfo::read(experiment)?;
    let weights = experiment.checkpoint(name)?;
    let model: Box<dyn DisentangledModel> = match built(|| build(&config, &info, device))?? {
        Built::Disentangle(mut method) => {
            restore(&weights, method.trainables())?;
            Box::new(method.into_model())
        }
        Built::Fhvae(mut method) => {
            restore(&weights, method.trainables())?;
            method
        }
        Built::Dann(mut method) => {
            restore(&weights, method.trainables())?;
            method
        }
        Built::Recogniser(_) => {
            let expected = "a method with a phonetic representation";
            let found = "a recogniser (use unbraid asr decode)";
            return Err(Error::format(experiment.path(), expected, found));
        }
    };
    Ok((model, info))
}

/// The weights of checkpoint `name` of an experiment by their names in it, `network/layer.weight`, on the CPU.
///
/// # Errors
/// As [`load`].
pub fn load_weights(
    experiment: &Experiment,
    name: &str,
) -> Result<(Config, ModelInfo, BTreeMap<String, Tensor>)> {
    let config: Config = experiment.config()?;
    config.check()?;
    let info = ModelInfo::read(experiment)?;
    let folder = experiment.checkpoint(name)?;
    let mut method = built(|| build(&config, &info, Device::Cpu))??;
    let trainables = match &mut method {
        Built::Disentangle(method) => method.trainables(),
        Built::Fhvae(method) => method.trainables(),
        Built::Dann(method) => method.trainables(),
        Built::Recogniser(method) => method.trainables(),
    };
    checkpoint::load_weights(&folder, &trainables)?;
    let weights = checkpoint::weights(&trainables).into_iter().collect();
    Ok((config, info, weights))
}

/// The recogniser of an experiment, with the weights of checkpoint `name`, and the kind of its labels.
///
/// # Errors
/// As [`load`]; [`Error::Format`] for an experiment of another method.
pub fn load_recogniser(
    experiment: &Experiment,
    name: &str,
    device: Device,
) -> Result<(Recogniser, Labels, ModelInfo)> {
    let config: Config = experiment.config()?;
    config.check()?;
    let info = ModelInfo::read(experiment)?;
    let weights = experiment.checkpoint(name)?;
    let Built::Recogniser(mut method) = built(|| build(&config, &info, device))?? else {
        let (expected, found) = ("a recogniser (unbraid asr train)", "another method");
        return Err(Error::format(experiment.path(), expected, found));
    };
    restore(&weights, method.trainables())?;
    Ok((*method, config.data.labels, info))
}

/// Loads the weights of a checkpoint and freezes them.
fn restore(weights: &Path, trainables: Vec<&mut Trainable>) -> Result<()> {
    checkpoint::load_weights(weights, &trainables)?;
    trainables.into_iter().for_each(Trainable::freeze);
    Ok(())
}

/// A method of any kind.
enum Built {
    Disentangle(Box<Disentangle>),
    Fhvae(Box<Fhvae>),
    Dann(Box<Dann<SpeechBackbone>>),
    Recogniser(Box<Recogniser>),
}

impl Built {
    fn trainables(&mut self) -> Vec<&mut Trainable> {
        match self {
            Self::Disentangle(method) => method.trainables(),
            Self::Fhvae(method) => method.trainables(),
            Self::Dann(method) => method.trainables(),
            Self::Recogniser(method) => method.trainables(),
        }
    }
}

fn build(config: &Config, info: &ModelInfo, device: Device) -> Result<Built> {
    let bins = info.normalisation.bins() as i64;
    if config.method.ssl_layers().is_some() && info.ssl.is_none() {
        let expected = "the configuration of the model of method.model.ssl_layers";
        return Err(Error::key(INVENTORY, "ssl", expected, "none"));
    }
    Ok(match &config.method {
        MethodOptions::Disentangle(options) => {
            let shape = DisentangleShape {
                bins,
                speakers: info.inventory.speakers.len() as i64,
                labels: (config.data.labels, info.inventory.labels.len() as i64),
                ssl: info.ssl.as_ref(),
            };
            Built::Disentangle(Box::new(Disentangle::new(
                options,
                shape,
                device,
                config.bf16,
            )))
        }
        MethodOptions::Fhvae(options) => {
            let shape = (bins, info.utterances as i64);
            Built::Fhvae(Box::new(Fhvae::new(options, shape, device, config.bf16)))
        }
        MethodOptions::Dann(options) => {
            let domains = options.domains(&info.inventory.speakers)?;
            let adversary = &options.adversary;
            let head = (&options.hidden[..], info.inventory.labels.len() as i64);
            let encoder = &options.phonetic_encoder;
            let build =
                |path: tch::nn::Path| SpeechBackbone::new(path, bins, encoder, &domains, device);
            let method = Dann::new(adversary, head, device, config.bf16, build);
            Built::Dann(Box::new(method))
        }
        MethodOptions::Recogniser(options) => {
            let shape = (bins, info.inventory.labels.len() as i64);
            Built::Recogniser(Box::new(Recogniser::new(
                options,
                shape,
                device,
                config.bf16,
            )))
        }
    })
}

/// Which of a run's corpora.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Use {
    Training,
    Validation,
}

/// Opens a corpus of a run, with pitch if its decoder reads it; training data are augmented.
fn open_corpus(
    (path, feats): (&Path, Option<&PathBuf>),
    config: &Config,
    front_end: Option<&AnyFrontEnd>,
    inventory: &Inventory,
    role: Use,
) -> Result<SpeechCorpus> {
    let (data, pitch) = (&config.data, config.method.reads_pitch());
    let (Input::Audio, Some(front_end)) = (data.input, front_end) else {
        let own = path.join("feats.scp");
        let feats = feats.unwrap_or(&own);
        let mut corpus = SpeechCorpus::open(path, feats, data.labels, inventory)?;
        if pitch {
            corpus.read_pitch()?;
        }
        return Ok(corpus);
    };
    let dir = DataDir::open(path)?;
    let mut feats = ComputedFeats::open(&dir, Arc::new(front_end.clone()), data.resample)?;
    if pitch {
        feats = feats.with_pitch(FramePitch::of(front_end.options())?);
    }
    if role == Use::Validation {
        return SpeechCorpus::of_audio(&dir, feats, &[1.0], data.labels, inventory);
    }
    if let Some(augment) = &data.augment {
        feats = feats.augmented(AugmentChain::new(augment.clone(), Pipes::Refused)?);
    }
    if let Some(second) = &data.second_view {
        feats = feats.with_second_view(AugmentChain::new(second.clone(), Pipes::Refused)?);
    }
    SpeechCorpus::of_audio(&dir, feats, speeds(data), data.labels, inventory)
}

/// The speeds of training utterances.
fn speeds(data: &DataOptions) -> &[f64] {
    match &data.speeds[..] {
        [] => &[1.0],
        speeds => speeds,
    }
}

/// Threads that read batches.
fn readers(data: &DataOptions, ranks: &Ranks) -> Result<ThreadPool> {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let threads = match (data.workers, data.input) {
        (0, Input::Features) => 1,
        (0, Input::Audio) => (cores() / ranks.local().1).max(1),
        (workers, _) => workers,
    };
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::option("data.workers", "threads", error.to_string()))
}

/// The corpora of a run.
struct SpeechData {
    config: Config,
    info: ModelInfo,
    train: Arc<SpeechCorpus>,
    valid: Option<SpeechCorpus>,
    readers: Arc<ThreadPool>,
}

impl SpeechData {
    /// Opens the corpora of a run in the folder `exp` and checks the number of their columns; a normalisation that the beginning does
    /// not know is fitted on the training set.
    fn open(
        config: &Config,
        front_end: Option<&AnyFrontEnd>,
        (beginning, exp, check): (&Beginning, &Path, &dyn Fn(usize) -> Result<()>),
        ranks: &Ranks,
    ) -> Result<Self> {
        let data = &config.data;
        let inventory =
            Inventory::of_speeds(&DataDir::open(&data.train)?, data.labels, speeds(data))?;
        let open = |path, feats: &Option<PathBuf>, role| {
            open_corpus((path, feats.as_ref()), config, front_end, &inventory, role)
        };
        let mut train = open(&data.train, &data.train_feats, Use::Training)?;
        train.augment_feats(data.augment_feats.clone());
        train.keep_labels(&data.labelled_speakers, data.labelled, config.seed)?;
        let valid = data.valid.as_ref();
        let mut valid = valid
            .map(|path| open(path, &data.valid_feats, Use::Validation))
            .transpose()?;
        if let MethodOptions::Recogniser(_) = config.method {
            for corpus in [&mut train].into_iter().chain(&mut valid) {
                leave_out_unlabelled(corpus)?;
            }
        }
        if let Some(subsampling) = config.method.subsampling() {
            for corpus in valid.iter().chain([&train]) {
                corpus.refuse_crowded(subsampling, config.normalisation.fixed_frames)?;
            }
        }
        if let MethodOptions::Dann(options) = &config.method {
            options.domains(&inventory.speakers)?;
        }
        let bins = train.bins()?;
        check(bins)?;
        let readers = readers(data, ranks)?;
        let normalisation = match beginning.normalisation() {
            None => readers
                .install(|| Normalisation::fit(&config.normalisation, bins, train.feats(bins)))?,
            Some(known) => {
                fine_tuning::check_bins(known, bins, &config.data.train)?;
                known.clone()
            }
        };
        // Checked before anything is written.
        let population = train.population(config.data.max_frames);
        let (sampler, drawn) = (config.data.sampler, population.clone());
        let parts = ranks.size() * config.train.accumulate;
        Sampler::of_parts(sampler, drawn, config.seed, train.path(), parts)?;
        let data = RunData {
            train: &train,
            valid: valid.as_ref(),
            population: &population,
            speakers: inventory.speakers.len(),
        };
        remarks::check(config, &data)?;
        Ok(Self {
            config: config.clone(),
            info: ModelInfo {
                inventory,
                normalisation,
                utterances: train.len(),
                ssl: ssl_config(config, front_end, bins, (beginning, exp))?,
            },
            train: Arc::new(train),
            valid,
            readers: Arc::new(readers),
        })
    }
}

/// The configuration of the model that `method.model.ssl_layers` belong to, where there are some: the one that the weights of a run
/// in the folder `exp` begin with, or that of the model's folder, of which `front_end` computes the features.
fn ssl_config(
    config: &Config,
    front_end: Option<&AnyFrontEnd>,
    bins: usize,
    (beginning, exp): (&Beginning, &Path),
) -> Result<Option<SslConfig>> {
    let Some(layers) = config.method.ssl_layers() else {
        return Ok(None);
    };
    match beginning.ssl(exp)? {
        Some(known) => Ok(Some(known)),
        None => {
            let input = front_end.and_then(|front_end| front_end.options().ssl());
            let found = layers.config("method.model.ssl_layers", bins, input);
            found.map(Some)
        }
    }
}

/// Difference of stored features from those of a network front-end, relative to their size, up to which rounding explains it.
/// Those of another layer differ by about 1.
const MOST_ROUNDING: f32 = 0.05;

impl SpeechData {
    /// Warns where stored features of the first utterance are not what a network front-end computes of its recording, where
    /// there is one: those of another layer, other weights or other audio.
    fn compare_with(&self, front_end: &AnyFrontEnd) -> Result<()> {
        let AnyFrontEndOptions::Network(network) = front_end.options() else {
            return Ok(());
        };
        let id = &self.train.ids()[0];
        let options = RecordingOptions {
            resample_hz: Some(front_end.sample_rate_hz() as u32),
            ..RecordingOptions::default()
        };
        // Audio need not be there.
        let recording = Recordings::of_dir(&self.config.data.train)
            .ok()
            .and_then(|recordings| {
                let place = recordings.places().get(id.as_str()).copied()?;
                recordings.read_at(place, &options).ok()
            });
        let (Some(recording), Some(stored)) = (recording, self.train.feats(front_end.dim()).next())
        else {
            return Ok(());
        };
        let (computed, stored) = (front_end.compute_waveform(&recording)?, stored?);
        let size = |feats: &Array2<f32>| feats.mapv(|x| x * x).sum().sqrt();
        let difference = match computed.dim() == stored.dim() {
            true => size(&(&computed - &stored)) / size(&stored),
            false => f32::INFINITY,
        };
        if difference > MOST_ROUNDING {
            log::warn!(
                "{}: {id}: the stored features are not those that data.front_end ({}) computes of the recording: another layer, \
                 other weights or other audio? Extraction from recordings (--wav) will give other codes",
                self.train.path().display(),
                network.name()
            );
        }
        Ok(())
    }

    /// What has to be the same on all ranks.
    fn facts(&self) -> Result<Facts> {
        let info = serde_json::to_string(&self.info).unwrap_or_default();
        let [corpus, info] = [self.train.checksum(), crc32c::crc32c(info.as_bytes())];
        let data = [
            (
                "data.train",
                format!(
                    "{} utterances (checksum {corpus:08x})",
                    self.info.utterances
                ),
            ),
            (
                "inventory and normalisation",
                format!("those of checksum {info:08x}"),
            ),
        ];
        let data = data.map(|(name, description)| (name.to_string(), description));
        Facts::new(&self.config, data.into())
    }
}

/// Leaves out utterances without labels, with a message: a recogniser has nothing to learn from them.
fn leave_out_unlabelled(corpus: &mut SpeechCorpus) -> Result<()> {
    let unlabelled = corpus.leave_out_unlabelled()?;
    if unlabelled > 0 {
        log::warn!(
            "{}: {unlabelled} of {} utterances have no labels and are left out",
            corpus.path().display(),
            corpus.len()
        );
    }
    Ok(())
}

impl Batches<SpeechBatch> for SpeechData {
    fn train(
        &self,
        first: u64,
        parts: &Parts,
        at_once: usize,
    ) -> Box<dyn Iterator<Item = Result<Part<SpeechBatch>>> + '_> {
        let corpus = Arc::clone(&self.train);
        let normalisation = self.info.normalisation.clone();
        let (crop, seed) = (self.config.data.crop_frames, self.config.seed);
        let sampler = Sampler::of_parts(
            self.config.data.sampler,
            corpus.population(self.config.data.max_frames),
            seed,
            corpus.path(),
            parts.count(),
        );
        let mut sampler = match sampler {
            Ok(sampler) => sampler,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let parts = parts.clone();
        let first = first * parts.own().len() as u64;
        let readers = Arc::clone(&self.readers);
        Box::new(Loader::spawn(first, at_once, move |number| {
            let (number, part) = parts.nth(number);
            let crop_seed = step_seed(seed, number) as u64;
            let drawn = sampler.batch(number);
            let (places, share) = parts.places(part, drawn.len());
            let read = || corpus.part_of_batch(&drawn, places, &normalisation, (crop, crop_seed));
            let batch = readers.install(read)?;
            Ok(Part { batch, share })
        }))
    }

    fn valid(&self) -> Box<dyn Iterator<Item = Result<SpeechBatch>> + '_> {
        let Some(corpus) = &self.valid else {
            return Box::new(std::iter::empty());
        };
        let batches = pack_by_length(corpus.drawn(), corpus.frames(), VALID_FRAMES);
        Box::new(batches.into_iter().map(|batch| {
            let read = || corpus.batch(&batch, &self.info.normalisation, 0, 0);
            self.readers.install(read)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::normalisation::NormalisationOptions;

    #[test]
    fn an_inventory_with_old_names_is_read() {
        let options = NormalisationOptions {
            subtract_utterance_mean: Some(false),
            fixed_frames: 32,
            ..Default::default()
        };
        let feats = std::iter::once(Ok(ndarray::array![[1f32, 2.0], [3.0, 5.0]]));
        let info = ModelInfo {
            inventory: Inventory {
                speakers: vec!["a".into()],
                labels: Vec::new(),
            },
            normalisation: Normalisation::fit(&options, 2, feats).unwrap(),
            utterances: 1,
            ssl: None,
        };
        let today = serde_json::to_string(&info).unwrap();
        let old = [
            ("normalisation", "view"),
            ("subtract_utterance_mean", "loudness"),
            ("fixed_frames", "stretch_frames"),
        ]
        .iter()
        .fold(today.clone(), |text, (new, old)| text.replace(new, old));
        assert!(old != today && old.contains("\"view\""), "{old}");
        assert_eq!(serde_json::from_str::<ModelInfo>(&old).unwrap(), info);
    }
}
