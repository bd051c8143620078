//! Training that begins from the weights of another experiment, and parts that training leaves as they are.
//!
//! A new run takes weights and normalisation of the initial model, and writes them as its checkpoint of step 0. From there on it
//! is a run like any other: it resumes from its own files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::config::Config;
use super::model_info::ModelInfo;
use crate::dataset::normalisation::Normalisation;
use crate::error::{Error, Result};
use crate::io::config::first_difference;
use crate::io::json;
use crate::nn::AnyFrontEnd;
use crate::nn::ssl::SslConfig;
use crate::signal::AnyFrontEndOptions;
use crate::train::experiment::{Experiment, ORIGIN};
use crate::train::ranks::Ranks;
use crate::train::{Trainable, checkpoint};

/// State of a training, which does not go over into another one.
const STATE: [&str; 2] = ["patience", "log_gain"];
/// Options of a front-end that need not be those of the initial model: they are random, or of single speakers.
const FREE_OF_FRONT_END: [&str; 3] = ["dither", "seed", "vtln_warp"];

/// The model that a run begins from.
#[derive(Debug, Clone)]
pub struct InitialModel {
    /// Its experiment.
    pub experiment: Experiment,
    /// Its checkpoint: `last`, `best` or `step_000123`.
    pub checkpoint: String,
    /// The parts to take; all that fit where none is named.
    pub only: Vec<String>,
}

impl InitialModel {
    /// Whether a part is wanted of it.
    fn takes(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    /// Its configuration, for a run that has none of its own, and the setting with which it finds the front-end's file.
    pub fn configuration(&self) -> (PathBuf, Option<String>) {
        let folder = self.experiment.path();
        let front_end = folder.join("front_end.toml");
        let quoted = || Value::from(front_end.display().to_string());
        let setting = front_end
            .exists()
            .then(|| format!("data.front_end={}", quoted()));
        (folder.join("conf.toml"), setting)
    }
}

/// How a run begins.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Go on from the last checkpoint, if there is one.
    pub resume: bool,
    /// Begin from the weights of another experiment.
    pub initial: Option<InitialModel>,
    /// The processes that train together; by default one.
    pub ranks: Arc<Ranks>,
}

/// What a run began from, saved as `initial.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Folder of the initial experiment.
    pub experiment: String,
    /// Its checkpoint.
    pub checkpoint: String,
    /// Parts that were named; none for all.
    pub only: Vec<String>,
}

impl Origin {
    fn of(initial: &InitialModel) -> Self {
        let path = initial.experiment.path();
        Self {
            experiment: path.display().to_string(),
            checkpoint: initial.checkpoint.clone(),
            only: initial.only.clone(),
        }
    }

    /// As the options of the command line.
    fn option(&self) -> String {
        let only = match self.only.is_empty() {
            true => String::new(),
            false => format!(" --init-only {}", self.only.join(",")),
        };
        format!("--init {}:{}{only}", self.experiment, self.checkpoint)
    }
}

/// The first weights of a run.
#[derive(Debug)]
pub(super) enum Beginning<'a> {
    /// New ones.
    New,
    /// Its own checkpoint.
    Own,
    /// Those of another experiment.
    Initial(Box<Initial<'a>>),
    /// Its own checkpoint, of a run that began from another experiment with this normalisation.
    Resumed(Normalisation),
}

/// The initial model, as far as it is read before the data.
#[derive(Debug)]
pub(super) struct Initial<'a> {
    model: &'a InitialModel,
    config: Config,
    /// Whether the new configuration names its front-end.
    names_front_end: bool,
    info: ModelInfo,
    weights: checkpoint::Weights,
}

