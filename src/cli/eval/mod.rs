//! `unbraid eval`: what codes and embeddings hold.

mod abx;
#[cfg(feature = "torch")]
mod attack;
#[cfg(feature = "torch")]
mod audit;
#[cfg(feature = "torch")]
mod conversion;
mod factors;
mod frontier;
#[cfg(feature = "torch")]
mod probe;
mod results;

use clap::{Args, Subcommand};

/// Measure what codes and embeddings contain: probes, attacks, ABX.
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "torch")]
    Probe(probe::ProbeArgs),
    #[cfg(feature = "torch")]
    Audit(audit::AuditArgs),
    #[cfg(feature = "torch")]
    Attack(attack::AttackArgs),
    Abx(abx::AbxArgs),
    Factors(factors::FactorsArgs),
    #[cfg(feature = "torch")]
    Conversion(conversion::ConversionArgs),
    Results(results::ResultsArgs),
    Frontier(frontier::FrontierArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with codes, data, results or options.
pub(super) fn run(args: EvalArgs) -> anyhow::Result<()> {
    match args.command {
        #[cfg(feature = "torch")]
        Command::Probe(args) => probe::run(args),
        #[cfg(feature = "torch")]
        Command::Audit(args) => audit::run(&args),
        #[cfg(feature = "torch")]
        Command::Attack(args) => attack::run(args),
        Command::Abx(args) => abx::run(args),
        Command::Factors(args) => factors::run(args),
        #[cfg(feature = "torch")]
        Command::Conversion(args) => conversion::run(args),
        Command::Results(args) => results::run(args),
        Command::Frontier(args) => frontier::run(args),
    }
}
