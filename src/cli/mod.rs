//! The command line: one file per command, which parses, calls the library and prints.

mod copy_feats;
mod data;
mod failures;
mod fbank;
mod progress;

use clap::{Parser, Subcommand};

/// Takes speech apart into what was said and who said it.
#[derive(Debug, Parser)]
#[command(name = "unbraid", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    CopyFeats(copy_feats::CopyFeatsArgs),
    Data(data::DataArgs),
    Fbank(fbank::FbankArgs),
}

/// Runs the command line of this process.
///
/// # Errors
/// Whatever the command says, with the places that it names.
pub fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::CopyFeats(args) => copy_feats::run(args),
        Command::Data(args) => data::run(args),
        Command::Fbank(args) => fbank::run(args),
    }
}