impl<'a> Beginning<'a> {
    /// Decides how a run in the folder `exp` begins, and reads the initial model only if it is needed.
    ///
    /// # Errors
    /// [`Error::Option`] for an initial model beside a checkpoint, and without one where the run began from one; errors of
    /// reading it; [`Error::Key`] if its front-end or normalisation is another.
    pub(super) fn of(
        config: &Config,
        exp: &Path,
        start: &'a Start,
        front_end: Option<&AnyFrontEnd>,
    ) -> Result<Self> {
        let path = exp.join(ORIGIN);
        let origin: Option<Origin> = match path.exists() {
            true => Some(json::read(&path, "a file written by unbraid train --init")?),
            false => None,
        };
        let begun = exp.is_dir() && !checkpoint::steps(exp)?.is_empty();
        match (&start.initial, origin) {
            (Some(initial), origin) if begun => {
                let given = Origin::of(initial);
                match origin {
                    Some(origin) if start.resume && origin == given => Self::resumed(exp),
                    Some(origin) if start.resume => Err(Error::option(
                        given.option(),
                        format!("{}, as this run began", origin.option()),
                        "another initial model",
                    )),
                    _ => Err(Error::option(
                        given.option(),
                        "a new experiment folder (or --resume without --init)",
                        format!("checkpoints in {}", exp.display()),
                    )),
                }
            }
            (None, Some(_)) if begun => Self::resumed(exp),
            (None, Some(origin)) if start.resume => Err(Error::option(
                "--resume",
                format!("{}, as this run began", origin.option()),
                "no --init, and no checkpoint yet",
            )),
            (Some(initial), _) => Initial::read(initial, config, front_end)
                .map(|initial| Self::Initial(Box::new(initial))),
            (None, _) if begun && start.resume => Ok(Self::Own),
            (None, _) => Ok(Self::New),
        }
    }

    fn resumed(exp: &Path) -> Result<Self> {
        let info = ModelInfo::read(&Experiment::open(exp)?)?;
        Ok(Self::Resumed(info.normalisation))
    }

    /// The normalisation that the weights know; none if it is to be fitted on the training set.
    pub(super) fn normalisation(&self) -> Option<&Normalisation> {
        match self {
            Self::New | Self::Own => None,
            Self::Initial(initial) => Some(&initial.info.normalisation),
            Self::Resumed(normalisation) => Some(normalisation),
        }
    }

    /// The configuration of the self-supervised model that the weights know, of a run in the folder `exp`.
    ///
    /// # Errors
    /// Errors of reading the experiment.
    pub(super) fn ssl(&self, exp: &Path) -> Result<Option<SslConfig>> {
        match self {
            Self::Initial(initial) if initial.model.takes("phonetic_encoder") => {
                Ok(initial.info.ssl.clone())
            }
            Self::New | Self::Initial(_) => Ok(None),
            Self::Own | Self::Resumed(_) => Ok(ModelInfo::read(&Experiment::open(exp)?)?.ssl),
        }
    }

    /// Whether no checkpoint of the run's own holds its weights yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(self, Self::New | Self::Initial(_))
    }

    /// Puts the initial weights into `parts`, which were built for `info`.
    ///
    /// # Errors
    /// [`Error::Option`] for named parts that are not there or do not fit; [`Error::Key`] for the first tensor of another
    /// shape.
    pub(super) fn fill(
        &self,
        info: &ModelInfo,
        config: &Config,
        parts: &mut [&mut Trainable],
    ) -> Result<Filled> {
        match self {
            Self::Initial(initial) => initial.fill(info, config, parts),
            Self::New | Self::Own | Self::Resumed(_) => Ok(Filled::default()),
        }
    }

    /// Writes what a resumed run needs: where the weights are from, and the checkpoint of step 0. Says what was `filled`.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub(super) fn save(
        &self,
        experiment: &Experiment,
        parts: &mut [&mut Trainable],
        filled: &Filled,
    ) -> Result<()> {
        match self {
            Self::Initial(initial) => {
                initial.say(filled);
                experiment.write_json(ORIGIN, &Origin::of(initial.model))?;
                let state = checkpoint::State::default();
                checkpoint::save(experiment.path(), parts, state).map(|_| ())
            }
            Self::Resumed(_) => Ok(()),
            Self::New | Self::Own => {
                // Of a run that was stopped before its first checkpoint, and is not resumed.
                let path = experiment.path().join(ORIGIN);
                match path.exists() {
                    true => std::fs::remove_file(&path).map_err(Error::io(&path)),
                    false => Ok(()),
                }
            }
        }
    }
}

impl<'a> Initial<'a> {
    fn read(
        model: &'a InitialModel,
        config: &Config,
        front_end: Option<&AnyFrontEnd>,
    ) -> Result<Self> {
        let experiment = &model.experiment;
        let weights = checkpoint::Weights::read(&experiment.checkpoint(&model.checkpoint)?)?;
        let info = ModelInfo::read(experiment)?;
        let options = |normalisation| Table::try_from(normalisation).unwrap_or_default();
        let [own, new] = [info.normalisation.options(), &config.normalisation].map(options);
        check_same(experiment.path(), "normalisation", own, new)?;
        check_front_end(experiment, front_end)?;
        Ok(Self {
            model,
            config: experiment.config()?,
            names_front_end: front_end.is_some(),
            info,
            weights,
        })
    }

