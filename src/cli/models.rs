//! Options that name a trained model and the device that it runs on.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use tch::Device;

use super::choices::DeviceParser;
use crate::error::Result;
use crate::inference::shipped;
use crate::io::message::output;
use crate::method::fine_tuning::InitialModel;
use crate::nn::device::DeviceChoice;
use crate::train::experiment::Experiment;

/// A trained model: an experiment and one of its checkpoints.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("trained").required(true)))]
pub(super) struct CheckpointArgs {
    /// Experiment folder
    #[arg(long, value_name = "DIR", group = "trained")]
    exp: Option<PathBuf>,

    /// Model that comes with unbraid, instead of an experiment; 'unbraid models' lists them
    #[arg(long, value_name = "NAME", group = "trained")]
    model: Option<String>,

    /// Checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    pub checkpoint: String,
}

impl CheckpointArgs {
    /// Opens the experiment.
    ///
    /// # Errors
    /// As [`shipped::find`] and [`Experiment::open`].
    pub(super) fn experiment(&self) -> Result<Experiment> {
        match (&self.exp, &self.model) {
            (None, Some(name)) => Experiment::open(&shipped::find("--model", name)?),
            (exp, _) => Experiment::open(exp.as_deref().unwrap_or(Path::new("."))),
        }
    }
}

/// The model that a training begins from.
#[derive(Debug, Args)]
pub(super) struct InitialArgs {
    /// Begin from the weights of another experiment, or of a model that comes with unbraid; its checkpoint, by default last,
    /// follows a colon
    #[arg(long, value_name = "EXP[:CHECKPOINT]")]
    init: Option<String>,

    /// Parts to take from --init, such as phonetic_encoder,decoder; by default all that fit
    #[arg(long, value_name = "PARTS", value_delimiter = ',', requires = "init")]
    init_only: Vec<String>,
}

impl InitialArgs {
    /// Opens the experiment. A folder goes before a model of that name.
    ///
    /// # Errors
    /// As [`shipped::find`] and [`Experiment::open`].
    pub(super) fn open(&self) -> Result<Option<InitialModel>> {
        let Some(init) = &self.init else {
            return Ok(None);
        };
        let is_checkpoint =
            |name: &str| matches!(name, "last" | "best") || name.starts_with("step_");
        let (name, checkpoint) = match init.rsplit_once(':') {
            Some((name, checkpoint)) if is_checkpoint(checkpoint) => (name, checkpoint),
            _ => (init.as_str(), "last"),
        };
        let folder = match Path::new(name).is_dir() {
            true => PathBuf::from(name),
            false => shipped::find("--init", name)?,
        };
        Ok(Some(InitialModel {
            experiment: Experiment::open(&folder)?,
            checkpoint: checkpoint.to_string(),
            only: self.init_only.clone(),
        }))
    }
}

/// The device that computes.
#[derive(Debug, Args)]
pub(super) struct DeviceArgs {
    /// Device to compute on
    #[arg(long, default_value_t, value_parser = DeviceParser)]
    pub device: DeviceChoice,
}

/// A trained model, and the device that it runs on.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    #[command(flatten)]
    pub checkpoint: CheckpointArgs,

    #[command(flatten)]
    pub device: DeviceArgs,
}

impl ModelArgs {
    /// Finds the device and opens the experiment.
    ///
    /// # Errors
    /// As [`DeviceChoice::resolve`] and [`Experiment::open`].
    pub(super) fn open(&self) -> Result<(Device, Experiment)> {
        let device = self.device.device.resolve()?;
        Ok((device, self.checkpoint.experiment()?))
    }
}

/// Show the models that come with unbraid.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid models
  unbraid extract --model en-16k a.wav b.flac

A name stands for an experiment wherever --model does. The folder of a model has
its card, README.md: data, terms, figures, and what it is not good for. If the
environment variable UNBRAID_MODELS is set, its folder has the models.")]
pub(super) struct ModelsArgs {}

/// Prints name, folder and the first paragraph of the card of each.
///
/// # Errors
/// [`crate::Error::Option`] where there is none.
pub(super) fn run(_: &ModelsArgs) -> anyhow::Result<()> {
    let models = shipped::list();
    if models.is_empty() {
        let expected = "a folder with models: set it to one";
        return Err(crate::Error::option("UNBRAID_MODELS", expected, "none").into());
    }
    for (name, model) in models {
        let folder = model.path.display();
        output(format_args!("{name}  {folder}\n  {}\n", model.about))?;
    }
    Ok(())
}
