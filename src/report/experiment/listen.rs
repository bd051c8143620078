//! Audio: recordings, resynthesised from their features, reconstructed, and converted to another speaker.

use ndarray::Array2;

use super::Part;
use super::folder::{ExpFolder, TestSet};
use crate::dataset::{RecordingOptions, Recordings, UtteranceBlocks};
use crate::error::{Error, Result};
use crate::inference::Model;
use crate::inference::conversion::convert_contour;
use crate::io::audio::{AudioSource, Pipes, Waveform, wav_bytes};
use crate::report::page::{Clip, Grid, Html, command_line};
use crate::report::utterance::SpectrogramPlot;
use crate::signal::{Resynthesis, ResynthesisOptions};

/// The longest excerpt of a recording, in seconds.
const MOST_SECONDS: f64 = 4.0;

/// Options of the audio section.
#[derive(Debug, Clone, Copy)]
pub struct ListenOptions {
    /// Number of utterances.
    pub utterances: usize,
    /// Steps of the Griffin-Lim algorithm, which takes the place of the source-filter generator.
    pub griffin_lim: Option<usize>,
    /// Whether commands of `wav.scp` may run.
    pub pipes: Pipes,
}

/// An utterance, and the utterance of the target speaker.
#[derive(Debug, PartialEq, Eq)]
struct Pair<'a> {
    source: &'a str,
    target: &'a str,
}

/// The section.
///
/// # Errors
/// A recording that cannot be read, and as [`Model`] and [`Resynthesis::waveform`].
pub(super) fn section(
    exp: &ExpFolder,
    data: Option<&TestSet>,
    model: &Result<Model, String>,
    options: ListenOptions,
) -> Result<Part> {
    if options.utterances == 0 {
        return Part::left_out("--utterances 0");
    }
    let Some(data) = data else {
        return Part::left_out("needs --data with wav.scp");
    };
    let Some(recordings) = recordings(data)? else {
        let path = data.dir.path().join("wav.scp");
        return Part::left_out(format!("needs {}", path.display()));
    };
    let model = match model {
        Ok(model) => model,
        Err(need) => return Part::left_out(need),
    };
    let mut resynthesis = ResynthesisOptions::default();
    if let Some(iterations) = options.griffin_lim {
        resynthesis.iterations = iterations;
    }
    let back = match (model.front_end().spectral("to listen to it"))
        .and_then(|front_end| Resynthesis::new(front_end, resynthesis))
    {
        Ok(back) => back,
        Err(error) => return Part::left_out(format!("needs another front_end.toml: {error}")),
    };
    let pairs = pairs(data, options.utterances);
    if pairs.is_empty() {
        return Part::left_out(format!(
            "needs two speakers in {}",
            data.dir.path().display()
        ));
    }
    let studio = Studio {
        exp,
        data,
        recordings,
        model,
        back,
        options,
    };
    studio.section(&pairs)
}

fn recordings(data: &TestSet) -> Result<Option<Recordings>> {
    Ok(match (data.dir.wavs(), data.dir.segments()) {
        (None, _) => None,
        (Some(wavs), None) => Some(Recordings::new(wavs)?),
        (Some(wavs), Some(segments)) => Some(Recordings::with_segments(wavs, segments)?),
    })
}

/// Utterances of two speakers, the first and the middle one, alternating and evenly spaced in the list of each; each with an
/// utterance of the other speaker as target, with other words where there is one.
fn pairs(data: &TestSet, count: usize) -> Vec<Pair<'_>> {
    let speakers = data.dir.speakers();
    if speakers.len() < 2 {
        return Vec::new();
    }
    let two = [&speakers[0], &speakers[speakers.len() / 2]]
        .map(|speaker| data.dir.utterances_of(speaker).collect::<Vec<&str>>());
    let pair = |number: usize| {
        let (own, other) = (&two[number % 2], &two[(number + 1) % 2]);
        let source = own[(2 * (number / 2) + 1) * own.len() / (2 * count.div_ceil(2)) % own.len()];
        let words = data.dir.text(source);
        let first = other.len() / 2;
        let mut around = (0..other.len()).map(|step| other[(first + step) % other.len()]);
        let target = around.find(|target| words.is_none() || data.dir.text(target) != words);
        let target = target.unwrap_or(other[first]);
        Pair { source, target }
    };
    (0..count).map(pair).collect()
}

