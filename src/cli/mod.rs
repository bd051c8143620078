//! The command line: one file per command, which parses, calls the library and prints.

mod abx;
mod apply_cmvn;
mod compute_cmvn;
mod copy_feats;
mod ctm_to_ali;
mod data;
mod extract;
mod factors;
mod failures;
mod fbank;
mod features;
mod frontier;
mod mel;
mod mfcc;
mod probe;
mod progress;
mod results;
mod score;
mod spectrogram;
mod swap;
mod train;
mod vtln;
mod whisper;

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
    Mfcc(mfcc::MfccArgs),
    Spectrogram(spectrogram::SpectrogramArgs),
    Mel(mel::MelArgs),
    Whisper(whisper::WhisperArgs),
    ComputeCmvn(compute_cmvn::ComputeCmvnArgs),
    ApplyCmvn(apply_cmvn::ApplyCmvnArgs),
    Train(train::TrainArgs),
    Extract(extract::ExtractArgs),
    Probe(probe::ProbeArgs),
    Abx(abx::AbxArgs),
    Factors(factors::FactorsArgs),
    Score(score::ScoreArgs),
    Swap(swap::SwapArgs),
    Results(results::ResultsArgs),
    Frontier(frontier::FrontierArgs),
    CtmToAli(ctm_to_ali::CtmToAliArgs),
}

/// Runs the command line of this process.
///
/// # Errors
/// Whatever the command says, with the places that it names.
pub fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::CopyFeats(args) => copy_feats::run(args),
        Command::Data(args) => data::run(args),
        Command::Fbank(args) => fbank::run(&args),
        Command::Mfcc(args) => mfcc::run(&args),
        Command::Spectrogram(args) => spectrogram::run(&args),
        Command::Mel(args) => mel::run(&args),
        Command::Whisper(args) => whisper::run(&args),
        Command::ComputeCmvn(args) => compute_cmvn::run(args),
        Command::ApplyCmvn(args) => apply_cmvn::run(args),
        Command::Train(args) => train::run(args),
        Command::Extract(args) => extract::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Abx(args) => abx::run(args),
        Command::Factors(args) => factors::run(args),
        Command::Score(args) => score::run(args),
        Command::Swap(args) => swap::run(args),
        Command::Results(args) => results::run(args),
        Command::Frontier(args) => frontier::run(args),
        Command::CtmToAli(args) => ctm_to_ali::run(args),
    }
}
