//! The training loop: batches, clock, log, validation, checkpoints, resuming and signals.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

use super::Trainable;
use super::checkpoint;
use super::experiment::Experiment;
use super::gradient::GradientPart;
use super::log::{Log, LogLine};
use super::method::{Clock, DISCRIMINATOR_ACCURACY, Method, Scalars, mean_of};
use super::ranks::Ranks;
use super::schedule::MAX_STEPS;
use super::verdict::{self, RunFacts};
use crate::dataset::parts::{Part, Parts};
use crate::error::{Error, Result, check_within};
use crate::io::interrupt::StopSignal;
use crate::io::scratch;

/// Number of steps, validation, checkpoints and logging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainOptions {
    /// Number of training steps.
    pub steps: u64,
    /// Steps between log lines.
    pub log_every: u64,
    /// Steps between validations; 0 never validates.
    pub validate_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Longest time between checkpoints in minutes, for runs with slow steps; 0 sets no limit.
    pub checkpoint_minutes: f64,
    /// Number of latest checkpoints to keep, in addition to `best`. The last one is always kept.
    pub keep_checkpoints: usize,
    /// Validation term whose lowest value makes a checkpoint `best`: `loss`, or another term of the log's `valid`
    /// lines.
    pub select: String,
    /// First step that can become `best`. Set it to the end of the ramps: before that the loss lacks terms and is too
    /// low.
    pub select_after: u64,
    /// CPU threads; 0 uses all cores, divided by the number of ranks on this machine. Only runs with the same number are
    /// equal bit for bit.
    pub threads: i32,
    /// Batches per update (gradient accumulation). Their gradients are averaged, so that an update is that of a batch of
    /// `accumulate` times the size, which need not fit into memory. Batch statistics (batch normalisation) and losses that
    /// compare the utterances of a batch see one batch at a time.
    pub accumulate: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            steps: 3000,
            log_every: 50,
            validate_every: 500,
            checkpoint_every: 500,
            checkpoint_minutes: 10.0,
            keep_checkpoints: 2,
            select: "loss".into(),
            select_after: 0,
            threads: 0,
            accumulate: 1,
        }
    }
}

impl TrainOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        for (key, value, least) in [
            ("steps", self.steps, 1),
            ("log_every", self.log_every, 1),
            ("validate_every", self.validate_every, 0),
            ("checkpoint_every", self.checkpoint_every, 1),
            ("select_after", self.select_after, 0),
        ] {
            check_within(format!("train.{key}"), value, least..=MAX_STEPS)?;
        }
        check_within(
            "train.checkpoint_minutes",
            self.checkpoint_minutes,
            0.0..=1e6,
        )?;
        check_within(
            "train.keep_checkpoints",
            self.keep_checkpoints,
            0..=1_000_000,
        )?;
        check_within("train.threads", self.threads, 0..=1024)?;
        check_within("train.accumulate", self.accumulate, 1..=1024)
    }

    /// Sets the number of threads of this process, one of so many on this machine.
    pub fn set_threads(&self, (_, here): (usize, usize)) {
        if self.threads > 0 {
            tch::set_num_threads(self.threads);
        } else if here > 1 && std::env::var_os("OMP_NUM_THREADS").is_none() {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            tch::set_num_threads((cores / here).max(1) as i32);
        }
    }
}

/// Receives how far a run is; `()` ignores it.
pub trait Progress {
    /// The run goes from step `done` to `steps`.
    fn begin(&mut self, _done: u64, _steps: u64) {}
    /// One more step is done.
    fn step(&mut self) {}
    /// The terms of a step, in short.
    fn terms(&mut self, _text: &str) {}
    /// The terms of a validation, as a line.
    fn validation(&mut self, _line: &str) {}
    /// The run has ended.
    fn end(&mut self) {}
}

impl Progress for () {}

/// The data of a run: training and validation batches.
pub trait Batches<B> {
    /// An endless stream of the own `parts` of training batches, from batch number `first`, of which a step takes `at_once`
    /// parts; equal numbers give equal batches.
    fn train(
        &self,
        first: u64,
        parts: &Parts,
        at_once: usize,
    ) -> Box<dyn Iterator<Item = Result<Part<B>>> + '_>;
    /// One pass over the validation set; empty without one.
    fn valid(&self) -> Box<dyn Iterator<Item = Result<B>> + '_>;
}

