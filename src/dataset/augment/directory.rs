//! A data directory of variations: a WAV for each copy of each utterance, and all tables that still hold.

use std::collections::{BTreeMap, HashSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::AugmentChain;
use crate::dataset::files::{DataFiles, render};
use crate::dataset::layout::{self, KeyedBy};
use crate::dataset::recordings::{RecordingOptions, Recordings};
use crate::dataset::{Segments, Table, UtteranceBlocks};
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::audio::write_wav;
use crate::io::lines::Entry;

/// What is to be made.
pub struct AugmentJob<'a> {
    /// The data directory to vary.
    pub source: &'a Path,
    /// The one to make, which may not be there yet.
    pub target: &'a Path,
    /// What is done.
    pub chain: &'a AugmentChain,
    /// Variations of each utterance, 1 at least.
    pub copies: usize,
    /// `aug` makes `aug1-UTTERANCE` and the speaker `aug1-SPEAKER`, and so on for each copy.
    pub prefix: &'a str,
    /// Leave speakers who they are: the ids are `UTTERANCE-aug1` then.
    pub keep_speakers: bool,
    /// How the source's audio is read.
    pub recordings: RecordingOptions,
}

/// What was made.
#[derive(Debug, Default)]
pub struct Augmented {
    /// Variations written.
    pub written: usize,
    /// Utterances of the source that have a recording.
    pub utterances: usize,
    /// Files of the source that do not hold for the variations.
    pub left_out: Vec<String>,
}

/// One variation in its WAV.
struct Written {
    id: String,
    copy: usize,
    file: String,
    duration_s: f64,
    description: String,
}

/// Makes the data directory; it appears whole, or not at all. Tells `seen` of every utterance, with the error of one that
/// fails, and makes the directory of the others.
///
/// Every table by utterance or speaker is carried over under the new ids; `utt2dur` and `reco2dur` are made anew where
/// the source has them, and `utt2aug` tells what was drawn. Left out are `segments` (each variation is a recording of
/// its own), tables by recording where there were segments, `feats.scp` and `cmvn.scp`, and, where the speed changes,
/// `utt2num_frames`, `vad.scp` and `ali.scp`.
///
/// # Errors
/// [`Error::Format`] for a target that is there, or when every utterance failed; as reading a data directory;
/// [`Error::Io`] when something cannot be written.
pub fn augment(job: &AugmentJob, mut seen: impl FnMut(&str, Option<Error>)) -> Result<Augmented> {
    if job.target.exists() {
        return Err(Error::format(
            job.target,
            "a folder that is not there yet",
            "one",
        ));
    }
    let files = DataFiles::read(job.source)?;
    let recordings = recordings(job.source)?;
    let known: HashSet<&str> = files
        .lines("utt2spk")
        .iter()
        .map(|entry| entry.key.as_str())
        .collect();
    let folder = temporary(job.target)?;
    let wavs = folder.path().join("wav");
    atomic::create_dir_all(&wavs)?;
    let work = |blocks: UtteranceBlocks| match known.contains(blocks.utterance()) {
        true => vary(job, blocks, &wavs),
        false => Ok(Vec::new()),
    };
    let mut by_utterance: BTreeMap<String, Vec<Written>> = BTreeMap::new();
    let mut utterances = 0;
    recordings.for_each_stream(&job.recordings, work, |utterance, result| {
        let own = known.contains(utterance);
        utterances += usize::from(own);
        match result {
            Ok(written) if own => {
                by_utterance.insert(utterance.to_string(), written);
                seen(utterance, None);
            }
            Ok(_) => {}
            Err(error) => {
                remove_variations(job, utterance, &wavs)?;
                seen(utterance, Some(error));
            }
        }
        Ok::<(), Error>(())
    })?;
    if by_utterance.is_empty() {
        let found = format!("none of {utterances}");
        return Err(Error::format(
            job.source,
            "an utterance that can be augmented",
            found,
        ));
    }
    let (tables, left_out) = tables(job, &files, &by_utterance);
    for (name, entries) in &tables.0 {
        atomic::write(folder.path().join(name), render(entries))?;
    }
    std::fs::rename(folder.path(), job.target).map_err(Error::io(job.target))?;
    Ok(Augmented {
        written: by_utterance.values().map(Vec::len).sum(),
        utterances,
        left_out,
    })
}

