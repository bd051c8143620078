//! `unbraid export`: an encoder as an ONNX model or a TorchScript module.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tch::Device;

use super::models::CheckpointArgs;
use crate::error::Error;
use crate::inference::extract::Representation;
use crate::inference::module::{Export, Input, Metadata};
use crate::inference::onnx::{Form, OPSETS, OnnxExport};
use crate::io::message::{message, output};
use crate::method::speech::{load, load_weights};
use crate::signal::{AnyFrontEndOptions, FrontEndOptions};
use crate::train::experiment::Experiment;

/// Write an encoder as an ONNX model or a TorchScript module.
///
/// An ONNX model takes a batch of utterances, padded to the longest, and their lengths. A TorchScript module takes one
/// utterance. Both take any length and return phonetic codes [batch, codes, code_dim] or speaker embeddings [batch,
/// embedding_dim].
///
/// Without --front-end the input is features [batch, frames, bins], as the experiment's front-end computes them. The
/// normalisation is inside. With --front-end the input is waveforms [batch, samples] at the front-end's sample rate:
/// 32-bit floats with full scale at 1, as soundfile and torchaudio load them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid export --format onnx --exp exp/default --output phonetic \\
    --front-end phonetic.onnx
  unbraid export --format sherpa-onnx --exp exp/xvector --output speaker s.onnx
  unbraid export --exp exp/default --output phonetic --front-end phonetic.pt
  unbraid extract --module phonetic.pt --wav scp:data/test/wav.scp \\
    ark,scp:z.ark,z.scp

In Python with onnxruntime: examples/python/encode.py
  session = onnxruntime.InferenceSession('phonetic.onnx')
  inputs = {'waveforms': waveforms, 'lengths': lengths}
  codes, code_lengths = session.run(None, inputs)
  info = session.get_modelmeta().custom_metadata_map['unbraid.json']

In Python with PyTorch, which has deprecated TorchScript:
  extra = {'unbraid.json': ''}
  encoder = torch.jit.load('phonetic.pt', _extra_files=extra)
  codes = encoder(waveform)  # [1, samples] to [1, codes, code_dim]
  info = json.loads(extra['unbraid.json'])

In C++: examples/cpp/codes.cpp

The metadata unbraid.json describes a model: format, representation, input,
least (fewest frames or samples), bins, dim, subsampling, sample_rate_hz,
frame_shift_s, front_end.

A TorchScript module is compared with the experiment at several lengths; one
whose output differs by more than 1e-5 of the largest value is not written.

A front-end inside a model adds no dither and computes in double precision;
'extract --wav' computes in single precision. Codes differ by about 1e-6 of the
largest value, and by up to 1e-4 where bins are far below the loudest bin of
their frame, as in synthetic speech.")]
pub(super) struct ExportArgs {
    #[command(flatten)]
    model: CheckpointArgs,
    /// Encoder to export
    #[arg(long, alias = "strand")]
    output: Encoder,
    /// Kind of file to write; by default ONNX for a name that ends in .onnx, else TorchScript
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Take waveforms: put the experiment's front-end (data.front_end) into the model
    #[arg(long)]
    front_end: bool,
    /// Take the next piece of a stream and the state behind the piece before; needs a causal encoder and --format onnx
    #[arg(long)]
    stream: bool,
    /// Version of ONNX's operators, 17 to 21; 17 where it is not given
    #[arg(long, value_name = "N")]
    opset: Option<i64>,
    /// File to write
    #[arg(value_name = "FILE")]
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

/// Kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// TorchScript, for PyTorch and C++ with libtorch; PyTorch has deprecated it.
    Torchscript,
    /// ONNX, for onnxruntime and others.
    Onnx,
    /// ONNX with the input and the metadata of sherpa-onnx's speaker models, which compute filter banks themselves.
    SherpaOnnx,
}

impl ExportArgs {
    /// The kind that was asked for, by name or by the file's.
    fn format(&self) -> Format {
        let is_onnx = |extension: &OsStr| extension.eq_ignore_ascii_case("onnx");
        let by_name = match self.target.extension().is_some_and(is_onnx) {
            true => Format::Onnx,
            false => Format::Torchscript,
        };
        self.format.unwrap_or(by_name)
    }