    fn fill(
        &self,
        info: &ModelInfo,
        config: &Config,
        parts: &mut [&mut Trainable],
    ) -> Result<Filled> {
        let there = self.weights.modules()?;
        let common: Vec<&str> = (parts.iter().map(|part| part.name()))
            .filter(|name| there.contains(*name))
            .collect();
        let path = self.model.experiment.path();
        if let Some(unknown) =
            (self.model.only.iter()).find(|name| !common.contains(&name.as_str()))
        {
            let expected = format!("parts of both models: {}", common.join(", "));
            return Err(Error::option("--init-only", expected, unknown.clone()));
        }
        if common.is_empty() {
            let own: Vec<&str> = parts.iter().map(|part| part.name()).collect();
            let expected = format!("a model with one of {}", own.join(", "));
            let found: Vec<String> = there.into_iter().collect();
            return Err(Error::format(path, expected, found.join(", ")));
        }
        let mut filled = Filled::default();
        for part in parts {
            let name = part.name().to_string();
            match self.take(part, there.contains(&name), info, config)? {
                Taken::Whole => filled.taken.push(name),
                Taken::Without(layer) => filled.taken.push(format!("{name} without its {layer}")),
                Taken::New(why) => filled.new.push((name, why)),
            }
        }
        Ok(filled)
    }

    fn say(&self, filled: &Filled) {
        let model = self.model.experiment.path();
        let new: Vec<String> = (filled.new.iter())
            .map(|(name, why)| format!("{name} ({why})"))
            .collect();
        log::info!(
            "weights of {}, {}: taken {}; new {}",
            model.display(),
            self.model.checkpoint,
            listed(&filled.taken),
            listed(&new)
        );
        let unknown = match (self.names_front_end, model.join("front_end.toml").exists()) {
            (true, true) => return,
            (false, _) => "data.front_end is not given",
            (true, false) => "the initial model has no front_end.toml",
        };
        log::warn!("{unknown}: only the number of columns was held against the initial model's");
    }

    /// Takes the weights of one part, or says why not.
    fn take(
        &self,
        part: &mut Trainable,
        is_there: bool,
        info: &ModelInfo,
        config: &Config,
    ) -> Result<Taken> {
        let name = part.name().to_string();
        let named = self.model.only.contains(&name);
        if !self.model.only.is_empty() && !named {
            return Ok(Taken::New("not named".into()));
        }
        if !is_there {
            return Ok(Taken::New("not in the initial model".into()));
        }
        let role = Role::of(&name);
        let differs = role.differs(self, info, config);
        let is_state = |tensor: &str| STATE.contains(&tensor);
        let reason = match (role, differs) {
            (Role::Recogniser, Some(_)) => {
                (self.weights).copy_into(part, |tensor| !tensor.starts_with("output."))?;
                return Ok(Taken::Without("output layer"));
            }
            (_, Some(reason)) => reason,
            (role, None) => match self.weights.copy_into(part, |tensor| !is_state(tensor)) {
                Ok(()) => return Ok(Taken::Whole),
                Err(Error::Key { .. }) if role != Role::Model && !named => "of another size".into(),
                Err(error) => return Err(error),
            },
        };
        match named {
            false => Ok(Taken::New(reason)),
            true => {
                let expected = format!("parts that fit the data, and {name} is for others");
                Err(Error::option("--init-only", expected, reason))
            }
        }
    }
}

fn listed(parts: &[String]) -> String {
    match parts.is_empty() {
        true => "nothing".into(),
        false => parts.join(", "),
    }
}

/// What became of the parts of a run.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// Those with the initial model's weights.
    taken: Vec<String>,
    /// Those with new weights, and why.
    new: Vec<(String, String)>,
}

impl Filled {
    /// Whether a part has all of the initial model's weights.
    pub(super) fn took(&self, part: &str) -> bool {
        self.taken.iter().any(|taken| taken == part)
    }
}

/// What became of a part.
enum Taken {
    Whole,
    /// All but this layer.
    Without(&'static str),
    /// Why it is new.
    New(String),
}

/// What a part's size depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The configuration alone: it has to fit.
    Model,
    /// Labels, by its last layer.
    Recogniser,
    /// Labels.
    Labels,
    /// Training speakers.
    Speakers,
    /// Training utterances.
    Utterances,
    /// The configuration alone, but needed in training only.
    Helper,
}