/// The inputs of the section.
struct Studio<'a> {
    exp: &'a ExpFolder,
    data: &'a TestSet,
    recordings: Recordings,
    model: &'a Model,
    back: Resynthesis,
    options: ListenOptions,
}

/// The audio of a pair.
struct Clips {
    /// Titles and audio in the order of the page.
    clips: Vec<(String, Waveform)>,
    /// Whether a recording was cut.
    cut: bool,
}

impl Studio<'_> {
    fn section(&self, pairs: &[Pair]) -> Result<Part> {
        let mut all = Vec::new();
        for pair in pairs {
            match self.clips(pair) {
                // A method may have no decoder, which is no error of its folder.
                Err(Error::Option {
                    option,
                    expected,
                    found,
                }) if option == "--exp" => {
                    return Part::left_out(format!("needs {expected}, found {found}"));
                }
                other => all.push(other?),
            }
        }
        let mut html = Html::default();
        let rate = self.back.sample_rate_hz();
        let generator = match self.options.griffin_lim {
            None => "Harmonics of F0 and noise are filtered by the features. F0 is that of the source; for a conversion its mean and \
                     deviation are those of the target."
                .to_string(),
            Some(steps) => format!(
                "Features have no phases, which the Griffin-Lim algorithm ({steps} steps) estimates."
            ),
        };
        html.paragraph(&format!(
            "{generator} The second clip of each row is the recording resynthesised from its features: it shows the loss of \
             quality that is not due to the networks. The sample rate is {rate} Hz."
        ));
        if all.iter().any(|clips| clips.cut) {
            html.note(&format!("Recordings are cut after {MOST_SECONDS} s."));
        }
        for (pair, clips) in pairs.iter().zip(&all) {
            self.add(pair, clips, &mut html)?;
        }
        Ok(Part::Shown(html))
    }

    fn clips(&self, pair: &Pair) -> Result<Clips> {
        let (source, cut) = self.record(pair.source)?;
        let (target, target_cut) = self.record(pair.target)?;
        let (own, other) = (self.model.feats(&source)?, self.model.feats(&target)?);
        let sound = |feats: &Array2<f32>, voice: &Waveform| -> Result<Waveform> {
            let samples = match self.options.griffin_lim {
                Some(_) => self.back.griffin_lim(feats.view())?,
                None => {
                    let contour = convert_contour(&self.back, &source, voice)?;
                    self.back.voice(feats.view(), &contour)?
                }
            };
            let made = Waveform {
                samples,
                sample_rate_hz: self.back.sample_rate_hz() as u32,
            };
            Ok(self.model.fitted(made, &source))
        };
        let through = sound(&own, &source)?;
        let pitch = self.model.pitch(&source)?;
        let convert = |to: &Array2<f32>| self.model.convert_feats((&own, pitch.as_ref()), to);
        let again = sound(&convert(&own)?, &source)?;
        let converted = sound(&convert(&other)?, &target)?;
        let speaker = self.data.dir.speaker_of(pair.target).unwrap_or("?");
        Ok(Clips {
            clips: vec![
                ("Recording".into(), source),
                ("Resynthesised".into(), through),
                ("Reconstruction".into(), again),
                (format!("Converted to {speaker}"), converted),
                (format!("Recording of {speaker}"), target),
            ],
            cut: cut || target_cut,
        })
    }

    /// A recording at the front-end's rate, and whether it was cut.
    fn record(&self, utterance: &str) -> Result<(Waveform, bool)> {
        let options = RecordingOptions {
            pipes: self.options.pipes,
            ..RecordingOptions::default()
        };
        let mut found = None;
        self.recordings.only(utterance)?.for_each_stream(
            &options,
            first_seconds,
            |_, result| {
                found = Some(result?);
                Ok::<(), Error>(())
            },
        )?;
        let wav_scp = self.data.dir.path().join("wav.scp");
        let absent = || Error::key(wav_scp, utterance, "audio of this utterance", "none");
        let (waveform, cut) = found.ok_or_else(absent)?;
        Ok((self.model.at_rate(&waveform)?, cut))
    }

    fn add(&self, pair: &Pair, audio: &Clips, html: &mut Html) -> Result<()> {
        let dir = &self.data.dir;
        let words = dir.text(pair.source).map(|words| format!(": “{words}”"));
        let speaker = dir.speaker_of(pair.source).unwrap_or("?");
        html.words("h3", &format!("{speaker}{}", words.unwrap_or_default()));
        let lengths = audio.clips.iter().map(|(_, sound)| sound.duration_s());
        let seconds = lengths.fold(0.0, f64::max);
        let mut clips = Vec::new();
        for (title, sound) in &audio.clips {
            let about = format!("Spectrogram of {}: {title}", pair.source);
            let plot = SpectrogramPlot {
                title: &about,
                waveform: sound,
                seconds,
            };
            clips.push((title, plot.picture(), wav_bytes(sound)?));
        }
        html.note(&format!(
            "Utterance {}; target speaker's utterance {}.",
            pair.source, pair.target
        ));
        html.grid(Grid::Many, |html| {
            for (title, picture, wav) in &clips {
                html.clip(Clip {
                    title,
                    picture,
                    wav,
                });
            }
        });
        html.command(&self.commands(pair));
        Ok(())
    }

    /// `unbraid convert` of the recordings, where they are files; else `unbraid plot utterance` with the utterance's list.
    fn commands(&self, pair: &Pair) -> String {
        let file = |utterance: &str| {
            let source = self.data.dir.wavs()?.get(utterance)?;
            match AudioSource::parse(source) {
                AudioSource::File(path) if self.data.dir.segments().is_none() => {
                    Some(path.display().to_string())
                }
                _ => None,
            }
        };
        let exp = self.exp.path().display().to_string();
        let iterations = self.options.griffin_lim.map(|steps| steps.to_string());
        let (Some(source), Some(target)) = (file(pair.source), file(pair.target)) else {
            let list = format!("scp:{}", self.data.dir.path().join("wav.scp").display());
            let mut words = vec![
                "unbraid",
                "plot",
                "utterance",
                "--wav",
                &list,
                "--utt",
                pair.source,
            ];
            let segments = self.data.dir.path().join("segments").display().to_string();
            if self.data.dir.segments().is_some() {
                words.extend(["--segments", &segments]);
            }
            words.extend(["--out", "utterance.svg"]);
            return command_line(words);
        };
        let convert = |target: &str, out: &str| {
            let mut words = vec!["unbraid", "convert", "--exp", &exp, &source, target];
            if let Some(iterations) = &iterations {
                words.extend(["--iterations", iterations]);
            }
            words.extend(["--out", out]);
            command_line(words)
        };
        format!(
            "{}\n{}",
            convert(&source, "reconstruction.wav"),
            convert(&target, "converted.wav")
        )
    }
}

