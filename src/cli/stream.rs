//! `unbraid stream`: phonetic codes of sound as it comes.

use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ndarray::Array2;

use crate::error::Error;
use crate::inference::stream::CodeStream;
use crate::io::audio::{RawFormat, RawSamples};
use crate::io::message::{STDOUT, message};
use crate::method::speech::load;
use crate::nn::device::DeviceChoice;
use crate::signal::{FrontEnd, FrontEndOptions};
use crate::train::experiment::Experiment;

/// Encode raw PCM from standard input to phonetic codes as it comes.
///
/// The codes are those of `unbraid extract --wav`, within 1e-5 of the largest, however the sound is cut; each is written as
/// soon as nothing to come can change it. The phonetic encoder has to be causal (phonetic_encoder.causal), and the normalisation must
/// not need a whole utterance (normalisation.subtract_utterance_mean = false, normalisation.cmvn = "global" or "none"), as in recipes/mini/conf/causal.toml.
///
/// Latency: a sound is heard by a code at most one frame (25 ms) and the frames between two codes (10 ms for one code in
/// two frames) after it came, and --chunk later where pieces are gathered; the numbers of the experiment are told on
/// standard error at the start. Memory stays as it is but for conformers, whose attention looks back to the beginning.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  arecord -q -t raw -f S16_LE -r 16000 -c 1 | unbraid stream --exp exp/causal --rate 16000 --format s16le
  sox talk.flac -t f32 - | unbraid stream --exp exp/causal --rate 16000 --format f32le --chunk 1000 --output f32 > codes.f32")]
pub struct StreamArgs {
    /// Folder of the experiment, whose training named its front-end (data.front_end)
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// Which checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Sample rate of the sound in Hz: that of the front-end, since nothing is resampled
    #[arg(long, value_name = "HZ")]
    rate: u32,
    /// How samples lie in their bytes
    #[arg(long)]
    format: Format,
    /// Milliseconds of sound that are gathered before they are computed: less for a short delay, more for long files
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    chunk: u32,
    /// What is written
    #[arg(long, default_value = "text")]
    output: Output,
    /// Where tensors live
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
}

/// How samples lie in their bytes.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// 16 bits, the low byte first; full scale is 32768.
    S16le,
    /// 32-bit floats, the low byte first; full scale is 1.
    F32le,
}

/// What is written of a code.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// A line: the second at which its first frame begins, and its values.
    Text,
    /// Its values as 32-bit floats, the low byte first.
    F32,
}

/// Runs the command.
///
/// # Errors
/// What the library says; codes that were ready before stay written.
pub fn run(args: &StreamArgs) -> anyhow::Result<()> {
    let device = args.device.resolve()?;
    let experiment = Experiment::open(&args.exp)?;
    let (model, info) = load(&experiment, &args.checkpoint, device)?;
    let front_end = FrontEnd::new(FrontEndOptions::read(args.exp.join("front_end.toml"))?)?;
    let rate_hz = front_end.sample_rate_hz();
    if f64::from(args.rate) != rate_hz {
        bail!(
            "--rate: expected the front-end's {rate_hz} Hz, found {}",
            args.rate
        );
    }
    let mut stream = CodeStream::new(model.as_ref(), &info.normalisation, &front_end, device)?;
    tell(&stream, args);
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

/// Says what the stream is like.
fn tell(stream: &CodeStream, args: &StreamArgs) {
    let latency = stream.latency();
    let ms = |seconds: f64| (seconds * 1e5).round() / 100.0;
    message(format_args!(
        "unbraid: latency {} ms: {} of a frame, {} between frames of a code; --chunk {} on top; a code every {} ms",
        ms(latency.total_s()),
        ms(latency.window_s),
        ms(latency.subsampling_s),
        args.chunk,
        ms(stream.code_shift_s()),
    ));
    if stream.grows() {
        message(
            "unbraid: memory and the time of a code grow with the stream: attention looks back to its beginning",
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
