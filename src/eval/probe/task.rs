//! One target on a pair of sets: training, selection, calibration and test of its probes.

use std::f64::consts::LN_2;
use std::sync::Arc;

use tch::{Device, Kind, Tensor, no_grad};

use super::calibration::{Calibration, Spread};
use super::folds::{Fold, folds, split, whole};
use super::network::{Network, optimiser};
use super::{CurvePoint, Family, ProbeOptions, ProbeRun, ProbeSets, Target};
use crate::dataset::batch::SpeechBatch;
use crate::dataset::corpus::{Inventory, SpeechCorpus};
use crate::dataset::labels::NO_LABEL;
use crate::dataset::loader::Loader;
use crate::dataset::normalisation::Normalisation;
use crate::dataset::sampler::{Population, Sampler, SamplerOptions, pack_by_length};
use crate::error::{Error, Result};
use crate::eval::edits::{collapse, edits};
use crate::eval::interval::weighted_mean;
use crate::nn::{Mask, PerturbOptions};
use crate::objective::classification::cross_entropy;
use crate::objective::ctc::ctc;
use crate::train::trainer::step_seed;
use crate::train::{Trainable, update};

/// The results of a probe on one utterance.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UtteranceResult {
    /// Correct labels; of sequences, labels minus edits.
    pub(super) right: f64,
    /// Labels.
    pub(super) counted: f64,
    /// Cross-entropy, summed over labels.
    pub(super) nats: f64,
}

/// The mean over folds of the points of their curves, as far as all have them; steps are the first fold's.
fn mean_curve<'a>(curves: impl Iterator<Item = &'a [CurvePoint]>) -> Vec<CurvePoint> {
    let curves: Vec<_> = curves.collect();
    let length = curves.iter().map(|curve| curve.len()).min().unwrap_or(0);
    let mean = |place: usize, value: fn(&CurvePoint) -> f64| {
        curves.iter().map(|curve| value(&curve[place])).sum::<f64>() / curves.len() as f64
    };
    let point = |place: usize| CurvePoint {
        step: curves[0][place].step,
        dev: mean(place, |point| point.dev),
        test: mean(place, |point| point.test),
    };
    (0..length).map(point).collect()
}

/// A target on a pair of sets.
pub(super) struct Task {
    pub(super) target: Target,
    pub(super) train: Arc<SpeechCorpus>,
    pub(super) test: SpeechCorpus,
    folds: Vec<Fold>,
    normalisation: Normalisation,
    pub(super) classes: i64,
    device: Device,
}

impl Task {
    pub(super) fn open(target: Target, sets: ProbeSets, options: &ProbeOptions) -> Result<Self> {
        let labels = target.labels();
        let (learned, asked) = match sets {
            ProbeSets::Apart { train, test } => (train, test),
            ProbeSets::Folds { of, .. } => (of, of),
        };
        let inventory = Inventory::of(learned.0, labels)?;
        let train = SpeechCorpus::open(learned.0, learned.1, labels, &inventory)?;
        let test = SpeechCorpus::open(asked.0, asked.1, labels, &inventory)?;
        if train.holds_vectors() != test.holds_vectors() {
            let kind = |corpus: &SpeechCorpus| match corpus.holds_vectors() {
                true => "vectors",
                false => "matrices",
            };
            let expected = format!("{}, as {} lists", kind(&train), learned.1.display());
            return Err(Error::format(asked.1, expected, kind(&test)));
        }
        let classes = match target {
            Target::Speaker => inventory.speakers.len(),
            Target::Text | Target::Frames | Target::Phones => inventory.labels.len(),
        };
        if classes < 2 {
            let found = format!("{classes}");
            return Err(Error::format(learned.0, "at least 2 classes", found));
        }
        if options.seeds == 0 || options.batch == 0 || !(0.0..1.0).contains(&options.dev_share) {
            let found = format!("{options:?}");
            return Err(Error::option(
                "probe",
                "seeds and batch of at least 1, dev_share below 1",
                found,
            ));
        }
        if target == Target::Phones {
            train.refuse_crowded(1, 0)?;
            test.refuse_crowded(1, 0)?;
        }
        let folds = match sets {
            ProbeSets::Apart { .. } => whole(train.len(), test.len()),
            ProbeSets::Folds { folds: count, .. } => folds(target, &test, count)?,
        };
        let task = Self {
            target,
            folds,
            normalisation: Normalisation::identity(train.bins()?),
            train: Arc::new(train),
            test,
            classes: classes as i64,
            device: options.device.resolve()?,
        };
        task.refuse_unknown()?;
        Ok(task)
    }