fn recordings(source: &Path) -> Result<Recordings> {
    let wav_scp = Table::read(source.join("wav.scp"))?;
    let segments = source.join("segments");
    match segments.is_file() {
        true => Recordings::with_segments(&wav_scp, &Segments::read(segments)?),
        false => Recordings::new(&wav_scp),
    }
}

/// A folder beside the target that is gone again unless it becomes it.
fn temporary(target: &Path) -> Result<tempfile::TempDir> {
    let parent = target
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    atomic::create_dir_all(parent)?;
    tempfile::Builder::new()
        .prefix(".unbraid-")
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(parent)
        .map_err(Error::io(target))
}

fn vary(job: &AugmentJob, blocks: UtteranceBlocks, wavs: &Path) -> Result<Vec<Written>> {
    let utterance = blocks.utterance().to_string();
    let speech = blocks.read_to_end()?;
    let one = |copy| {
        let variation = job.chain.vary(&utterance, copy, &speech)?;
        let id = new_id(job, copy, &utterance);
        let file = format!("{}.wav", file_name(&id));
        write_wav(wavs.join(&file), &variation.waveform)?;
        Ok(Written {
            id,
            copy,
            file,
            duration_s: variation.waveform.duration_s(),
            description: variation.description,
        })
    };
    (1..=job.copies).map(one).collect()
}

