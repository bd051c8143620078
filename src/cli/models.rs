//! Options that name a trained model and the device that it runs on.

use std::path::PathBuf;

use clap::Args;
use tch::Device;

use crate::error::Result;
use crate::nn::device::DeviceChoice;
use crate::train::experiment::Experiment;

/// A trained model: an experiment and one of its checkpoints.
#[derive(Debug, Args)]
pub struct CheckpointArgs {
    /// Experiment folder
    #[arg(long, value_name = "DIR")]
    pub exp: PathBuf,

    /// Checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    pub checkpoint: String,
}

impl CheckpointArgs {
    /// Opens the experiment.
    ///
    /// # Errors
    /// As [`Experiment::open`].
    pub fn experiment(&self) -> Result<Experiment> {
        Experiment::open(&self.exp)
    }
}

/// The device that computes.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// Device to compute on
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceChoice,
}

/// A trained model, and the device that it runs on.
#[derive(Debug, Args)]
pub struct ModelArgs {
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
    pub fn open(&self) -> Result<(Device, Experiment)> {
        let device = self.device.device.resolve()?;
        Ok((device, self.checkpoint.experiment()?))
    }
}
