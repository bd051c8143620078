//! Probes trained afresh on frozen features: what can be read from a strand, by the strongest reader of a
//! family (a linear and an MLP probe on statistics, a convolutional one on sequences), each tuned on a split of
//! its own and trained to the end. An adversary's own accuracy proves nothing; a probe's does.

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::nn::Path as VarPath;
use tch::{Device, Kind, Tensor, no_grad};

use super::interval::{bootstrap, weighted_mean};
use crate::dataset::batch::{Inventory, SpeechBatch, SpeechCorpus};
use crate::dataset::labels::{Labels, NO_LABEL};
use crate::dataset::loader::Loader;
use crate::dataset::sampler::{Population, Sampler, SamplerOptions, pack_by_length};
use crate::dataset::view::FeatureView;
use crate::error::{Error, Result};
use crate::nn::classifier::Answer;
use crate::nn::layer::{BatchNorm, Conv1d, Linear};
use crate::nn::pooling::statistics;
use crate::nn::{Classifier, ClassifierOptions, Mask, PerturbOptions};
use crate::objective::classification::cross_entropy;
use crate::train::optimiser::OptimiserKind;
use crate::train::schedule::{Decay, Schedule};
use crate::train::trainer::step_seed;
use crate::train::{OptimiserOptions, Player, update};

/// What a probe reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The speaker, from `utt2spk`.
    Speaker,
    /// The utterance's line in `text`: a word, for single words.
    Text,
    /// The class of every frame, from `ali.scp`: phones.
    Frames,
}

impl Target {
    fn labels(self) -> Labels {
        match self {
            Target::Speaker => Labels::None,
            Target::Text => Labels::Text,
            Target::Frames => Labels::Frames,
        }
    }

    fn of(self, batch: &SpeechBatch) -> Tensor {
        match (self, &batch.labels) {
            (Target::Speaker, _) => batch.speakers.shallow_clone(),
            (_, Some(labels)) => labels.shallow_clone(),
            (_, None) => batch.speakers.full_like(NO_LABEL),
        }
    }

    fn answer(self) -> Answer {
        match self {
            Target::Frames => Answer::Frames,
            Target::Speaker | Target::Text => Answer::Sequence,
        }
    }
}

/// The networks that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Logistic regression on mean and deviation over time (on the frame itself, for frame classes).
    Linear,
    /// Two hidden layers on the same.
    Mlp,
    /// Convolutions over the sequence.
    Cnn,
}

/// How probes are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeOptions {
    /// Families; the strongest on the split of its own is reported.
    pub families: Vec<Family>,
    /// Seeds of each.
    pub seeds: u64,
    /// Passes over the training utterances.
    pub epochs: u64,
    /// Least number of steps, for small sets.
    pub min_steps: u64,
    /// Utterances a step.
    pub batch: usize,
    /// Longest window in training, in frames.
    pub crop_frames: usize,
    /// Share of the training utterances on which the best moment of training is chosen.
    pub dev_share: f64,
    /// Whether probes learn from features with masks and noise: judges of decoded features, which are smoother
    /// than the real ones that they are trained on.
    pub robust: bool,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            families: vec![Family::Linear, Family::Mlp, Family::Cnn],
            seeds: 3,
            epochs: 20,
            min_steps: 1000,
            batch: 64,
            crop_frames: 100,
            dev_share: 0.1,
            robust: false,
        }
    }
}

/// One trained probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeRun {
    /// Which network.
    pub family: Family,
    /// Its seed.
    pub seed: u64,
    /// Accuracy on its own split at its best moment.
    pub dev: f64,
    /// Accuracy on the test set at that moment.
    pub test: f64,
    /// Epoch of that moment, and of how many: a best moment at the end asks for longer training.
    pub best_epoch: (u64, u64),
}

/// What a strand tells of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// Name of the strand.
    pub strand: String,
    /// What was read.
    pub target: Target,
    /// Family of the strongest probe on its own split.
    pub probe: Family,
    /// Mean test accuracy of its seeds.
    pub accuracy: f64,
    /// Lowest and highest of its seeds.
    pub range: (f64, f64),
    /// 95 % bootstrap interval over test utterances.
    pub interval: (f64, f64),
    /// Accuracy of always naming the most frequent class of the test set.
    pub chance: f64,
    /// Number of classes.
    pub classes: usize,
    /// Utterances to learn from and to test on.
    pub utterances: (usize, usize),
    /// Every probe.
    pub runs: Vec<ProbeRun>,
}