/// Takes away what was written of an utterance before it failed.
fn remove_variations(job: &AugmentJob, utterance: &str, wavs: &Path) -> Result<()> {
    for copy in 1..=job.copies {
        let file = wavs.join(format!("{}.wav", file_name(&new_id(job, copy, utterance))));
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn new_id(job: &AugmentJob, copy: usize, utterance: &str) -> String {
    match job.keep_speakers {
        true => format!("{utterance}-{}{copy}", job.prefix),
        false => format!("{}{copy}-{utterance}", job.prefix),
    }
}

fn new_speaker(job: &AugmentJob, copy: usize, speaker: &str) -> String {
    match job.keep_speakers {
        true => speaker.to_string(),
        false => format!("{}{copy}-{speaker}", job.prefix),
    }
}

/// An id as a file's name.
fn file_name(id: &str) -> String {
    id.replace('%', "%25").replace('/', "%2F")
}

/// The new tables, and the names of those that do not hold any more.
fn tables(
    job: &AugmentJob,
    files: &DataFiles,
    written: &BTreeMap<String, Vec<Written>>,
) -> (DataFiles, Vec<String>) {
    let own_recordings = !files.0.contains_key("segments");
    let mut tables = DataFiles::default();
    let mut left_out = Vec::new();
    for (name, entries) in &files.0 {
        let keyed = match layout::keyed_by(name) {
            Some(KeyedBy::Recording) if own_recordings => Some(KeyedBy::Utterance),
            keyed => keyed,
        };
        let holds = match name.as_str() {
            "wav.scp" | "spk2utt" => continue,
            "segments" | "feats.scp" | "cmvn.scp" => false,
            "utt2num_frames" | "vad.scp" | "ali.scp" => job.chain.keeps_time(),
            _ => keyed != Some(KeyedBy::Recording),
        };
        if !holds {
            left_out.push(name.clone());
            continue;
        }
        let carried = match (keyed, name.as_str()) {
            (_, "utt2dur" | "reco2dur") => of_each(written, |w| format!("{:.4}", w.duration_s)),
            (Some(KeyedBy::Speaker), _) => by_speaker(job, entries, files, written),
            _ => by_utterance(job, name, entries, written),
        };
        tables.0.insert(name.clone(), carried);
    }
    let wav = |w: &Written| job.target.join("wav").join(&w.file).display().to_string();
    tables.0.insert("wav.scp".into(), of_each(written, wav));
    tables.0.insert(
        "utt2aug".into(),
        of_each(written, |w| w.description.clone()),
    );
    tables.invert();
    (tables, left_out)
}

/// A line for each variation.
fn of_each(
    written: &BTreeMap<String, Vec<Written>>,
    value: impl Fn(&Written) -> String,
) -> Vec<Entry> {
    let pairs = written.values().flatten().map(|w| (w.id.clone(), value(w)));
    sorted(pairs.collect())
}

/// The lines of a table by utterance under the new ids.
fn by_utterance(
    job: &AugmentJob,
    name: &str,
    entries: &[Entry],
    written: &BTreeMap<String, Vec<Written>>,
) -> Vec<Entry> {
    let mut pairs = BTreeMap::new();
    for entry in entries {
        for w in written.get(&entry.key).into_iter().flatten() {
            let value = match name {
                "utt2spk" => new_speaker(job, w.copy, &entry.value),
                _ => entry.value.clone(),
            };
            pairs.insert(w.id.clone(), value);
        }
    }
    sorted(pairs)
}

/// The lines of a table by speaker, for those who still say something.
fn by_speaker(
    job: &AugmentJob,
    entries: &[Entry],
    files: &DataFiles,
    written: &BTreeMap<String, Vec<Written>>,
) -> Vec<Entry> {
    let speaks: HashSet<&str> = (files.lines("utt2spk").iter())
        .filter(|entry| written.contains_key(&entry.key))
        .map(|entry| entry.value.as_str())
        .collect();
    let mut pairs = BTreeMap::new();
    for entry in entries
        .iter()
        .filter(|entry| speaks.contains(entry.key.as_str()))
    {
        for copy in 1..=job.copies {
            pairs.insert(new_speaker(job, copy, &entry.key), entry.value.clone());
        }
    }
    sorted(pairs)
}

fn sorted(pairs: BTreeMap<String, String>) -> Vec<Entry> {
    let lines = pairs.into_iter().zip(1..);
    lines
        .map(|((key, value), line)| Entry { key, value, line })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::dataset::augment::{AugmentChain, AugmentOptions};
    use crate::dataset::validate::{ValidateOptions, validate};
    use crate::io::audio::{AudioOptions, Pipes, Waveform, read_audio};
    use crate::signal::augment::{
        CodecOptions, NoiseOptions, ReverbOptions, SpeedOptions, VolumeOptions, power,
    };

    fn noise(length: usize, step: usize) -> Vec<f32> {
        (0..length)
            .map(|i| ((i * i * step + i * 17) % 1009) as f32 / 2018.0 - 0.25)
            .collect()
    }

    fn put_wav(path: &Path, samples: Vec<f32>, sample_rate_hz: u32) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_wav(
            path,
            &Waveform {
                samples,
                sample_rate_hz,
            },
        )
        .unwrap();
    }

    /// A data directory `d` with segments or without, a folder of noises, one of impulse responses.
    fn made(segments: bool) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, step) in [("b-1", 3), ("a-2", 5), ("a-1", 7)] {
            put_wav(&at(&format!("audio/{name}.wav")), noise(8000, step), 8000);
        }
        put_wav(&at("noise/rain 1.wav"), noise(3000, 11), 16000);
        put_wav(&at("noise/deep/wind.wav"), noise(40_000, 13), 8000);
        std::fs::write(at("noise/README"), "no audio").unwrap();
        let rir = (0..800)
            .map(|i| (-f64::from(i) / 100.0).exp() as f32 * noise(800, 3)[i as usize])
            .collect();
        put_wav(&at("rirs/hall.wav"), rir, 8000);
        let audio = at("audio").display().to_string();
        let put = |name: &str, text: &str| {
            std::fs::create_dir_all(at("d")).unwrap();
            std::fs::write(at("d").join(name), text.replace('@', &audio)).unwrap();
        };
        put("utt2spk", "a-1 a\na-2 a\nb-1 b\n");
        put("spk2utt", "a a-1 a-2\nb b-1\n");
        put("text", "a-1 one  two\na-2 three\nb-1 four\n");
        put("spk2gender", "a f\nb m\n");
        put("utt2dur", "a-1 1\na-2 1\nb-1 1\n");
        put("utt2num_frames", "a-1 98\na-2 98\nb-1 98\n");
        put("feats.scp", "a-1 x:1\na-2 x:2\nb-1 x:3\n");
        if segments {
            put("wav.scp", "r1 @/a-1.wav\nr2 @/a-2.wav\n");
            put("segments", "a-1 r1 0 0.5\na-2 r2 0.2 0.9\nb-1 r2 0.5 1\n");
            put("reco2dur", "r1 1\nr2 1\n");
        } else {
            put("wav.scp", "a-1 @/a-1.wav\na-2 @/a-2.wav\nb-1 @/b-1.wav\n");
        }
        dir
    }

    fn everything() -> AugmentOptions {
        AugmentOptions {
            seed: 4,
            speed: Some(SpeedOptions::default()),
            reverb: Some(ReverbOptions { probability: 0.5 }),
            noise: Some(NoiseOptions::default()),
            codec: Some(CodecOptions {
                probability: 0.5,
                mu_law: true,
                ..CodecOptions::default()
            }),
            volume: Some(VolumeOptions::default()),
        }
    }

    fn chain(dir: &Path, options: AugmentOptions) -> Result<AugmentChain> {
        let noise = options.noise.is_some().then(|| dir.join("noise"));
        let rirs = options.reverb.is_some().then(|| dir.join("rirs"));
        AugmentChain::new(options, noise.as_deref(), rirs.as_deref(), Pipes::Refused)
    }

    fn run(
        dir: &Path,
        target: &str,
        options: AugmentOptions,
        copies: usize,
        keep: bool,
    ) -> Result<(Augmented, Vec<String>)> {
        let mut told = Vec::new();
        let job = AugmentJob {
            source: &dir.join("d"),
            target: &dir.join(target),
            chain: &chain(dir, options)?,
            copies,
            prefix: "aug",
            keep_speakers: keep,
            recordings: RecordingOptions::default(),
        };
        let made = augment(&job, |utterance, error| {
            told.extend(error.map(|error| format!("{utterance}: {error}")));
        })?;
        Ok((made, told))
    }

    fn text(path: PathBuf) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_directory_is_valid_and_carries_its_tables() {
        for (segments, keep) in [(false, false), (false, true), (true, false), (true, true)] {
            let dir = made(segments);
            let (made, told) = run(dir.path(), "t", everything(), 2, keep).unwrap();
            assert_eq!((made.written, made.utterances, told.len()), (6, 3, 0));
            let target = dir.path().join("t");
            let options = ValidateOptions {
                no_feats: true,
                ..ValidateOptions::default()
            };
            let problems = validate(&target, options).unwrap();
            assert!(problems.is_empty(), "{problems:?}");
            let (first, speaker) = if keep {
                ("a-1-aug1", "a")
            } else {
                ("aug1-a-1", "aug1-a")
            };
            assert!(text(target.join("text")).starts_with(&format!("{first} one  two\n")));
            assert!(text(target.join("utt2spk")).starts_with(&format!("{first} {speaker}\n")));
            assert!(text(target.join("spk2gender")).starts_with(&format!("{speaker} f\n")));
            let mut left_out = vec!["feats.scp", "utt2num_frames"];
            if segments {
                left_out.splice(1..1, ["reco2dur", "segments"]);
            }
            assert_eq!(made.left_out, left_out);
            let durations = text(target.join("utt2dur"));
            let wav = read_audio(
                target.join(format!("wav/{first}.wav")),
                &AudioOptions::default(),
            )
            .unwrap();
            assert!(durations.starts_with(&format!("{first} {:.4}\n", wav.duration_s())));
            assert!(
                text(target.join("utt2aug"))
                    .lines()
                    .all(|line| line.contains(" speed="))
            );
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_whatever_the_threads() {
        let dir = made(false);
        let bytes_of = |target: &str| {
            let folder = dir.path().join(target).join("wav");
            let mut names: Vec<_> = std::fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            names.sort();
            names
                .iter()
                .map(|name| std::fs::read(name).unwrap())
                .collect::<Vec<_>>()
        };
        for (target, threads, seed) in [("one", 1, 4), ("four", 4, 4), ("other", 1, 5)] {
            let threads = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let options = AugmentOptions {
                seed,
                ..everything()
            };
            threads
                .install(|| run(dir.path(), target, options, 3, false))
                .unwrap();
        }
        assert!(bytes_of("one") == bytes_of("four"));
        assert!(bytes_of("one") != bytes_of("other"));
        assert_eq!(
            text(dir.path().join("one/utt2aug")),
            text(dir.path().join("four/utt2aug"))
        );
    }

    #[test]
    fn noise_has_the_ratio_that_utt2aug_tells() {
        let dir = made(false);
        let options = AugmentOptions {
            noise: Some(NoiseOptions::default()),
            ..AugmentOptions::default()
        };
        run(dir.path(), "t", options, 1, true).unwrap();
        for line in text(dir.path().join("t/utt2aug")).lines() {
            let id = line.split(' ').next().unwrap();
            let snr: f64 = line.rsplit_once("snr=").unwrap().1.parse().unwrap();
            let read = |path: String| {
                read_audio(dir.path().join(path), &AudioOptions::default())
                    .unwrap()
                    .samples
            };
            let noisy = read(format!("t/wav/{id}.wav"));
            let clean = read(format!("audio/{}.wav", id.strip_suffix("-aug1").unwrap()));
            let added: Vec<f32> = noisy.iter().zip(&clean).map(|(a, b)| a - b).collect();
            let found = 10.0 * (power(&clean) / power(&added)).log10();
            assert!((found - snr).abs() < 0.05, "{line}: {found}");
        }
    }

    #[test]
    fn what_fails_is_told_and_the_rest_is_made() {
        let dir = made(false);
        std::fs::write(dir.path().join("audio/a-2.wav"), b"RIFF").unwrap();
        let (made, told) = run(dir.path(), "t", everything(), 1, false).unwrap();
        assert_eq!((made.written, made.utterances, told.len()), (2, 3, 1));
        assert!(told[0].starts_with("a-2: "), "{told:?}");
        let options = ValidateOptions {
            no_feats: true,
            ..ValidateOptions::default()
        };
        assert!(validate(dir.path().join("t"), options).unwrap().is_empty());
        for name in ["a-1", "b-1"] {
            std::fs::write(dir.path().join(format!("audio/{name}.wav")), b"").unwrap();
        }
        let error = run(dir.path(), "u", everything(), 1, false)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("d: expected an utterance that can be augmented, found none of 3"),
            "{error}"
        );
        let names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert!(
            names
                .iter()
                .all(|name| name != "u" && !name.to_string_lossy().starts_with(".unbraid"))
        );
    }

    /// That a recording is cut short shows behind its segments, whose variations are written by then.
    #[test]
    fn what_failed_late_leaves_no_wav() {
        let dir = made(true);
        let cut = dir.path().join("audio/a-2.wav");
        let bytes = std::fs::read(&cut).unwrap();
        std::fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
        let (made, told) = run(dir.path(), "t", everything(), 2, false).unwrap();
        assert_eq!((made.written, told.len()), (2, 2));
        assert!(told[0].ends_with("the file is cut short"), "{told:?}");
        assert_eq!(
            std::fs::read_dir(dir.path().join("t/wav")).unwrap().count(),
            2
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let dir = made(false);
        std::fs::create_dir(dir.path().join("t")).unwrap();
        let error = run(dir.path(), "t", everything(), 1, false)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("t: expected a folder that is not there yet, found one"),
            "{error}"
        );
        let refused = |options: AugmentOptions, noise: Option<&str>| {
            let noise = noise.map(|name| dir.path().join(name));
            let chain = AugmentChain::new(options, noise.as_deref(), None, Pipes::Refused);
            chain.err().unwrap().to_string()
        };
        let noisy = AugmentOptions {
            noise: Some(NoiseOptions::default()),
            ..AugmentOptions::default()
        };
        assert!(
            refused(AugmentOptions::default(), None).starts_with("augmentation: expected a table")
        );
        assert!(refused(noisy.clone(), None).starts_with("--noise: expected a folder"));
        assert!(
            refused(noisy.clone(), Some("t"))
                .ends_with("t: expected audio files, or a wav.scp that lists some, found none")
        );
        assert!(refused(noisy.clone(), Some("none")).contains("No such file"));
        let fast = AugmentOptions {
            speed: Some(SpeedOptions { factors: vec![9.0] }),
            ..AugmentOptions::default()
        };
        assert!(
            refused(fast.clone(), None)
                .starts_with("speed.factors: expected a number from 0.25 to 4")
        );
        let quick = AugmentOptions {
            speed: Some(SpeedOptions::default()),
            ..AugmentOptions::default()
        };
        assert!(refused(quick, Some("noise")).starts_with("--noise: expected a table [noise]"));
    }
}
