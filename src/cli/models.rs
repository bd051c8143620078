//! Options that name a trained model and the device that it runs on.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use tch::Device;

use crate::error::Result;
use crate::inference::shipped;
use crate::io::message::output;
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
            (None, Some(name)) => Experiment::open(&shipped::find(name)?),
            (exp, _) => Experiment::open(exp.as_deref().unwrap_or(Path::new("."))),
        }
    }
}

/// The device that computes.
#[derive(Debug, Args)]
pub(super) struct DeviceArgs {
    /// Device to compute on
    #[arg(long, value_enum, default_value_t)]
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