    fn representation(&self) -> Representation {
        match self.output {
            Encoder::Phonetic => Representation::Phonetic,
            Encoder::Speaker => Representation::Speaker,
        }
    }

    /// Refuses options that do not go together.
    fn check(&self) -> crate::Result<()> {
        let beside = |option: &str| {
            let format = self.format().to_possible_value();
            let found = format.map_or(String::new(), |value| value.get_name().to_string());
            Err(Error::option(option, "--format onnx beside it", found))
        };
        match (self.format(), self.output) {
            (Format::Onnx, _) => Ok(()),
            _ if self.stream => beside("--stream"),
            (Format::Torchscript, _) if self.opset.is_some() => beside("--opset"),
            (Format::SherpaOnnx, _) if self.front_end => beside("--front-end"),
            (Format::SherpaOnnx, Encoder::Phonetic) => {
                let expected = "speaker with --format sherpa-onnx";
                Err(Error::option("--output", expected, "phonetic"))
            }
            _ => Ok(()),
        }
    }

    fn input(&self) -> Input {
        match self.front_end {
            true => Input::Waveform,
            false => Input::Features,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    args.check()?;
    let experiment = args.model.experiment()?;
    let known = experiment.path().join("front_end.toml");
    let front_end = match known.exists() {
        true => Some(AnyFrontEndOptions::read(known)?),
        false => None,
    };
    match args.format() {
        Format::Torchscript => write_module(args, &experiment, front_end.as_ref())?,
        Format::Onnx | Format::SherpaOnnx => write_onnx(args, &experiment, front_end.as_ref())?,
    }
    let dithers = |options: &FrontEndOptions| options.without_dither() != *options;
    if let (true, Some(AnyFrontEndOptions::Spectral(options))) = (args.front_end, &front_end)
        && dithers(options)
    {
        message(format_args!(
            "unbraid: the experiment's front-end dithers, the model's does not"
        ));
    }
    Ok(())
}

fn write_module(
    args: &ExportArgs,
    experiment: &Experiment,
    front_end: Option<&AnyFrontEndOptions>,
) -> anyhow::Result<()> {
    let (model, info) = load(experiment, &args.model.checkpoint, Device::Cpu)?;
    let export = Export {
        model: model.as_ref(),
        normalisation: &info.normalisation,
        representation: args.representation(),
        front_end,
        input: args.input(),
    };
    let exported = export.write(&args.target)?;
    let lengths: Vec<String> = exported.lengths.iter().map(usize::to_string).collect();
    output(format_args!(
        "{}; at {} {} within {:.1e} of the experiment\n",
        summary(args, &exported.metadata, "1"),
        lengths.join(", "),
        exported.metadata.input.unit(),
        exported.gap
    ))?;
    Ok(())
}

fn write_onnx(
    args: &ExportArgs,
    experiment: &Experiment,
    front_end: Option<&AnyFrontEndOptions>,
) -> anyhow::Result<()> {
    let (config, info, weights) = load_weights(experiment, &args.model.checkpoint)?;
    let export = OnnxExport {
        config: &config,
        info: &info,
        weights: &weights,
        representation: args.representation(),
        front_end,
        input: args.input(),
        opset: args.opset.unwrap_or(*OPSETS.start()),
        form: match args.format() {
            Format::SherpaOnnx => Form::Sherpa,
            _ if args.stream => Form::Stream,
            _ => Form::Whole,
        },
    };
    let metadata = export.write(&args.target)?;
    output(format_args!("{}\n", summary(args, &metadata, "batch")))?;
    Ok(())
}

/// What was written, for inputs of `batch` utterances.
fn summary(args: &ExportArgs, metadata: &Metadata, batch: &str) -> String {
    let Metadata {
        input, dim, bins, ..
    } = metadata;
    let takes = match input {
        Input::Features => format!("features [{batch}, frames, {bins}]"),
        Input::Waveform => format!("waveforms [{batch}, samples]"),
    };
    let gives = match args.output {
        Encoder::Phonetic => format!("codes [{batch}, codes, {dim}]"),
        Encoder::Speaker => format!("embeddings [{batch}, {dim}]"),
    };
    format!("{}: {takes} to {gives}", args.target.display())
}