/// What a run is trained with, beside its method and data.
#[derive(Debug)]
pub struct Job<'a> {
    /// The folder that rank 0 writes.
    pub experiment: &'a Experiment,
    /// Number of steps and intervals.
    pub options: &'a TrainOptions,
    /// Seed of all random numbers.
    pub seed: u64,
    /// The processes that train together.
    pub ranks: &'a Arc<Ranks>,
}

impl Job<'_> {
    /// The parts of each batch that this rank takes.
    fn parts(&self) -> Parts {
        Parts::of_rank(
            self.ranks.rank(),
            self.ranks.size(),
            self.options.accumulate,
        )
    }

    /// One step with the own parts of its `batches`, in order: the terms of each part.
    fn step<M: Method + ?Sized>(
        &self,
        method: &mut M,
        batches: Vec<Part<M::Batch>>,
        clock: &Clock,
    ) -> Result<Vec<Scalars>> {
        let parts = self.parts();
        // The state of libtorch's generator cannot be read, so each step has a seed of its own.
        let seed = step_seed(self.seed, clock.step);
        tch::manual_seed(seed);
        method.before_step(clock);
        let mut scalars: Vec<Scalars> = parts.own().map(|_| Scalars::default()).collect();
        let mut batches = batches.into_iter();
        for batch in 0..method.batches_per_step() {
            let clock = Clock { batch, ..*clock };
            for (part, scalars) in parts.own().zip(&mut scalars) {
                let Some(Part { batch, share }) = batches.next() else {
                    return Err(Error::option("batches", "one more", "none"));
                };
                let is_divided = parts.count() > 1;
                if is_divided {
                    // And each part has: dropout is not the same in all of them.
                    let place = clock.batch * parts.count() + part;
                    tch::manual_seed(step_seed(seed as u64, place as u64));
                }
                let part = GradientPart {
                    ranks: Arc::clone(self.ranks),
                    share: is_divided.then_some(share),
                    is_last: part + 1 == parts.own().end,
                };
                let trainables = method.trainables().into_iter();
                trainables.for_each(|trainable| trainable.set_part(part.clone()));
                method.step(&batch, &clock, scalars)?;
            }
        }
        self.share_buffers(method)?;
        Ok(scalars)
    }

    /// Gives all ranks the running statistics of rank 0, which are those of its parts.
    fn share_buffers<M: Method + ?Sized>(&self, method: &mut M) -> Result<()> {
        if self.ranks.size() == 1 {
            return Ok(());
        }
        let trainables = method.trainables();
        let buffers: Vec<&Tensor> = trainables.iter().flat_map(|t| t.buffers()).collect();
        if buffers.is_empty() {
            return Ok(());
        }
        let flat: Vec<Tensor> = buffers.iter().map(|buffer| buffer.reshape([-1])).collect();
        let all = Tensor::cat(&flat, 0);
        self.ranks.copy_from_first(&all)?;
        if self.ranks.is_first() {
            return Ok(());
        }
        let mut start = 0;
        for buffer in buffers {
            let length = buffer.numel() as i64;
            let values = all.narrow(0, start, length).view_as(buffer);
            no_grad(|| buffer.shallow_clone().copy_(&values));
            start += length;
        }
        Ok(())
    }
}