impl Role {
    fn of(part: &str) -> Self {
        match part {
            "recogniser" => Self::Recogniser,
            "label_head" => Self::Labels,
            "utterance_means" => Self::Utterances,
            "speaker_head" => Self::Speakers,
            "mutual_information" | "speaker_lda" | "discriminator" | "clustering" | "cpc"
            | "domain_head" => Self::Helper,
            name if name.starts_with("speaker_adversary") => Self::Speakers,
            _ => Self::Model,
        }
    }

    /// In what the data of the part differs from those of the initial model.
    fn differs(self, initial: &Initial, info: &ModelInfo, config: &Config) -> Option<String> {
        let (old, new) = (&initial.info, info);
        let other =
            |what: &str, old: usize, new: usize| format!("other {what}: {new}, {old} before");
        match self {
            Self::Recogniser | Self::Labels => {
                let same = old.inventory.labels == new.inventory.labels
                    && initial.config.data.labels == config.data.labels;
                let sizes = (old.inventory.labels.len(), new.inventory.labels.len());
                (!same).then(|| other("labels", sizes.0, sizes.1))
            }
            Self::Speakers => {
                let sizes = (old.inventory.speakers.len(), new.inventory.speakers.len());
                (old.inventory.speakers != new.inventory.speakers)
                    .then(|| other("speakers", sizes.0, sizes.1))
            }
            Self::Utterances => {
                let same = old.utterances == new.utterances
                    && old.inventory.speakers == new.inventory.speakers;
                (!same).then(|| other("utterances", old.utterances, new.utterances))
            }
            Self::Model | Self::Helper => None,
        }
    }
}

/// Refuses a front-end with other features than the initial model has learned.
fn check_front_end(experiment: &Experiment, front_end: Option<&AnyFrontEnd>) -> Result<()> {
    let path = experiment.path().join("front_end.toml");
    let Some(front_end) = front_end.filter(|_| path.exists()) else {
        return Ok(());
    };
    let table = |options: &AnyFrontEndOptions| {
        let mut table = options.identity();
        table.retain(|key, _| !FREE_OF_FRONT_END.contains(&key));
        table
    };
    let own = AnyFrontEndOptions::read(&path)?;
    check_same(&path, "", table(&own), table(front_end.options()))
}

/// Refuses options that are not those of the initial model.
fn check_same(path: &Path, table: &str, own: Table, new: Table) -> Result<()> {
    let [own, new] = [own, new].map(Value::Table);
    match first_difference(table, Some(&own), Some(&new)) {
        None => Ok(()),
        Some((key, own, new)) => {
            let expected =
                format!("{own} in the new configuration too, as the initial model learned it");
            Err(Error::key(path, key, expected, new))
        }
    }
}

/// Refuses features with another number of columns than the initial model has.
pub(super) fn check_bins(normalisation: &Normalisation, bins: usize, data: &Path) -> Result<()> {
    match normalisation.bins() == bins {
        true => Ok(()),
        false => {
            let expected = format!(
                "features of {} columns, as the initial model learned",
                normalisation.bins()
            );
            Err(Error::format(data, expected, format!("{bins}")))
        }
    }
}

/// Freezes the parts that `method.freeze` names; `filled` tells which of them are new.
///
/// # Errors
/// [`Error::Option`] for a part that is not there, and if nothing is left to train.
pub(super) fn freeze(names: &[String], filled: &Filled, parts: Vec<&mut Trainable>) -> Result<()> {
    let key = "method.freeze";
    let own: Vec<String> = parts.iter().map(|part| part.name().to_string()).collect();
    if let Some(unknown) = names.iter().find(|name| !own.contains(name)) {
        let expected = format!("parts of {}", own.join(", "));
        return Err(Error::option(key, expected, unknown.clone()));
    }
    let is_left =
        |part: &&mut Trainable| part.parameters() > 0 && !names.contains(&part.name().into());
    if !names.is_empty() && !parts.iter().any(is_left) {
        return Err(Error::option(
            key,
            "at least one part to train",
            "all parts",
        ));
    }
    for part in parts {
        if names.contains(&part.name().to_string()) {
            part.freeze();
        }
    }
    let is_new = |name: &&String| filled.new.iter().any(|(new, _)| new == *name);
    for name in names.iter().filter(is_new) {
        log::warn!("{key}: {name} is new: it stays at its random weights");
    }
    Ok(())
}
