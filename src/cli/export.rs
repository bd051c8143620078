//! `unbraid export`: an encoder as a TorchScript module.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tch::Device;

use crate::inference::extract::Representation;
use crate::inference::module::{Export, Exported, Input, Metadata};
use crate::io::message::{message, output};
use crate::method::speech::load;
use crate::signal::FrontEndOptions;
use crate::train::experiment::Experiment;

/// Write an encoder as a TorchScript module for PyTorch and C++.
///
/// The module takes one utterance of any length, and gives its phonetic codes [1, codes, code_dim] or its speaker embedding
/// [1, embedding_dim]. Without --front-end it takes features [1, frames, bins] as the experiment's front-end makes them (what
/// the experiment does to them, the normalisation, is inside); with it, a waveform [1, samples] of the front-end's sample rate, as
/// 32-bit floats with full scale at 1 (16-bit samples divided by 32768, as soundfile and torchaudio load them), whatever
/// full_scale the front-end works on. A front-end inside adds no dither and works in double precision, where `extract --wav`
/// works in single: codes differ by about 1e-6 of the largest, and by up to 1e-4 where bins lie far below the loudest of their
/// frame, as in synthetic speech.
///
/// Before the file appears, the module is run at lengths other than the traced one; one that strays from the experiment by
/// more than 1e-5 of the largest value is not written. `unbraid extract --module` runs it over a corpus.
///
/// What it is stands in the extra file unbraid.json: format, representation, input, least (the fewest frames or samples), bins, dim,
/// subsampling, sample_rate_hz, frame_shift_s, front_end.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid export --exp exp/default --output phonetic --front-end phonetic.pt

In Python:
  extra = {'unbraid.json': ''}
  encoder = torch.jit.load('phonetic.pt', _extra_files=extra)
  codes = encoder(waveform)  # [1, samples] to [1, codes, code_dim]; json.loads(extra['unbraid.json'])

In C++: examples/cpp/codes.cpp")]
pub struct ExportArgs {
    /// Folder of the experiment
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// Which encoder
    #[arg(long, alias = "strand")]
    output: Encoder,
    /// Which checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Take a waveform, through the front-end that training named (data.front_end)
    #[arg(long)]
    front_end: bool,
    /// Where to write
    #[arg(value_name = "FILE.pt")]
    target: PathBuf,
}

/// The encoders of an experiment.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Encoder {
    /// Speech to codes.
    Phonetic,
    /// Speech to one embedding of length 1.
    Speaker,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let experiment = Experiment::open(&args.exp)?;
    let (model, info) = load(&experiment, &args.checkpoint, Device::Cpu)?;
    let known = args.exp.join("front_end.toml");
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
    tell(&exported, args)?;
    let dithers = |options: &FrontEndOptions| options.without_dither() != *options;
    if args.front_end && front_end.as_ref().is_some_and(dithers) {
        message(format_args!(
            "unbraid: the experiment's front-end dithers, the module's does not"
        ));
    }
    Ok(())
}

/// Says what was written.
fn tell(exported: &Exported, args: &ExportArgs) -> anyhow::Result<()> {
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