    /// Refuses a test label that no training utterance has: no probe can predict it.
    fn refuse_unknown(&self) -> Result<()> {
        let labels = match self.target {
            Target::Speaker => Some(self.test.speakers()),
            Target::Text => self.test.words(),
            Target::Frames | Target::Phones => None,
        };
        let unknown = labels.and_then(|labels| labels.iter().position(|&label| label == NO_LABEL));
        match unknown {
            None => Ok(()),
            Some(utterance) => {
                let target = format!("{:?}", self.target).to_lowercase();
                // Test speakers that training did not see are the usual case.
                let hint = match self.target {
                    Target::Speaker => " (or one data directory alone, for cross-validation)",
                    _ => "",
                };
                let known = format!("a {target} of {}{hint}", self.train.path().display());
                Err(Error::key(
                    self.test.path(),
                    &self.test.ids()[utterance],
                    known,
                    "another",
                ))
            }
        }
    }

    /// The distribution of the test set's labels.
    pub(super) fn spread(&self) -> Result<Spread> {
        if self.target == Target::Phones {
            return Ok(Spread::default());
        }
        let mut counts = vec![0f64; self.classes as usize];
        let all: Vec<usize> = (0..self.test.len()).collect();
        for chunk in all.chunks(64) {
            let batch = self.test.batch(chunk, &self.normalisation, 0, 0)?;
            let labels: Vec<i64> = Vec::try_from(self.target.of(&batch).reshape([-1]))?;
            for label in labels.into_iter().filter(|&label| label != NO_LABEL) {
                if let Some(count) = counts.get_mut(label as usize) {
                    *count += 1.0;
                }
            }
        }
        Ok(Spread::of(&counts))
    }

    /// Utterances that a probe learns from, on average over folds, and those that are tested in all.
    pub(super) fn utterances(&self) -> (usize, usize) {
        let learned: usize = self.folds.iter().map(|fold| fold.learn.len()).sum();
        (learned / self.folds.len(), self.test.len())
    }

    /// Trains a probe per fold; what they read from each test utterance, each at its best moment.
    pub(super) fn cross_validate(
        &self,
        family: Family,
        seed: u64,
        options: &ProbeOptions,
    ) -> Result<(ProbeRun, Vec<UtteranceResult>)> {
        let mut runs = Vec::new();
        let mut found = vec![UtteranceResult::default(); self.test.len()];
        for fold in &self.folds {
            let (run, test) = self.train_probe(fold, (family, seed), options)?;
            (fold.ask.iter().zip(test)).for_each(|(&utterance, one)| found[utterance] = one);
            runs.push(run);
        }
        let mean =
            |value: fn(&ProbeRun) -> f64| runs.iter().map(value).sum::<f64>() / runs.len() as f64;
        let run = ProbeRun {
            family,
            seed,
            dev: mean(|run| run.dev),
            test: accuracy(&found),
            // The latest says best whether longer training would help.
            best_epoch: runs
                .iter()
                .map(|run| run.best_epoch)
                .max()
                .unwrap_or_default(),
            cross_entropy: weighted_mean(found.iter().map(|one| (one.nats, one.counted))) / LN_2,
            temperature: mean(|run| run.temperature),
            curve: mean_curve(runs.iter().map(|run| &run.curve[..])),
        };
        Ok((run, found))
    }

    /// Trains a probe; what it reads from each utterance that the fold asks about, at its best moment.
    fn train_probe(
        &self,
        fold: &Fold,
        (family, seed): (Family, u64),
        options: &ProbeOptions,
    ) -> Result<(ProbeRun, Vec<UtteranceResult>)> {
        tch::manual_seed(step_seed(seed, family as u64));
        let (learn, dev) = split(&fold.learn, seed, options.dev_share);
        let steps_an_epoch = learn.len().div_ceil(options.batch) as u64;
        let epochs = options
            .epochs
            .max(options.min_steps.div_ceil(steps_an_epoch));
        let total = epochs * steps_an_epoch;
        let (mut trainable, network) =
            Trainable::new("probe", self.device, &optimiser(family, total), |path| {
                let dim = self.normalisation.bins() as i64;
                let blank = i64::from(self.target == Target::Phones);
                Network::new(path, family, dim, self.classes + blank, self.target)
            });
        let mut batches = self.batches(learn, seed, options)?;
        let mut best = Best::default();
        let mut curve = Vec::new();
        for epoch in 1..=epochs {
            for _ in 0..steps_an_epoch {
                let Some(batch) = batches.next() else { break };
                self.learn(&network, &mut trainable, &batch?, (total, options.robust))?;
            }
            // More than about twenty evaluations would only cost time.
            if epoch % (epochs / 20).max(1) == 0 || epoch == epochs {
                let dev =
                    accuracy(&self.evaluate(&network, &self.train, &dev, &Calibration::NONE)?);
                best.offer(dev, epoch, &trainable);
                if options.curve {
                    let test =
                        self.evaluate(&network, &self.test, &fold.ask, &Calibration::NONE)?;
                    let step = epoch * steps_an_epoch;
                    let test = accuracy(&test);
                    curve.push(CurvePoint { step, dev, test });
                }
            }
        }
        best.restore(&trainable);
        let calibration = self.calibrate(&network, &dev)?;
        let test = self.evaluate(&network, &self.test, &fold.ask, &calibration)?;
        let run = ProbeRun {
            family,
            seed,
            dev: best.accuracy,
            test: accuracy(&test),
            best_epoch: (best.epoch, epochs),
            cross_entropy: weighted_mean(test.iter().map(|one| (one.nats, one.counted))) / LN_2,
            temperature: calibration.temperature,
            curve,
        };
        Ok((run, test))
    }