/// Where the frozen features and their labels lie.
#[derive(Debug, Clone, Copy)]
pub struct ProbeData<'a> {
    /// Data directory and feature list to learn from.
    pub train: (&'a Path, &'a Path),
    /// Data directory and feature list to test on.
    pub test: (&'a Path, &'a Path),
}

/// Trains the family on `data` and reports the strongest. `progress` is told after each probe.
///
/// # Errors
/// What the data says; [`Error::Key`] for a test label that training does not know; [`Error::Format`] when
/// there is a single class.
pub fn probe(
    strand: &str,
    target: Target,
    data: ProbeData,
    options: &ProbeOptions,
    mut progress: impl FnMut(&ProbeRun),
) -> Result<ProbeResult> {
    let task = Task::open(target, data, options)?;
    let mut runs = Vec::new();
    let mut tests: Vec<(Family, Vec<(f64, f64)>)> = Vec::new();
    for &family in &options.families {
        if family == Family::Cnn && task.train.holds_vectors() {
            continue; // A vector has no time to convolve over; the MLP is its strong probe.
        }
        for seed in 0..options.seeds {
            let (run, test) = task.train_probe(family, seed, options)?;
            progress(&run);
            runs.push(run);
            tests.push((family, test));
        }
    }
    summarise(strand, &task, runs, &tests)
}

fn summarise(
    strand: &str,
    task: &Task,
    runs: Vec<ProbeRun>,
    tests: &[(Family, Vec<(f64, f64)>)],
) -> Result<ProbeResult> {
    let mean = |family: Family, value: fn(&ProbeRun) -> f64| {
        let own = runs.iter().filter(|run| run.family == family);
        weighted_mean(own.map(|run| (value(run), 1.0)))
    };
    let strongest = runs
        .iter()
        .map(|run| run.family)
        .max_by(|&a, &b| mean(a, |r| r.dev).total_cmp(&mean(b, |r| r.dev)))
        .ok_or_else(|| Error::option("probe families", "one that fits the features", "none"))?;
    let of_strongest = || {
        runs.iter()
            .filter(|run| run.family == strongest)
            .map(|run| run.test)
    };
    // Every utterance's mean over seeds, so that the interval is of what is reported.
    let chosen: Vec<&Vec<(f64, f64)>> = tests
        .iter()
        .filter(|(family, _)| *family == strongest)
        .map(|(_, test)| test)
        .collect();
    let by_utterance: Vec<(f64, f64)> = (0..chosen.first().map_or(0, |test| test.len()))
        .map(|u| {
            let right: f64 = chosen.iter().map(|test| test[u].0).sum();
            (right / chosen.len() as f64, chosen[0][u].1)
        })
        .collect();
    Ok(ProbeResult {
        strand: strand.to_string(),
        target: task.target,
        probe: strongest,
        accuracy: mean(strongest, |run| run.test),
        range: (
            of_strongest().fold(f64::INFINITY, f64::min),
            of_strongest().fold(f64::NEG_INFINITY, f64::max),
        ),
        interval: bootstrap(&by_utterance, 0),
        chance: task.chance()?,
        classes: task.classes as usize,
        utterances: (task.train.len(), task.test.len()),
        runs,
    })
}

/// A target on a pair of sets.
struct Task {
    target: Target,
    train: Arc<SpeechCorpus>,
    test: SpeechCorpus,
    view: FeatureView,
    classes: i64,
}

