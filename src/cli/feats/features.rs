//! Audio to features: what the commands `fbank`, `mfcc`, `spectrogram`, `mel` and `whisper` share.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::audio_map::AudioArgs;
use super::vtln::{VtlnArgs, Warps};
use crate::io::config::with_setting;
use crate::io::message::message;
use crate::signal::{FrontEnd, FrontEndKind, FrontEndOptions, Preset};

/// Options that the front-ends share.
#[derive(Debug, Args)]
pub(super) struct FeatureArgs {
    /// Options of the front-end in TOML; the original's defaults without it
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,

    /// Override an option of the front-end; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    #[command(flatten)]
    audio: AudioArgs,
}

/// Options of Kaldi's front-ends only.
#[derive(Debug, Default, Args)]
pub(super) struct KaldiArgs {
    /// Take other defaults: torchaudio for those of torchaudio.compliance.kaldi
    #[arg(long, value_name = "NAME")]
    preset: Option<PresetName>,
}

/// Names of presets on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum PresetName {
    Torchaudio,
}

impl From<PresetName> for Preset {
    fn from(name: PresetName) -> Self {
        match name {
            PresetName::Torchaudio => Self::Torchaudio,
        }
    }
}

/// Reads, computes, writes.
///
/// # Errors
/// What is wrong with configuration, lists or the place to write to; and at the end the utterances that
/// failed. Without one that succeeded nothing is written.
pub(super) fn run(
    kind: FrontEndKind,
    args: &FeatureArgs,
    kaldi: &KaldiArgs,
    vtln: &VtlnArgs,
) -> anyhow::Result<()> {
    let options = options(kind, args, kaldi)?;
    let place = || args.conf.as_ref().map(|conf| conf.display().to_string());
    let front_end = FrontEnd::new(options.clone());
    let front_end = match place() {
        Some(conf) => front_end.context(conf)?,
        None => front_end?,
    };
    warn_of_empty_filters(&front_end);
    let warps = Warps::read(vtln, &options)?;
    args.audio.map(|blocks| match &warps {
        None => blocks.features(&front_end),
        Some(warps) => {
            let front_end = warps.of(blocks.utterance())?;
            blocks.features(front_end)
        }
    })
}

fn warn_of_empty_filters(front_end: &FrontEnd) {
    if let empty @ [first, ..] = front_end.empty_filters() {
        let count = empty.len();
        message(format_args!(
            "unbraid: warning: no bin of the FFT falls into {count} mel filters, the first of them filter {first} (from 0): \
             their energy is 0"
        ));
    }
}

fn options(
    kind: FrontEndKind,
    args: &FeatureArgs,
    kaldi: &KaldiArgs,
) -> anyhow::Result<FrontEndOptions> {
    let preset = kaldi.preset.map(Preset::from);
    let mut options = match (&args.conf, preset) {
        (Some(conf), preset) => FrontEndOptions::read_as(conf, kind, preset)?,
        (None, Some(preset)) => kind.preset(preset)?,
        (None, None) => kind.defaults(),
    };
    for setting in &args.settings {
        options = with_setting(&options, setting, &[])?;
    }
    Ok(options)
}