    fn learn(
        &self,
        network: &Network,
        trainable: &mut Trainable,
        batch: &SpeechBatch,
        (total, robust): (u64, bool),
    ) -> Result<()> {
        let batch = batch.to(self.device);
        let mask = Mask::new(&batch.lengths, self.device);
        let feats = if robust {
            &roughen(&batch.feats, &mask)
        } else {
            &batch.feats
        };
        let logits = network.forward(feats, &mask, true);
        let targets = self.target.of(&batch);
        let loss = match self.target {
            Target::Phones => ctc(&logits, &mask, &targets),
            _ => cross_entropy(&logits, &targets, 0.1),
        };
        update(&mut [trainable], &loss, total)?;
        Ok(())
    }

    fn batches(
        &self,
        learn: Vec<usize>,
        seed: u64,
        options: &ProbeOptions,
    ) -> Result<Loader<SpeechBatch>> {
        let population = Population {
            frames: vec![1; learn.len()],
            utterances: (0..learn.len()).collect(),
            ..Population::default()
        };
        let draw = SamplerOptions::Utterances {
            batch: options.batch,
        };
        let mut sampler = Sampler::new(draw, population, seed, self.train.path())?;
        let (corpus, normalisation, crop) = (
            Arc::clone(&self.train),
            self.normalisation.clone(),
            // Phone sequences have no times to crop at.
            match self.target {
                Target::Phones => 0,
                _ => options.crop_frames,
            },
        );
        Ok(Loader::spawn(0, 1, move |number| {
            let batch: Vec<usize> = sampler
                .batch(number)
                .into_iter()
                .map(|i| learn[i])
                .collect();
            corpus.batch(&batch, &normalisation, crop, step_seed(seed, number) as u64)
        }))
    }

    /// What a probe reads from each utterance, in the order of `utterances`.
    fn evaluate(
        &self,
        network: &Network,
        corpus: &SpeechCorpus,
        utterances: &[usize],
        calibration: &Calibration,
    ) -> Result<Vec<UtteranceResult>> {
        let mut found = vec![UtteranceResult::default(); utterances.len()];
        self.each_batch(
            network,
            corpus,
            utterances,
            |places, (logits, mask), targets| {
                if self.target == Target::Phones {
                    let results = self.sequences(logits, mask, targets)?;
                    places
                        .iter()
                        .zip(results)
                        .for_each(|(&place, one)| found[place] = one);
                    return Ok(());
                }
                let right = logits.argmax(1, false).eq_tensor(targets);
                let nats = calibration.nats(logits, targets);
                let sums = |t: &Tensor| sums_by_utterance(t, places.len());
                let (right, counted) = (sums(&right)?, sums(&targets.ne(NO_LABEL))?);
                let nats = sums(&nats)?;
                for (index, &place) in places.iter().enumerate() {
                    found[place] = UtteranceResult {
                        right: right[index],
                        counted: counted[index],
                        nats: nats[index],
                    };
                }
                Ok(())
            },
        )?;
        Ok(found)
    }