/// Trains `method` to its last step, from its last checkpoint if the experiment has one.
///
/// # Errors
/// [`Error::NonFinite`] when a loss diverges, [`Error::Interrupted`] when a signal ended the run (after saving it),
/// [`Error::Rank`] when another rank failed, errors of reading batches (after saving it) and of writing checkpoints.
pub fn train<M: Method + ?Sized>(
    method: &mut M,
    batches: &impl Batches<M::Batch>,
    job: &Job,
    progress: &mut dyn Progress,
) -> Result<()> {
    let Job {
        options,
        experiment,
        ranks,
        ..
    } = *job;
    (method.division()).check(ranks.size(), options.accumulate)?;
    let mut run = Run::start(method, job)?;
    run.check_selection(method, batches)?;
    let stop = StopSignal::watch()?;
    progress.begin(run.state.step, options.steps);
    let per_step = method.batches_per_step();
    let (first, parts) = (run.state.step * per_step as u64, job.parts());
    let parts_per_step = per_step * parts.own().len();
    let mut stream = batches.train(first, &parts, parts_per_step);
    while run.state.step < options.steps {
        let clock = Clock {
            step: run.state.step,
            total: options.steps,
            batch: 0,
        };
        // All are read before the step begins: where one cannot be, what there is can be saved.
        let read: Result<Vec<_>> = stream.by_ref().take(parts_per_step).collect();
        let scalars = match read {
            Ok(read) => job.step(method, read, &clock)?,
            Err(error) => {
                run.save_before(&error, method);
                return Err(error);
            }
        };
        run.state.step += 1;
        ranks.at_step(run.state.step);
        run.incomplete.clone_from(&scalars[0].incomplete);
        progress.step();
        run.after_step(method, batches, &scalars, progress)?;
        if let Some(signal) = ranks.any_signal(stop.received())? {
            run.save(method)?;
            return Err(Error::Interrupted {
                signal,
                step: run.state.step,
            });
        }
    }
    progress.end();
    if !ranks.is_first() {
        return Ok(());
    }
    checkpoint::mend_links(experiment.path(), &run.state)?;
    if let Some(why) = &run.incomplete {
        let exp = experiment.path().display();
        log::warn!("{exp}: the loss lacked terms until the last step: {why}");
    }
    for line in verdict_of(experiment, options)? {
        log::info!("{}: {line}", experiment.path().display());
    }
    Ok(())
}

/// The verdict on an experiment, by its log and its last checkpoint.
///
/// # Errors
/// Errors of reading them.
pub fn verdict_of(experiment: &Experiment, options: &TrainOptions) -> Result<Vec<String>> {
    let path = experiment.path();
    let log = super::log::read(&path.join("log.jsonl"))?;
    let last = checkpoint::newest(path)?;
    let state = last
        .map(|folder| checkpoint::read_state(&folder))
        .transpose()?;
    let facts = RunFacts {
        steps: options.steps,
        validate_every: options.validate_every,
        select: &options.select,
        select_after: options.select_after,
        best: state.and_then(|state| state.best).map(|(step, _)| step),
        is_fine_tuning: experiment.is_fine_tuning(),
    };
    Ok(verdict::lines(&log, &facts))
}

/// The state of a run, of which rank 0 writes the files.
struct Run<'a> {
    experiment: &'a Experiment,
    options: &'a TrainOptions,
    /// None on other ranks.
    log: Option<Log>,
    state: checkpoint::State,
    began: Instant,
    /// When the last checkpoint was written.
    saved: Instant,
    /// Why the loss of the last step lacks terms.
    incomplete: Option<String>,
}

impl<'a> Run<'a> {
    fn start<M: Method + ?Sized>(method: &mut M, job: &Job<'a>) -> Result<Self> {
        let Job {
            experiment,
            options,
            ranks,
            ..
        } = *job;
        let mut state = checkpoint::State::default();
        let mut log = None;
        if ranks.is_first() {
            state = restore(method, job)?;
            log = Some(Log::open(experiment.path(), state.step)?);
        }
        checkpoint::share(ranks, &mut method.trainables(), &mut state)?;
        ranks.at_step(state.step);
        Ok(Self {
            experiment,
            options,
            log,
            state,
            began: Instant::now(),
            saved: Instant::now(),
            incomplete: None,
        })
    }

    fn after_step<M: Method + ?Sized>(
        &mut self,
        method: &mut M,
        batches: &impl Batches<M::Batch>,
        scalars: &[Scalars],
        progress: &mut dyn Progress,
    ) -> Result<()> {
        if self.log.is_none() {
            return Ok(());
        }
        let due = |every: u64| {
            every > 0
                && (self.state.step.is_multiple_of(every) || self.state.step == self.options.steps)
        };
        let (log, validate, save) = (
            due(self.options.log_every),
            due(self.options.validate_every),
            due(self.options.checkpoint_every) || self.is_late(),
        );
        if log || save {
            let values = mean_of(scalars);
            self.refuse_non_finite("train", &values)?;
            if log {
                self.refuse_stalled(&values, scalars[0].patience)?;
            }
            progress.terms(&brief(&values));
            if log {
                self.write("train", values)?;
            }
        }
        let improved = validate && self.validate(method, batches, progress)?;
        if save || improved {
            self.save(method)?;
        }
        Ok(())
    }

