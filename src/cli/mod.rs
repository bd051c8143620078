//! The command line: one file per command, which parses, calls the library and prints.

mod abx;
mod add_deltas;
mod apply_cmvn;
mod apply_cmvn_sliding;
mod asr;
mod audio_map;
mod augment;
mod augment_feats;
mod backend;
mod calibrate;
mod compute_cmvn;
mod compute_vad;
mod config;
mod convert;
mod copy_feats;
mod ctm_to_ali;
mod data;
mod encode;
mod evaluate;
mod export;
mod extract;
mod factors;
mod failures;
mod fbank;
mod feature_map;
mod features;
mod frontier;
mod griffin_lim;
mod image_source;
mod map;
mod mel;
mod mfcc;
mod pipes;
mod pitch;
mod plot;
mod probe;
mod progress;
mod report;
mod result_files;
mod results;
mod resynthesis;
mod sample;
mod score;
mod scores;
mod select_voiced_frames;
mod shell;
mod spectrogram;
mod splice_feats;
mod stream;
mod stretch_feats;
mod subsample_feats;
mod swap;
mod train;
mod units;
mod verification;
mod vtln;
mod whisper;

use clap::{CommandFactory, Parser, Subcommand};

/// Takes speech apart into what was said and who said it.
#[derive(Debug, Parser)]
#[command(
    name = "unbraid",
    version,
    propagate_version = true,
    after_help = "\
From sound to codes, and what they know:
  unbraid data validate --no-feats data/train
  unbraid fbank --conf conf/fbank.toml scp:data/train/wav.scp ark,scp:data/train/feats.ark,data/train/feats.scp
  unbraid train --conf conf/default.toml --exp exp/default
  unbraid extract --exp exp/default --strand phonetic scp:data/test/feats.scp ark,scp:z.ark,z.scp
  unbraid probe data/train data/test --target speaker --strand phonetic=z_train.scp,z.scp

unbraid help COMMAND explains each, with examples; recipes/ has whole experiments."
)]
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
    ApplyCmvnSliding(apply_cmvn_sliding::ApplyCmvnSlidingArgs),
    AddDeltas(add_deltas::AddDeltasArgs),
    SpliceFeats(splice_feats::SpliceFeatsArgs),
    StretchFeats(stretch_feats::StretchFeatsArgs),
    SubsampleFeats(subsample_feats::SubsampleFeatsArgs),
    ComputeVad(compute_vad::ComputeVadArgs),
    SelectVoicedFrames(select_voiced_frames::SelectVoicedFramesArgs),
    Pitch(pitch::PitchArgs),
    Plot(plot::PlotArgs),
    Augment(augment::AugmentArgs),
    AugmentFeats(augment_feats::AugmentFeatsArgs),
    Config(config::ConfigArgs),
    Train(train::TrainArgs),
    Extract(extract::ExtractArgs),
    Export(export::ExportArgs),
    Stream(stream::StreamArgs),
    Evaluate(evaluate::EvaluateArgs),
    Encode(encode::EncodeArgs),
    Sample(sample::SampleArgs),
    Scores(scores::ScoresArgs),
    Probe(probe::ProbeArgs),
    Abx(abx::AbxArgs),
    Factors(factors::FactorsArgs),
    Units(units::UnitsArgs),
    Asr(asr::AsrArgs),
    Backend(backend::BackendArgs),
    Score(score::ScoreArgs),
    Calibrate(calibrate::CalibrateArgs),
    Swap(swap::SwapArgs),
    Convert(convert::ConvertArgs),
    GriffinLim(griffin_lim::GriffinLimArgs),
    Results(results::ResultsArgs),
    Frontier(frontier::FrontierArgs),
    Map(map::MapArgs),
    Report(report::ReportArgs),
    CtmToAli(ctm_to_ali::CtmToAliArgs),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
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
        Command::ApplyCmvnSliding(args) => apply_cmvn_sliding::run(args),
        Command::AddDeltas(args) => add_deltas::run(args),
        Command::SpliceFeats(args) => splice_feats::run(args),
        Command::StretchFeats(args) => stretch_feats::run(args),
        Command::SubsampleFeats(args) => subsample_feats::run(args),
        Command::ComputeVad(args) => compute_vad::run(args),
        Command::SelectVoicedFrames(args) => select_voiced_frames::run(args),
        Command::Pitch(args) => pitch::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Augment(args) => augment::run(&args),
        Command::AugmentFeats(args) => augment_feats::run(&args),
        Command::Config(args) => config::run(args),
        Command::Train(args) => train::run(args),
        Command::Extract(args) => extract::run(args),
        Command::Export(args) => export::run(&args),
        Command::Stream(args) => stream::run(&args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Encode(args) => encode::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Scores(args) => scores::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Abx(args) => abx::run(args),
        Command::Factors(args) => factors::run(args),
        Command::Units(args) => units::run(args),
        Command::Asr(args) => asr::run(args),
        Command::Backend(args) => backend::run(args),
        Command::Score(args) => score::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Swap(args) => swap::run(args),
        Command::Convert(args) => convert::run(args),
        Command::GriffinLim(args) => griffin_lim::run(args),
        Command::Results(args) => results::run(args),
        Command::Frontier(args) => frontier::run(args),
        Command::Map(args) => map::run(args),
        Command::Report(args) => report::run(args),
        Command::CtmToAli(args) => ctm_to_ali::run(args),
        Command::Completions(args) => shell::completions(&args, Cli::command()),
        Command::Man(args) => shell::man(&args, Cli::command()),
    }
}
