//! `unbraid stream`: phonetic codes of sound as it comes.

use std::io::{self, Cursor, Read, Write};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ndarray::Array2;

use super::choices::DeviceParser;
use super::models::CheckpointArgs;
use crate::error::Error;
use crate::inference::stream::CodeStream;
use crate::io::audio::{RawFormat, RawSamples};
use crate::io::message::{STDOUT, message};
use crate::method::speech::load;
use crate::nn::device::DeviceChoice;
use crate::signal::{AnyFrontEndOptions, FrontEnd};

/// Encode raw PCM from standard input as a stream of phonetic codes.
///
/// The codes equal those of 'unbraid extract --wav' within 1e-5 of the largest value, however the input is cut. Each code
/// is written as soon as no later sample can change it.
///
/// The phonetic encoder must be causal (phonetic_encoder.causal = true). The normalisation must not need the whole
/// utterance: normalisation.subtract_utterance_mean = false, and normalisation.cmvn = "global" or "none".
/// recipes/mini/conf/causal.toml is such a configuration.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  arecord -q -t raw -f S16_LE -r 16000 -c 1 | \\
    unbraid stream --exp exp/causal --rate 16000 --format s16le
  sox talk.flac -t f32 - | unbraid stream --exp exp/causal --rate 16000 \\
    --format f32le --chunk 1000 --output f32 > codes.f32

Latency: a code covers a sound at most one frame (25 ms) plus the frames
between two codes (10 ms for one code per two frames) after it arrives, and
--chunk later where samples are collected. The exact values are printed on
standard error at the start. Memory use is constant, except for conformers,
whose attention covers all past frames.")]
pub(super) struct StreamArgs {
    #[command(flatten)]
    model: CheckpointArgs,
    /// Sample rate of the input; must be that of the front-end
    #[arg(long, value_name = "HZ")]
    rate: u32,
    /// Sample format of the input
    #[arg(long)]
    format: Format,
    /// Milliseconds of input per computation: small for low latency, large for speed
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    chunk: u32,
    /// Output format
    #[arg(long, default_value = "text")]
    output: Output,
    /// Device to compute on
    #[arg(long, default_value = "cpu", value_parser = DeviceParser)]
    device: DeviceChoice,
}

/// Sample formats.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// 16-bit integers, little-endian; full scale is 32768.
    S16le,
    /// 32-bit floats, little-endian; full scale is 1.
    F32le,
}

/// What is written per code.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// One line: start time of its first frame in seconds, and its values.
    Text,
    /// Its values as 32-bit floats, little-endian.
    F32,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; codes that were ready before stay written.
pub(super) fn run(args: &StreamArgs) -> anyhow::Result<()> {
    let device = args.device.resolve()?;
    let experiment = args.model.experiment()?;
    let (model, info) = load(&experiment, &args.model.checkpoint, device)?;
    let options = AnyFrontEndOptions::read(experiment.path().join("front_end.toml"))?;
    let front_end = FrontEnd::new(options.spectral("for a stream")?.clone())?;
    let rate_hz = front_end.sample_rate_hz();
    if f64::from(args.rate) != rate_hz {
        bail!(
            "--rate: expected the front-end's {rate_hz} Hz, found {}",
            args.rate
        );
    }
    let mut stream = CodeStream::new(model.as_ref(), &info.normalisation, &front_end, device)?;
    report_latency(&stream, args);
    let format = match args.format {
        Format::S16le => RawFormat::S16le,
        Format::F32le => RawFormat::F32le,
    };
    let piece = (u64::from(args.rate) * u64::from(args.chunk)).div_ceil(1000) as usize;
    let mut stdin = io::stdin().lock();
    let head = raw_head(&mut stdin)?;
    let stdin = Cursor::new(head).chain(stdin);
    let mut source = RawSamples::new(stdin, "standard input", format, piece);
    let mut sink = Sink {
        to: io::stdout().lock(),
        output: args.output,
        shift_s: stream.code_shift_s(),
        written: 0,
    };
    while let Some(samples) = source.next_piece()? {
        sink.write(&stream.accept(&samples)?)?;
    }
    sink.write(&stream.finish()?)
}

/// The first bytes of a stream, which must not be those of a file's header.
fn raw_head(stdin: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut head = Vec::new();
    (stdin.take(4).read_to_end(&mut head)).context("standard input")?;
    let kind = match &head[..] {
        b"RIFF" | b"RIFX" | b"RF64" => "a WAV file",
        b"fLaC" => "a FLAC file",
        b"OggS" => "an Ogg file",
        b"FORM" => "an AIFF file",
        b".snd" => "an .au file",
        b"caff" => "a CAF file",
        [b'I', b'D', b'3', _] => "an MP3 file",
        _ => return Ok(head),
    };
    bail!("standard input: expected raw samples (as of sox FILE -t raw -), found {kind}")
}

/// Reports the latency.
fn report_latency(stream: &CodeStream, args: &StreamArgs) {
    let latency = stream.latency();
    let ms = |seconds: f64| (seconds * 1e5).round() / 100.0;
    message(format_args!(
        "unbraid: latency {} ms: {} per frame, {} between the frames of a code; plus --chunk {}; one code per {} ms",
        ms(latency.total_s()),
        ms(latency.window_s),
        ms(latency.subsampling_s),
        args.chunk,
        ms(stream.code_shift_s()),
    ));
    if stream.grows() {
        message(
            "unbraid: memory and time per code grow with the stream: attention covers all past frames",
        );
    }
}

/// Where codes go.
struct Sink<W> {
    to: W,
    output: Output,
    shift_s: f64,
    written: usize,
}

impl<W: Write> Sink<W> {
    /// Writes codes `[codes, code_dim]`, so that whoever waits for them has them.
    fn write(&mut self, codes: &Array2<f32>) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        for code in codes.rows() {
            match self.output {
                Output::Text => {
                    write!(bytes, "{:.4}", self.written as f64 * self.shift_s)?;
                    for value in code {
                        write!(bytes, " {value}")?;
                    }
                    bytes.push(b'\n');
                }
                Output::F32 => bytes.extend(code.iter().flat_map(|value| value.to_le_bytes())),
            }
            self.written += 1;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        (self.to.write_all(&bytes).and_then(|()| self.to.flush())).map_err(Error::io(STDOUT))?;
        Ok(())
    }
}
