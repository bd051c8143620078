//! `unbraid data`: data directories made, checked, set right, divided, joined, varied and aligned.

mod alignment;
mod augment;
#[cfg(feature = "torch")]
mod cluster_speakers;
mod combine;
mod fix;
mod make;
mod shard;
mod split;
mod subset;
mod trials;
mod validate;

use clap::{Args, Subcommand};

/// Make, check, change, join, augment and align Kaldi data directories.
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Make(make::MakeArgs),
    Validate(validate::ValidateArgs),
    Fix(fix::FixArgs),
    Split(split::SplitArgs),
    Subset(subset::SubsetArgs),
    Combine(combine::CombineArgs),
    Augment(augment::AugmentArgs),
    Shard(shard::ShardArgs),
    Trials(trials::TrialsArgs),
    Alignment(alignment::AlignmentArgs),
    #[cfg(feature = "torch")]
    ClusterSpeakers(cluster_speakers::ClusterSpeakersArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with a data directory, or with what is asked of it.
pub(super) fn run(args: DataArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Make(args) => make::run(args),
        Command::Validate(args) => validate::run(&args),
        Command::Fix(args) => fix::run(&args),
        Command::Split(args) => split::run(&args),
        Command::Subset(args) => subset::run(args),
        Command::Combine(args) => combine::run(&args),
        Command::Augment(args) => augment::run(&args),
        Command::Shard(args) => shard::run(&args),
        Command::Trials(args) => trials::run(&args),
        Command::Alignment(args) => alignment::run(args),
        #[cfg(feature = "torch")]
        Command::ClusterSpeakers(args) => cluster_speakers::run(&args),
    }
}
