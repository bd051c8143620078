//! Options that several commands share.

use std::path::PathBuf;

use anyhow::Context;
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

/// The number of threads.
#[derive(Debug, Args)]
pub struct ThreadArgs {
    /// Number of threads; all cores by default
    #[arg(long, visible_alias = "nj", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl ThreadArgs {
    /// Lets this process compute with as many threads, networks included.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn set(&self) -> anyhow::Result<()> {
        if let Some(threads) = self.threads {
            tch::set_num_threads(threads.into());
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.map_or(0, usize::from))
            .build_global()
            .context("cannot start threads")
    }

    /// A pool of as many threads.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn pool(&self) -> anyhow::Result<rayon::ThreadPool> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.map_or(0, usize::from))
            .build()
            .context("cannot start threads")
    }
}