    /// The results of the best path for each phone sequence.
    fn sequences(
        &self,
        logits: &Tensor,
        mask: &Mask,
        targets: &Tensor,
    ) -> Result<Vec<UtteranceResult>> {
        let paths = Vec::<Vec<i64>>::try_from(logits.argmax(1, false))?;
        let strings = Vec::<Vec<i64>>::try_from(targets)?;
        let triples = paths.iter().zip(mask.lengths()).zip(&strings);
        let results = triples.map(|((path, &frames), string)| {
            let hypothesis = collapse(&path[..frames as usize], self.classes);
            let string: Vec<i64> = string.iter().copied().filter(|&p| p != NO_LABEL).collect();
            let edits = edits(&string, &hypothesis).count() as f64;
            UtteranceResult {
                right: string.len() as f64 - edits,
                counted: string.len() as f64,
                nats: 0.0,
            }
        });
        Ok(results.collect())
    }

    /// The temperature that fits a probe's development split best.
    fn calibrate(&self, network: &Network, dev: &[usize]) -> Result<Calibration> {
        if self.target == Target::Phones {
            return Ok(Calibration::NONE);
        }
        let candidates = Calibration::candidates(dev.len());
        let mut sums = vec![0.0; candidates.len()];
        self.each_batch(network, &self.train, dev, |_, (logits, _), targets| {
            for (sum, candidate) in sums.iter_mut().zip(&candidates) {
                *sum += candidate
                    .nats(logits, targets)
                    .sum(Kind::Double)
                    .double_value(&[]);
            }
            Ok(())
        })?;
        let best = sums
            .iter()
            .zip(&candidates)
            .min_by(|a, b| a.0.total_cmp(b.0));
        Ok(best.map_or(Calibration::NONE, |(_, candidate)| *candidate))
    }

    /// Calls `take` per batch of utterances of similar length, with their indices in `utterances`, their logits, the mask of
    /// frames, and their targets.
    fn each_batch(
        &self,
        network: &Network,
        corpus: &SpeechCorpus,
        utterances: &[usize],
        mut take: impl FnMut(&[usize], (&Tensor, &Mask), &Tensor) -> Result<()>,
    ) -> Result<()> {
        let frames = corpus.frames();
        let lengths: Vec<usize> = utterances.iter().map(|&u| frames[u]).collect();
        for places in pack_by_length((0..utterances.len()).collect(), &lengths, 8192) {
            let chosen: Vec<usize> = places.iter().map(|&place| utterances[place]).collect();
            let batch = corpus
                .batch(&chosen, &self.normalisation, 0, 0)?
                .to(self.device);
            let mask = Mask::new(&batch.lengths, self.device);
            let logits = no_grad(|| network.forward(&batch.feats, &mask, false));
            refuse_non_finite(corpus, &chosen, &logits)?;
            take(&places, (&logits, &mask), &self.target.of(&batch))?;
        }
        Ok(())
    }
}

/// Refuses logits that are not finite, naming the first of `utterances` that has them.
fn refuse_non_finite(corpus: &SpeechCorpus, utterances: &[usize], logits: &Tensor) -> Result<()> {
    let finite = logits.isfinite().flatten(1, -1).all_dim(1, false);
    let finite = Vec::<bool>::try_from(finite)?;
    match utterances.iter().zip(finite).find(|(_, finite)| !finite) {
        None => Ok(()),
        Some((&utterance, _)) => {
            let expected = "features for which a probe's output is finite";
            let (path, id) = (corpus.path(), &corpus.ids()[utterance]);
            Err(Error::key(path, id, expected, "others"))
        }
    }
}

fn accuracy(results: &[UtteranceResult]) -> f64 {
    weighted_mean(results.iter().map(|one| (one.right, one.counted)))
}

/// Sums of `[batch]` or `[batch, frames]` over frames.
fn sums_by_utterance(values: &Tensor, batch: usize) -> Result<Vec<f64>> {
    let rows = values.to_kind(Kind::Double).reshape([batch as i64, -1]);
    Ok(Vec::try_from(rows.sum_dim_intlist(
        &[1i64][..],
        false,
        Kind::Double,
    ))?)
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

/// The best epoch of a training.
#[derive(Default)]
struct Best {
    accuracy: f64,
    epoch: u64,
    tensors: Vec<Tensor>,
}

impl Best {
    fn offer(&mut self, accuracy: f64, epoch: u64, trainable: &Trainable) {
        // Of equally good ones the later one, which is trained longer.
        if self.tensors.is_empty() || accuracy >= self.accuracy {
            self.accuracy = accuracy;
            self.epoch = epoch;
            self.tensors = trainable
                .tensors()
                .map(|(_, tensor)| tensor.detach().copy())
                .collect();
        }
    }

    fn restore(&self, trainable: &Trainable) {
        no_grad(|| {
            for ((_, tensor), kept) in trainable.tensors().zip(&self.tensors) {
                tensor.shallow_clone().copy_(kept);
            }
        });
    }
}