    /// Whether the last checkpoint is too long ago.
    fn is_late(&self) -> bool {
        let minutes = self.options.checkpoint_minutes;
        minutes > 0.0 && self.saved.elapsed().as_secs_f64() >= 60.0 * minutes
    }

    fn refuse_non_finite(&self, split: &str, values: &BTreeMap<String, f64>) -> Result<()> {
        match values.iter().find(|(_, value)| !value.is_finite()) {
            None => Ok(()),
            Some((name, &value)) => {
                let (trainable, term) = name.split_once('/').unwrap_or(("all modules", name));
                Err(Error::NonFinite {
                    step: self.state.step,
                    trainable: trainable.to_string(),
                    term: format!("{split} {term}"),
                    value,
                })
            }
        }
    }

    fn refuse_stalled(&mut self, values: &BTreeMap<String, f64>, patience: u64) -> Result<()> {
        let right = values.get(DISCRIMINATOR_ACCURACY).copied().unwrap_or(0.0);
        if right < 1.0 || patience == 0 {
            self.state.stalled_since = None;
            return Ok(());
        }
        let since = *self.state.stalled_since.get_or_insert(self.state.step);
        match self.state.step - since < patience {
            true => Ok(()),
            false => Err(Error::DiscriminatorStalled {
                step: self.state.step,
                since,
            }),
        }
    }

    /// Checks `train.select` and the first validation batch before training, not only at the first validation.
    fn check_selection<M: Method + ?Sized>(
        &self,
        method: &M,
        batches: &impl Batches<M::Batch>,
    ) -> Result<()> {
        let first = match self.options.validate_every {
            _ if self.log.is_none() => None,
            0 => None,
            _ => batches.valid().next(),
        };
        let Some(batch) = first else {
            return Ok(());
        };
        let TrainOptions {
            select_after,
            steps,
            ..
        } = *self.options;
        if select_after > steps {
            log::warn!(
                "train.select_after: {select_after}, but there are only {steps} steps: no checkpoint becomes best"
            );
        }
        let terms = no_grad(|| method.validate(&batch?))?;
        self.selected(&terms.read()).map(|_| ())
    }

    fn selected(&self, terms: &BTreeMap<String, f64>) -> Result<f64> {
        terms.get(&self.options.select).copied().ok_or_else(|| {
            let names: Vec<&str> = terms.keys().map(String::as_str).collect();
            Error::option(
                "train.select",
                format!("one of {}", names.join(", ")),
                self.options.select.clone(),
            )
        })
    }

    /// Logs the mean terms of the validation set; true when the result is the best so far.
    fn validate<M: Method + ?Sized>(
        &mut self,
        method: &mut M,
        batches: &impl Batches<M::Batch>,
        progress: &mut dyn Progress,
    ) -> Result<bool> {
        method
            .trainables()
            .into_iter()
            .for_each(Trainable::swap_average);
        let means = no_grad(|| mean_terms(method, batches));
        method
            .trainables()
            .into_iter()
            .for_each(Trainable::swap_average);
        let means = means?;
        if means.is_empty() {
            return Ok(false);
        }
        let line = format!("step {}: valid {}", self.state.step, brief(&means));
        progress.validation(&line);
        self.refuse_non_finite("valid", &means)?;
        let value = self.selected(&means)?;
        self.write("valid", means)?;
        let better = self.state.best.is_none_or(|(_, best)| value < best);
        let counts = self.incomplete.is_none() && self.state.step >= self.options.select_after;
        let improved = better && counts;
        if improved {
            self.state.best = Some((self.state.step, value));
        }
        Ok(improved)
    }

    fn save<M: Method + ?Sized>(&mut self, method: &mut M) -> Result<()> {
        if self.log.is_none() {
            return Ok(());
        }
        self.saved = Instant::now();
        let path = self.experiment.path();
        self.refuse_broken_weights(method)?;
        checkpoint::save(path, &mut method.trainables(), self.state.clone())?;
        let best = self.state.best.map(|(step, _)| step);
        checkpoint::prune(path, self.options.keep_checkpoints, best)
    }