impl Task {
    fn open(target: Target, data: ProbeData, options: &ProbeOptions) -> Result<Self> {
        let labels = target.labels();
        let inventory = Inventory::of(data.train.0, labels)?;
        let train = SpeechCorpus::open(data.train.0, data.train.1, labels, &inventory)?;
        let test = SpeechCorpus::open(data.test.0, data.test.1, labels, &inventory)?;
        if train.holds_vectors() != test.holds_vectors() {
            let kind = |corpus: &SpeechCorpus| match corpus.holds_vectors() {
                true => "vectors",
                false => "matrices",
            };
            let expected = format!("{}, as {} lists", kind(&train), data.train.1.display());
            return Err(Error::format(data.test.1, expected, kind(&test)));
        }
        let classes = match target {
            Target::Speaker => inventory.speakers.len(),
            Target::Text | Target::Frames => inventory.labels.len(),
        };
        if classes < 2 {
            let found = format!("{classes}");
            return Err(Error::format(
                data.train.0,
                "at least 2 classes to tell apart",
                found,
            ));
        }
        if options.seeds == 0 || options.batch == 0 || !(0.0..1.0).contains(&options.dev_share) {
            let found = format!("{options:?}");
            return Err(Error::option(
                "probe",
                "seeds and batch of at least 1, dev_share below 1",
                found,
            ));
        }
        let task = Self {
            target,
            view: FeatureView::identity(train.bins()?),
            train: Arc::new(train),
            test,
            classes: classes as i64,
        };
        task.refuse_unknown()?;
        Ok(task)
    }

    /// A test label that no training utterance bears cannot be named by any probe.
    fn refuse_unknown(&self) -> Result<()> {
        let labels = match self.target {
            Target::Speaker => Some(self.test.speakers()),
            Target::Text => self.test.words(),
            Target::Frames => None,
        };
        let unknown = labels.and_then(|labels| labels.iter().position(|&label| label == NO_LABEL));
        match unknown {
            None => Ok(()),
            Some(utterance) => {
                let target = format!("{:?}", self.target).to_lowercase();
                let known = format!("a {target} of {}", self.train.path().display());
                Err(Error::key(
                    self.test.path(),
                    &self.test.ids()[utterance],
                    known,
                    "another",
                ))
            }
        }
    }

    /// Share of the most frequent class of the test set.
    fn chance(&self) -> Result<f64> {
        let mut counts = vec![0f64; self.classes as usize];
        let all: Vec<usize> = (0..self.test.len()).collect();
        for chunk in all.chunks(64) {
            let batch = self.test.batch(chunk, &self.view, 0, 0)?;
            let labels: Vec<i64> = Vec::try_from(self.target.of(&batch).reshape([-1]))?;
            for label in labels.into_iter().filter(|&label| label != NO_LABEL) {
                if let Some(count) = counts.get_mut(label as usize) {
                    *count += 1.0;
                }
            }
        }
        Ok(counts.iter().fold(0.0f64, |a, &b| a.max(b)) / counts.iter().sum::<f64>())
    }

    fn train_probe(
        &self,
        family: Family,
        seed: u64,
        options: &ProbeOptions,
    ) -> Result<(ProbeRun, Vec<(f64, f64)>)> {
        tch::manual_seed(step_seed(seed, family as u64));
        let (learn, dev) = self.split(seed, options.dev_share);
        let steps_an_epoch = learn.len().div_ceil(options.batch) as u64;
        let epochs = options
            .epochs
            .max(options.min_steps.div_ceil(steps_an_epoch));
        let total = epochs * steps_an_epoch;
        let (mut player, network) =
            Player::new("probe", Device::Cpu, &optimiser(family, total), |path| {
                Network::new(
                    path,
                    family,
                    self.view.bins() as i64,
                    self.classes,
                    self.target,
                )
            });
        let mut batches = self.batches(learn, seed, options)?;
        let mut best = Best::default();
        for epoch in 1..=epochs {
            for _ in 0..steps_an_epoch {
                let Some(batch) = batches.next() else { break };
                let batch = batch?;
                let mask = Mask::new(&batch.lengths, Device::Cpu);
                let feats = if options.robust {
                    &roughen(&batch.feats, &mask)
                } else {
                    &batch.feats
                };
                let logits = network.forward(feats, &mask, true);
                let loss = cross_entropy(&logits, &self.target.of(&batch), 0.1);
                update(&mut [&mut player], &loss, total)?;
            }
            // Looking more often than some twenty times would only cost time.
            if epoch % (epochs / 20).max(1) == 0 || epoch == epochs {
                let dev = weighted_mean(self.accuracies(&network, &self.train, &dev)?);
                best.offer(dev, epoch, &player);
            }
        }
        best.restore(&player);
        let everything: Vec<usize> = (0..self.test.len()).collect();
        let test = self.accuracies(&network, &self.test, &everything)?;
        let run = ProbeRun {
            family,
            seed,
            dev: best.accuracy,
            test: weighted_mean(test.iter().copied()),
            best_epoch: (best.epoch, epochs),
        };
        Ok((run, test))
    }

