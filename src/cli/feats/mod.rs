//! `unbraid feats`: features computed from audio and worked on.

// Commands.
mod apply_cmvn;
mod apply_cmvn_sliding;
mod augment;
mod cmvn_stats;
mod copy;
mod deltas;
mod fbank;
mod mel;
mod mfcc;
mod pitch;
mod select_voiced;
mod speaker_regression;
mod spectrogram;
mod splice;
#[cfg(feature = "torch")]
mod ssl;
mod stretch;
mod subsample;
mod subtract_speaker;
mod vad;
mod waveform;
mod whisper;

// What they share.
mod audio_map;
mod feature_map;
mod features;
mod speaker_embeddings;
mod vtln;

use clap::{Args, Subcommand};

/// Compute, normalise and transform features, as Kaldi archives.
#[derive(Debug, Args)]
pub(super) struct FeatsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fbank(fbank::FbankArgs),
    Mfcc(mfcc::MfccArgs),
    Spectrogram(spectrogram::SpectrogramArgs),
    Mel(mel::MelArgs),
    Whisper(whisper::WhisperArgs),
    #[cfg(feature = "torch")]
    Ssl(ssl::SslArgs),
    Pitch(pitch::PitchArgs),
    Copy(copy::CopyArgs),
    CmvnStats(cmvn_stats::CmvnStatsArgs),
    ApplyCmvn(apply_cmvn::ApplyCmvnArgs),
    ApplyCmvnSliding(apply_cmvn_sliding::ApplyCmvnSlidingArgs),
    Deltas(deltas::DeltasArgs),
    Splice(splice::SpliceArgs),
    Subsample(subsample::SubsampleArgs),
    Stretch(stretch::StretchArgs),
    Vad(vad::VadArgs),
    SelectVoiced(select_voiced::SelectVoicedArgs),
    Augment(augment::AugmentArgs),
    SpeakerRegression(speaker_regression::SpeakerRegressionArgs),
    SubtractSpeaker(subtract_speaker::SubtractSpeakerArgs),
    Waveform(waveform::WaveformArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with options, files or the place to write to.
pub(super) fn run(args: FeatsArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Fbank(args) => fbank::run(&args),
        Command::Mfcc(args) => mfcc::run(&args),
        Command::Spectrogram(args) => spectrogram::run(&args),
        Command::Mel(args) => mel::run(&args),
        Command::Whisper(args) => whisper::run(&args),
        #[cfg(feature = "torch")]
        Command::Ssl(args) => ssl::run(&args),
        Command::Pitch(args) => pitch::run(args),
        Command::Copy(args) => copy::run(args),
        Command::CmvnStats(args) => cmvn_stats::run(args),
        Command::ApplyCmvn(args) => apply_cmvn::run(args),
        Command::ApplyCmvnSliding(args) => apply_cmvn_sliding::run(args),
        Command::Deltas(args) => deltas::run(args),
        Command::Splice(args) => splice::run(args),
        Command::Subsample(args) => subsample::run(args),
        Command::Stretch(args) => stretch::run(args),
        Command::Vad(args) => vad::run(args),
        Command::SelectVoiced(args) => select_voiced::run(args),
        Command::Augment(args) => augment::run(&args),
        Command::SpeakerRegression(args) => speaker_regression::run(&args),
        Command::SubtractSpeaker(args) => subtract_speaker::run(&args),
        Command::Waveform(args) => waveform::run(args),
    }
}