    /// Saves the steps that are done before the run ends with an error of its data.
    fn save_before<M: Method + ?Sized>(&mut self, error: &Error, method: &mut M) {
        if self.state.step == 0 {
            return;
        }
        if let Err(other) = self.save(method) {
            log::warn!("{other}, after: {error}");
        }
    }

    /// The last update may have made weights non-finite after a finite loss.
    fn refuse_broken_weights<M: Method + ?Sized>(&self, method: &mut M) -> Result<()> {
        let broken = method
            .trainables()
            .into_iter()
            .find(|trainable| trainable.flat().isfinite().all().int64_value(&[]) == 0)
            .map(|trainable| trainable.name().to_string());
        match broken {
            None => Ok(()),
            Some(trainable) => Err(Error::NonFinite {
                step: self.state.step,
                trainable,
                term: "one of the weights".into(),
                value: f64::NAN,
            }),
        }
    }

    fn write(&mut self, split: &str, values: BTreeMap<String, f64>) -> Result<()> {
        let line = LogLine {
            step: self.state.step,
            split: split.to_string(),
            seconds: self.began.elapsed().as_secs_f64(),
            values,
        };
        (self.log.as_mut()).map_or(Ok(()), |log| log.write(&line))
    }
}

/// The state of the newest checkpoint, whose tensors `method` gets, or of a new run.
fn restore<M: Method + ?Sized>(method: &mut M, job: &Job) -> Result<checkpoint::State> {
    let path = job.experiment.path();
    let threads = tch::get_num_threads().unsigned_abs();
    let division = (job.ranks.size(), job.options.accumulate);
    let mut state = checkpoint::State::default();
    scratch::sweep(path);
    if let Some(folder) = checkpoint::newest(path)? {
        state = checkpoint::restore(&folder, &mut method.trainables())?;
        checkpoint::mend_links(path, &state)?;
        if state.step > 0 {
            log::info!("resuming {} from step {}", path.display(), state.step);
            warn_of_another_division(path, state.division(), division);
        }
        if let Some(before) = state.threads.filter(|&before| before != threads) {
            log::warn!(
                "{}: {threads} threads, {before} before: weights will not equal those of an uninterrupted \
                 run bit for bit (train.threads = {before} keeps them equal)",
                path.display()
            );
        }
    }
    state.threads = Some(threads);
    state.set_division(division);
    Ok(state)
}

/// Says what follows from other ranks and batches per update than before.
fn warn_of_another_division(path: &Path, before: (usize, usize), now: (usize, usize)) {
    if before == now {
        return;
    }
    let follows = match before.0 * before.1 == now.0 * now.1 {
        true => {
            "the parts of a batch are the same, but weights will not equal those of an uninterrupted run bit for bit"
        }
        false => {
            "the order of batches and the random numbers begin anew, and the size of a batch differs"
        }
    };
    log::warn!(
        "{}: {} ranks with train.accumulate = {}, {} with {} before: {follows}",
        path.display(),
        now.0,
        now.1,
        before.0,
        before.1
    );
}

fn mean_terms<M: Method + ?Sized>(
    method: &M,
    batches: &impl Batches<M::Batch>,
) -> Result<BTreeMap<String, f64>> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    let mut count = 0.0;
    for batch in batches.valid() {
        for (name, value) in method.validate(&batch?)?.read() {
            *sums.entry(name).or_default() += value;
        }
        count += 1.0;
    }
    sums.values_mut().for_each(|sum| *sum /= count);
    Ok(sums)
}

/// Mixes seed and step (SplitMix64's finaliser), so that runs with neighbouring seeds share no random numbers.
pub fn step_seed(seed: u64, step: u64) -> i64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_add(0x632b_e59b_d9b4_e019);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) as i64
}

fn brief(values: &BTreeMap<String, f64>) -> String {
    let terms: Vec<String> = values
        .iter()
        .map(|(name, value)| format!("{name} {value:.3}"))
        .collect();
    terms.join("  ")
}
