//! `unbraid eval`: what codes and embeddings hold.

mod abx;
mod attack;
mod conversion;
mod factors;
mod frontier;
mod probe;
mod results;

use clap::{Args, Subcommand};

/// Measure what codes and embeddings contain: probes, attacks, ABX.
#[derive(Debug, Args)]
pub struct EvalArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Probe(probe::ProbeArgs),
    Attack(attack::AttackArgs),
    Abx(abx::AbxArgs),
    Factors(factors::FactorsArgs),
    Conversion(conversion::ConversionArgs),
    Results(results::ResultsArgs),
    Frontier(frontier::FrontierArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with codes, data, results or options.
pub fn run(args: EvalArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Probe(args) => probe::run(args),
        Command::Attack(args) => attack::run(args),
        Command::Abx(args) => abx::run(args),
        Command::Factors(args) => factors::run(args),
        Command::Conversion(args) => conversion::run(args),
        Command::Results(args) => results::run(args),
        Command::Frontier(args) => frontier::run(args),
    }
}
