//! `unbraid data`: data directories checked, set right, divided, joined, varied and aligned.

mod alignment;
mod augment;
mod combine;
mod fix;
mod split;
mod subset;
mod validate;

use clap::{Args, Subcommand};

/// Check, change, join, augment and align Kaldi data directories.
#[derive(Debug, Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Validate(validate::ValidateArgs),
    Fix(fix::FixArgs),
    Split(split::SplitArgs),
    Subset(subset::SubsetArgs),
    Combine(combine::CombineArgs),
    Augment(augment::AugmentArgs),
    Alignment(alignment::AlignmentArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with a data directory, or with what is asked of it.
pub fn run(args: DataArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Validate(args) => validate::run(&args),
        Command::Fix(args) => fix::run(&args),
        Command::Split(args) => split::run(&args),
        Command::Subset(args) => subset::run(args),
        Command::Combine(args) => combine::run(&args),
        Command::Augment(args) => augment::run(&args),
        Command::Alignment(args) => alignment::run(args),
    }
}
