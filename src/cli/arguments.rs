//! Options that several commands share.

use anyhow::Context;
use clap::Args;

use crate::dataset::alignment::TIER;

/// The number of threads.
#[derive(Debug, Args)]
pub(super) struct ThreadArgs {
    /// Number of threads; all cores by default
    #[arg(long, visible_alias = "nj", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl ThreadArgs {
    /// Lets this process compute with as many threads, networks included.
    ///
    /// # Errors
    /// When the system starts no thread.
    #[cfg(feature = "torch")]
    pub(super) fn set(&self) -> anyhow::Result<()> {
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
    pub(super) fn pool(&self) -> anyhow::Result<rayon::ThreadPool> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.map_or(0, usize::from))
            .build()
            .context("cannot start threads")
    }
}

/// The tier of TextGrids.
#[derive(Debug, Args)]
pub(super) struct TierArgs {
    /// Tier of TextGrids, or its name after 'SPEAKER - '
    #[arg(long, value_name = "NAME", default_value = TIER)]
    pub tier: String,
}