    /// Utterances to learn from, and those on which the best moment is chosen.
    fn split(&self, seed: u64, dev_share: f64) -> (Vec<usize>, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let dev = ((order.len() as f64 * dev_share).ceil() as usize).clamp(1, order.len());
        let learn = order.split_off(dev);
        if learn.is_empty() {
            (order.clone(), order)
        } else {
            (learn, order)
        }
    }

    fn batches(
        &self,
        learn: Vec<usize>,
        seed: u64,
        options: &ProbeOptions,
    ) -> Result<Loader<SpeechBatch>> {
        let population = Population {
            frames: vec![1; learn.len()],
            ..Population::default()
        };
        let draw = SamplerOptions::Utterances {
            batch: options.batch,
        };
        let mut sampler = Sampler::new(draw, population, seed, self.train.path())?;
        let (corpus, view, crop) = (
            Arc::clone(&self.train),
            self.view.clone(),
            options.crop_frames,
        );
        Ok(Loader::spawn(0, move |number| {
            let batch: Vec<usize> = sampler
                .batch(number)
                .into_iter()
                .map(|i| learn[i])
                .collect();
            corpus.batch(&batch, &view, crop, step_seed(seed, number) as u64)
        }))
    }

    /// `(right, counted)` of each utterance, in the order of `utterances`.
    fn accuracies(
        &self,
        network: &Network,
        corpus: &SpeechCorpus,
        utterances: &[usize],
    ) -> Result<Vec<(f64, f64)>> {
        let frames = corpus.population().frames;
        let lengths: Vec<usize> = utterances.iter().map(|&u| frames[u]).collect();
        let mut found = vec![(0.0, 0.0); utterances.len()];
        for places in pack_by_length((0..utterances.len()).collect(), &lengths, 8192) {
            let chosen: Vec<usize> = places.iter().map(|&place| utterances[place]).collect();
            let batch = corpus.batch(&chosen, &self.view, 0, 0)?;
            let mask = Mask::new(&batch.lengths, Device::Cpu);
            let logits = no_grad(|| network.forward(&batch.feats, &mask, false));
            let targets = self.target.of(&batch).reshape([batch.len(), -1]);
            let right = logits
                .argmax(1, false)
                .reshape([batch.len(), -1])
                .eq_tensor(&targets);
            let sums = |t: Tensor| -> Result<Vec<f64>> {
                Ok(Vec::try_from(t.to_kind(Kind::Double).sum_dim_intlist(
                    &[1i64][..],
                    false,
                    Kind::Double,
                ))?)
            };
            let (right, counted) = (sums(right)?, sums(targets.ne(NO_LABEL))?);
            for (index, &place) in places.iter().enumerate() {
                found[place] = (right[index], counted[index]);
            }
        }
        Ok(found)
    }
}

/// Masks of up to a fifth of the bins and of the frames, and noise of half the deviation.
fn roughen(feats: &Tensor, mask: &Mask) -> Tensor {
    let masks = PerturbOptions {
        warp: 0.0,
        mask_bins: feats.size()[1] / 5,
        mask_frames: feats.size()[2] / 5,
    };
    let feats = masks.apply(feats);
    let noise = feats.randn_like() * feats.std(false) * 0.5;
    mask.apply(feats + noise)
}

/// The best moment of a training.
#[derive(Default)]
struct Best {
    accuracy: f64,
    epoch: u64,
    tensors: Vec<Tensor>,
}

