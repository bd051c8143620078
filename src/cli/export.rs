//! `unbraid export`: an encoder as a TorchScript module.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tch::Device;

use super::models::CheckpointArgs;
use crate::inference::extract::Representation;
use crate::inference::module::{Export, Exported, Input, Metadata};
use crate::io::message::{message, output};
use crate::method::speech::load;
use crate::signal::FrontEndOptions;

/// Write an encoder as a TorchScript module for PyTorch and C++.
///
/// The module takes one utterance of any length. It returns phonetic codes [1, codes, code_dim] or a speaker embedding
/// [1, embedding_dim].
///
/// Without --front-end the input is features [1, frames, bins], as the experiment's front-end computes them. The
/// normalisation is inside the module. With --front-end the input is a waveform [1, samples] at the front-end's sample
/// rate: 32-bit floats with full scale at 1, as soundfile and torchaudio load them.
///
/// Before the file is written, the module runs at lengths other than the traced one. A module whose output differs from
/// the experiment's by more than 1e-5 of the largest value is not written.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid export --exp exp/default --output phonetic --front-end phonetic.pt
  unbraid extract --module phonetic.pt --wav scp:data/test/wav.scp \\
    ark,scp:z.ark,z.scp

In Python:
  extra = {'unbraid.json': ''}
  encoder = torch.jit.load('phonetic.pt', _extra_files=extra)
  codes = encoder(waveform)  # [1, samples] to [1, codes, code_dim]
  info = json.loads(extra['unbraid.json'])

In C++: examples/cpp/codes.cpp

The extra file unbraid.json describes the module: format, representation,
input, least (fewest frames or samples), bins, dim, subsampling,
sample_rate_hz, frame_shift_s, front_end.

A front-end inside a module adds no dither and computes in double precision;
'extract --wav' computes in single precision. Codes differ by about 1e-6 of the
largest value, and by up to 1e-4 where bins are far below the loudest bin of
their frame, as in synthetic speech.")]
pub(super) struct ExportArgs {
    #[command(flatten)]
    model: CheckpointArgs,
    /// Encoder to export
    #[arg(long, alias = "strand")]
    output: Encoder,
    /// Take waveforms: put the experiment's front-end (data.front_end) into the module
    #[arg(long)]
    front_end: bool,
    /// Module to write
    #[arg(value_name = "FILE.pt")]
    target: PathBuf,
}

/// The encoders of an experiment.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Encoder {
    /// Phonetic codes.
    Phonetic,
    /// One speaker embedding of length 1.
    Speaker,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let experiment = args.model.experiment()?;
    let (model, info) = load(&experiment, &args.model.checkpoint, Device::Cpu)?;
    let known = experiment.path().join("front_end.toml");
    let front_end = match known.exists() {
        true => Some(FrontEndOptions::read(known)?),
        false => None,
    };
    let export = Export {
        model: model.as_ref(),
        normalisation: &info.normalisation,
        representation: match args.output {
            Encoder::Phonetic => Representation::Phonetic,
            Encoder::Speaker => Representation::Speaker,
        },
        front_end: front_end.as_ref(),
        input: match args.front_end {
            true => Input::Waveform,
            false => Input::Features,
        },
    };
    let exported = export.write(&args.target)?;
    print_summary(&exported, args)?;
    let dithers = |options: &FrontEndOptions| options.without_dither() != *options;
    if args.front_end && front_end.as_ref().is_some_and(dithers) {
        message(format_args!(
            "unbraid: the experiment's front-end dithers, the module's does not"
        ));
    }
    Ok(())
}

/// Prints what was written.
fn print_summary(exported: &Exported, args: &ExportArgs) -> anyhow::Result<()> {
    let Metadata {
        input, dim, bins, ..
    } = exported.metadata;
    let takes = match input {
        Input::Features => format!("features [1, frames, {bins}]"),
        Input::Waveform => "a waveform [1, samples]".to_string(),
    };
    let gives = match args.output {
        Encoder::Phonetic => format!("codes [1, codes, {dim}]"),
        Encoder::Speaker => format!("an embedding [1, {dim}]"),
    };
    let lengths: Vec<String> = exported.lengths.iter().map(usize::to_string).collect();
    output(format_args!(
        "{}: {takes} to {gives}; at {} {} within {:.1e} of the experiment\n",
        args.target.display(),
        lengths.join(", "),
        input.unit(),
        exported.gap
    ))?;
    Ok(())
}
