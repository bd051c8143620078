//! `unbraid feats waveform`: features to waveforms.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;

use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::cli::resynthesis::ResynthesisArgs;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::audio::{Waveform, write_wav};
use crate::io::kaldi::TableReader;
use crate::signal::pitch::F0Contour;
use crate::signal::{FrontEndOptions, Resynthesis};

/// Make waveforms from features of fbank, spectrogram or mel, or of a decoder.
///
/// A spectrum is found that the filters turn into the given energies. With --pitch it is the envelope of a voice: harmonics
/// of F0 and noise go through it, with as many frames of pitch as of features (two more or less, as in Kaldi's recipes). Without --pitch the fast Griffin-Lim
/// algorithm (Griffin and Lim 1984, Perraudin et al. 2013) finds a signal with that spectrum; it whispers where the filters
/// are wider than F0. The command writes DIR/UTTERANCE.wav and DIR/wav.scp. An utterance that fails is reported and left
/// out, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats pitch --conf conf/pitch.toml scp:data/test/wav.scp \\
    ark,scp:pitch.ark,pitch.scp
  unbraid feats waveform --conf conf/fbank.toml --pitch scp:pitch.scp \\
    scp:data/test/feats.scp wavs
  unbraid feats waveform --conf conf/fbank.toml scp:data/test/feats.scp wavs

Pitch needs the frame_shift and snip_edges of the features. Cepstra, energy
columns (a spectrogram has one unless its output is power or magnitude) and
features without their mean lack information, and are refused.")]
pub(super) struct WaveformArgs {
    /// Features to read, as scp:feats.scp
    #[arg(value_name = "RSPECIFIER")]
    from: String,
    /// Folder of the WAV files
    #[arg(value_name = "DIR")]
    out: PathBuf,
    /// Options of the front-end in TOML, as the command that computed the features reads them
    #[arg(long, value_name = "FILE")]
    conf: PathBuf,
    /// Pitch of the utterances, as 'unbraid feats pitch' writes it: harmonics and noise in place of Griffin-Lim
    #[arg(long, value_name = "RSPECIFIER", conflicts_with_all = ["iterations", "momentum"])]
    pitch: Option<String>,
    #[command(flatten)]
    resynthesis: ResynthesisArgs,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; utterances that failed, as one whose id is no file's name, or one without fitting pitch.
pub(super) fn run(args: WaveformArgs) -> anyhow::Result<()> {
    let resynthesis = args.resynthesis.of(&FrontEndOptions::read(&args.conf)?)?;
    let pitch = args.pitch.as_deref().map(Pitch::read).transpose()?;
    atomic::create_dir_all(&args.out)?;
    let (mut list, mut total) = (String::new(), 0);
    let (progress, mut failures) = (counter("utterances"), Failures::default());
    for entry in TableReader::<Array2<f32>>::open(&args.from)? {
        let (key, feats) = entry?;
        let made = file_name(&args.from, &key).and_then(|name| {
            let samples = samples(&resynthesis, &key, &feats, pitch.as_ref());
            Ok((
                name,
                samples.map_err(|error| error.at_key(&args.from, &key))?,
            ))
        });
        match made {
            Err(error) => failures.add(&key, &error, &progress),
            Ok((name, samples)) => {
                let path = args.out.join(name);
                let sample_rate_hz = resynthesis.sample_rate_hz() as u32;
                write_wav(
                    &path,
                    &Waveform {
                        samples,
                        sample_rate_hz,
                    },
                )?;
                list += &format!("{key} {}\n", path.display());
            }
        }
        total += 1;
        progress.inc(1);
    }
    progress.finish_and_clear();
    if !list.is_empty() {
        atomic::write(args.out.join("wav.scp"), list)?;
    }
    failures.into_result(total, "utterances")
}

/// A voice where there is pitch, else what Griffin-Lim finds.
fn samples(
    resynthesis: &Resynthesis,
    key: &str,
    feats: &Array2<f32>,
    pitch: Option<&Pitch>,
) -> Result<Vec<f32>> {
    match pitch {
        Some(pitch) => resynthesis.voice(feats.view(), &pitch.contour(key, feats.nrows())?),
        None => resynthesis.griffin_lim(feats.view()),
    }
}

/// The pitch of all utterances.
struct Pitch<'a> {
    from: &'a str,
    utterances: HashMap<String, Array2<f32>>,
}

impl<'a> Pitch<'a> {
    fn read(from: &'a str) -> Result<Self> {
        let utterances = TableReader::open(from)?.collect::<Result<_>>()?;
        Ok(Self { from, utterances })
    }

    /// The contour of an utterance of so many frames.
    fn contour(&self, key: &str, frames: usize) -> Result<F0Contour> {
        let odd = |expected: String, found: String| Error::key(self.from, key, expected, found);
        let pitch = (self.utterances.get(key))
            .ok_or_else(|| odd("pitch of this utterance".into(), "none".into()))?;
        F0Contour::of_frames(pitch.view(), frames).map_err(|error| error.at_key(self.from, key))
    }
}

fn file_name(from: &str, key: &str) -> Result<String> {
    match key.contains('/') || key.starts_with('.') {
        true => Err(Error::key(
            from,
            key,
            "an id that can be a file's name",
            key,
        )),
        false => Ok(format!("{key}.wav")),
    }
}
