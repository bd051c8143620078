//! `unbraid plot utterance`: an utterance to a picture.

use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::{Array1, Array2};

use crate::cli::arguments::TierArgs;
use crate::cli::recordings::RecordingArgs;
use crate::dataset::RecordingOptions;
use crate::dataset::alignment::{FrameTimes, TimedPhone, read_alignment};
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::audio::{FORMATS, Waveform, read_audio};
use crate::io::kaldi::{KaldiObject, ReadOptions, ReadSpecifier, ScpTable, TableReader};
use crate::report::picture::PictureForm;
use crate::report::utterance::{FeatureTrack, PitchTrack, UtterancePlot};
use crate::signal::pitch::{PitchComputer, PitchOptions};
use crate::signal::resample::resample;

/// Draw an utterance: waveform and spectrogram, optionally features, pitch, voice activity and phones.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid plot utterance --pitch --out hello.png hello.flac
  unbraid plot utterance --wav scp:data/x/wav.scp --utt a-001 \\
    --feats scp:data/x/feats.scp --vad scp:data/x/vad.scp \\
    --alignments data/x/phones.ctm --pitch --out a-001.svg

The audio is a file, or an utterance of wav.scp (cut by --segments). Features
and voice activity are looked up under the utterance id, or under the file name
without its extension. The spectrogram has windows of 25 ms, a pre-emphasis of
6 dB per octave and at most 8 kHz; colours are levels below its peak. Labels of
phones that are too narrow are left out: --width gives more room.")]
pub(super) struct UtteranceArgs {
    #[arg(
        value_name = "AUDIO",
        help = format!("Recording to draw; formats: {FORMATS}"),
        required_unless_present = "wav",
        conflicts_with = "wav"
    )]
    audio: Option<PathBuf>,

    /// Recordings to read, as scp:data/x/wav.scp
    #[arg(long, value_name = "RSPECIFIER", requires = "utt")]
    wav: Option<String>,

    /// Utterance of --wav
    #[arg(long, value_name = "ID")]
    utt: Option<String>,

    #[command(flatten)]
    recordings: RecordingArgs,

    /// Show features, as scp:data/x/feats.scp
    #[arg(long, value_name = "RSPECIFIER")]
    feats: Option<String>,

    /// Axis label of the feature columns
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "mel bin",
        requires = "feats"
    )]
    feats_label: String,

    /// Show voice activity, as scp:data/x/vad.scp
    #[arg(long, value_name = "RSPECIFIER")]
    vad: Option<String>,

    /// Show phones of a CTM, TextGrid, folder of TextGrids or .item file
    #[arg(long, alias = "ctm", value_name = "FILE")]
    alignments: Option<PathBuf>,

    #[command(flatten)]
    tier: TierArgs,

    /// Show pitch, as 'unbraid feats pitch' computes it
    #[arg(long)]
    pitch: bool,

    /// Frame shift of features and voice activity in milliseconds
    #[arg(long, alias = "frame-shift", value_name = "MS", default_value_t = 10.0)]
    frame_shift_ms: f64,

    /// Centre of the first frame in milliseconds: half a shift for snip_edges = false, half a frame for true
    #[arg(long, alias = "first-frame", value_name = "MS", default_value_t = 5.0)]
    first_frame_ms: f64,

    /// Width in pixels; by default 900 to 6000, by the duration
    #[arg(long, value_name = "PIXELS")]
    width: Option<usize>,

    /// Picture to write, .svg or .png
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the sound, with what is shown beside it, or with the place to write to.
pub(super) fn run(args: UtteranceArgs) -> anyhow::Result<()> {
    atomic::try_place(&args.out)?;
    let form = PictureForm::of(&args.out, "--out")?;
    let times = times(&args)?;
    let waveform = args.waveform()?;
    let key = args.key();
    let show = |spec: &Option<String>| spec.as_ref().map(|spec| args.find(spec, &key)).transpose();
    let feats = show(&args.feats)?.map(|values: Array2<f32>| FeatureTrack {
        values,
        label: args.feats_label.clone(),
    });
    let voiced = (args.vad.as_ref())
        .map(|spec| args.find::<Array1<f32>>(spec, &key))
        .transpose()?;
    let phones = (args.alignments.as_ref())
        .map(|path| phones(path, &args.tier.tier, &key))
        .transpose()?;
    let pitch = args.pitch.then(|| pitch(&waveform)).transpose()?;
    let plot = UtterancePlot {
        title: key,
        waveform,
        times,
        feats,
        voiced,
        pitch,
        phones,
        width: args.width,
    };
    Ok(plot.picture()?.write(&args.out, form)?)
}