impl Best {
    fn offer(&mut self, accuracy: f64, epoch: u64, player: &Player) {
        // Of equals the later one, which has learned more.
        if self.tensors.is_empty() || accuracy >= self.accuracy {
            self.accuracy = accuracy;
            self.epoch = epoch;
            self.tensors = player
                .tensors()
                .map(|(_, tensor)| tensor.detach().copy())
                .collect();
        }
    }

    fn restore(&self, player: &Player) {
        no_grad(|| {
            for ((_, tensor), kept) in player.tensors().zip(&self.tensors) {
                tensor.shallow_clone().copy_(kept);
            }
        });
    }
}

/// The rate and decay of each family, the same for every strand: a convex problem bears a high rate, the deep ones
/// want decay.
fn optimiser(family: Family, total: u64) -> OptimiserOptions {
    let (lr, weight_decay) = match family {
        Family::Linear => (1e-2, 1e-4),
        Family::Mlp => (2e-3, 1e-2),
        Family::Cnn => (2e-3, 1e-2),
    };
    OptimiserOptions {
        kind: OptimiserKind::AdamW,
        lr,
        weight_decay,
        schedule: Schedule {
            warmup_steps: total / 20,
            decay: Decay::Cosine,
            final_ratio: 0.01,
        },
        ..OptimiserOptions::default()
    }
}

/// A probe's network. Inputs are standardised per channel.
enum Network {
    Linear { norm: BatchNorm, layer: Linear },
    Mlp(Mlp),
    FrameLinear { norm: BatchNorm, layer: Conv1d },
    Cnn(Classifier),
}

struct Mlp {
    norm: BatchNorm,
    hidden: [(Linear, BatchNorm); 2],
    output: Linear,
}

/// Width of the MLP.
const HIDDEN: i64 = 256;
const DROPOUT: f64 = 0.2;

impl Network {
    fn new(path: VarPath, family: Family, dim: i64, classes: i64, target: Target) -> Self {
        let cnn = |kernel| {
            let options = ClassifierOptions {
                channels: 96,
                kernel,
                layers: 3,
                dropout: DROPOUT,
                ..ClassifierOptions::default()
            };
            Network::Cnn(Classifier::new(
                path.sub("cnn"),
                dim,
                classes,
                target.answer(),
                &options,
            ))
        };
        match (family, target.answer()) {
            (Family::Cnn, _) => cnn(5),
            // Of width one, the same layers are an MLP at every frame.
            (Family::Mlp, Answer::Frames) => cnn(1),
            (Family::Linear, Answer::Frames) => Network::FrameLinear {
                norm: BatchNorm::plain(&path / "norm", dim),
                layer: Conv1d::new(&path / "output", dim, classes, 1),
            },
            (Family::Linear, Answer::Sequence) => Network::Linear {
                norm: BatchNorm::plain(&path / "norm", 2 * dim),
                layer: Linear::new(&path / "output", 2 * dim, classes),
            },
            (Family::Mlp, Answer::Sequence) => Network::Mlp(Mlp {
                norm: BatchNorm::plain(&path / "norm", 2 * dim),
                hidden: [(2 * dim, "hidden0"), (HIDDEN, "hidden1")].map(|(inputs, name)| {
                    let path = &path / name;
                    (
                        Linear::new(&path / "layer", inputs, HIDDEN),
                        BatchNorm::new(&path / "norm", HIDDEN),
                    )
                }),
                output: Linear::new(&path / "output", HIDDEN, classes),
            }),
        }
    }

    /// `[batch, dim, frames]` to logits, `[batch, classes]` or `[batch, classes, frames]`.
    fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        match self {
            Network::Cnn(classifier) => classifier.forward(x, mask, train),
            Network::FrameLinear { norm, layer } => layer.forward(&norm.forward(x, train)),
            Network::Linear { norm, layer } => {
                layer.forward(&norm.forward(&statistics(x, mask), train))
            }
            Network::Mlp(mlp) => {
                let mut x = mlp.norm.forward(&statistics(x, mask), train);
                for (layer, norm) in &mlp.hidden {
                    x = norm
                        .forward(&layer.forward(&x), train)
                        .relu()
                        .dropout(DROPOUT, train);
                }
                mlp.output.forward(&x)
            }
        }
    }
}
