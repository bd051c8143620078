//! The time that commands in `wav.scp` may take.

use std::time::Duration;

use clap::Args;

use crate::io::audio::Pipes;

/// What bounds the commands that --allow-pipes lets run.
#[derive(Debug, Args)]
pub struct PipeLimit {
    /// With --allow-pipes, kill commands in wav.scp after this time
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    pipe_timeout: u32,
}

impl PipeLimit {
    /// Whether commands run, and for how long.
    pub fn pipes(&self, allowed: bool) -> Pipes {
        match allowed {
            true => Pipes::Within(Duration::from_secs(self.pipe_timeout.into())),
            false => Pipes::Refused,
        }
    }
}