fn times(args: &UtteranceArgs) -> Result<FrameTimes> {
    let (shift_ms, first_ms) = (args.frame_shift_ms, args.first_frame_ms);
    let sound = |ms: f64| ms.is_finite() && ms >= 0.0;
    if !(sound(shift_ms) && sound(first_ms) && shift_ms > 0.0) {
        let found = format!("{shift_ms} and {first_ms}");
        let expected = "milliseconds above 0";
        return Err(Error::option(
            "--frame-shift-ms and --first-frame-ms",
            expected,
            found,
        ));
    }
    Ok(FrameTimes { shift_ms, first_ms })
}

impl UtteranceArgs {
    /// The utterance's name: --utt, or the file's without its ending.
    fn key(&self) -> String {
        let stem = || {
            let name = self.audio.as_deref().and_then(Path::file_stem);
            name.map_or(String::new(), |name| name.to_string_lossy().into_owned())
        };
        self.utt.clone().unwrap_or_else(stem)
    }

    fn waveform(&self) -> Result<Waveform> {
        let options = self.recordings.options(None);
        let (Some(spec), Some(utterance)) = (&self.wav, &self.utt) else {
            return self.file(&options);
        };
        let (recordings, _) = self.recordings.open(spec)?;
        let mut found = None;
        recordings
            .only(utterance)?
            .for_each(&options, Ok, |_, waveform| {
                found = Some(waveform?);
                Ok::<(), Error>(())
            })?;
        found.ok_or_else(|| Error::key(spec, utterance, "audio of this utterance", "none"))
    }

    /// The recording of AUDIO.
    fn file(&self, options: &RecordingOptions) -> Result<Waveform> {
        self.recordings.refuse_segments("--wav")?;
        let path = self.audio.as_deref().unwrap_or(Path::new(""));
        let mut waveform = read_audio(path, &options.audio)?;
        if let Some(rate_hz) = options.resample_hz {
            let found = resample(&waveform.samples, waveform.sample_rate_hz, rate_hz)?;
            waveform = Waveform {
                samples: found.into_owned(),
                sample_rate_hz: rate_hz,
            };
        }
        Ok(waveform)
    }

    /// The object under `key` of a read specifier.
    fn find<T: KaldiObject>(&self, spec: &str, key: &str) -> Result<T> {
        let absent = || Error::key(spec, key, "an entry for this utterance", "none");
        let allow_pipes = self.recordings.pipes.allow_pipes;
        match ReadSpecifier::parse(spec)?.has_lookups() {
            true => {
                let table = ScpTable::<T>::open_with(spec, ReadOptions { allow_pipes })?;
                match table.contains(key) {
                    true => table.get(key),
                    false => Err(absent()),
                }
            }
            false => {
                for entry in TableReader::<T>::open_with(spec, ReadOptions { allow_pipes })? {
                    let (found, value) = entry?;
                    if found == key {
                        return Ok(value);
                    }
                }
                Err(absent())
            }
        }
    }
}

fn phones(path: &Path, tier: &str, key: &str) -> Result<Vec<TimedPhone<String>>> {
    let mut phones = read_alignment(path, tier)?
        .remove(key)
        .ok_or_else(|| Error::key(path, key, "phones of this utterance", "none"))?;
    phones.sort_by(|a, b| a.start.total_cmp(&b.start));
    Ok(phones)
}

fn pitch(waveform: &Waveform) -> Result<PitchTrack> {
    let options = PitchOptions {
        sample_frequency: f64::from(waveform.sample_rate_hz),
        snip_edges: false,
        ..PitchOptions::default()
    };
    let computer = PitchComputer::new(&options)?;
    computer.check_rate(waveform.sample_rate_hz)?;
    computer.check_length(waveform.samples.len())?;
    Ok(PitchTrack {
        values: computer.compute(&waveform.samples)?,
        times: FrameTimes {
            shift_ms: options.frame_shift,
            first_ms: options.frame_shift / 2.0,
        },
        range_hz: (options.min_f0, options.max_f0),
    })
}