/// The first [`MOST_SECONDS`] of an utterance, and whether there were more.
fn first_seconds(mut blocks: UtteranceBlocks) -> Result<(Waveform, bool)> {
    let sample_rate_hz = blocks.sample_rate_hz();
    let most = (MOST_SECONDS * f64::from(sample_rate_hz)) as usize;
    let mut samples: Vec<f32> = Vec::new();
    while samples.len() <= most
        && let Some(block) = blocks.next_block()?
    {
        samples.extend(block);
    }
    let cut = samples.len() > most;
    samples.truncate(most);
    let waveform = Waveform {
        samples,
        sample_rate_hz,
    };
    Ok((waveform, cut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn two_speakers_alternate_with_other_words() {
        let dir = tempfile::tempdir().unwrap();
        let (mut utt2spk, mut text) = (String::new(), String::new());
        for (speaker, word) in ["a", "b", "c", "d"]
            .iter()
            .flat_map(|s| (0..6).map(move |w| (s, w)))
        {
            writeln!(utt2spk, "{speaker}-{word} {speaker}").unwrap();
            writeln!(text, "{speaker}-{word} word{word}").unwrap();
        }
        std::fs::write(dir.path().join("utt2spk"), utt2spk).unwrap();
        std::fs::write(dir.path().join("text"), text).unwrap();
        let data = TestSet::open(dir.path()).unwrap();
        for count in [1, 2, 3, 7, 40] {
            let pairs = pairs(&data, count);
            assert_eq!(pairs.len(), count);
            for (number, pair) in pairs.iter().enumerate() {
                let (own, other) = if number % 2 == 0 {
                    ("a-", "c-")
                } else {
                    ("c-", "a-")
                };
                assert!(pair.source.starts_with(own) && pair.target.starts_with(other));
                assert_ne!(data.dir.text(pair.source), data.dir.text(pair.target));
            }
        }
        assert_eq!(pairs(&data, 3)[0].source, "a-1");
    }
}
