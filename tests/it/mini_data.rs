//! The bundled speech agrees with its README.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use unbraid::io::audio::{AudioOptions, Waveform, read_audio};
use unbraid::io::lines::{read_lines, read_table};

struct Phone {
    name: String,
    start_s: f64,
    end_s: f64,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn mini(path: &str) -> PathBuf {
    root().join("data/mini").join(path)
}

fn table(path: &str) -> BTreeMap<String, String> {
    let entries = read_table(mini(path)).unwrap();
    assert!(entries.is_sorted_by(|a, b| a.key < b.key), "{path}");
    entries.into_iter().map(|e| (e.key, e.value)).collect()
}

fn alignments(set: &str) -> BTreeMap<String, Vec<Phone>> {
    let mut phones = BTreeMap::<_, Vec<_>>::new();
    for entry in read_lines(mini(&format!("{set}/phones.ctm"))).unwrap() {
        let fields: Vec<&str> = entry.value.split(' ').collect();
        let [channel, start, duration, name] = fields[..] else {
            panic!("line {}", entry.line);
        };
        assert_eq!(channel, "1");
        let start_s: f64 = start.parse().unwrap();
        phones.entry(entry.key).or_default().push(Phone {
            name: name.to_string(),
            start_s,
            end_s: start_s + duration.parse::<f64>().unwrap(),
        });
    }
    phones
}

fn audio(path: &str) -> Waveform {
    read_audio(root().join(path), &AudioOptions::default()).unwrap()
}

#[test]
fn the_sets_are_as_large_as_they_say() {
    let mut voices = BTreeSet::new();
    for (set, speakers) in [("train", 24), ("test", 8)] {
        let wav = table(&format!("{set}/wav.scp"));
        let speaker_of = table(&format!("{set}/utt2spk"));
        assert_eq!(
            (wav.len(), speaker_of.len()),
            (speakers * 10, speakers * 10)
        );
        assert!(wav.keys().eq(table(&format!("{set}/text")).keys()));
        let speakers_of_set = table(&format!("{set}/spk2utt"));
        assert_eq!(speakers_of_set.len(), speakers);
        for (speaker, utterances) in speakers_of_set {
            for utterance in utterances.split(' ') {
                assert_eq!(speaker_of[utterance], speaker);
            }
            assert!(voices.insert(speaker), "a voice in both sets");
        }
    }
    let bytes: u64 = (std::fs::read_dir(mini("audio")).unwrap())
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < 11_000_000, "{bytes}");
}

#[test]
fn unseen_speakers_have_seen_and_unseen_sentences() {
    let sentences = |set: &str| {
        table(&format!("{set}/text"))
            .into_values()
            .collect::<Vec<_>>()
    };
    let seen: BTreeSet<_> = sentences("train").into_iter().collect();
    let (old, new): (Vec<_>, Vec<_>) = sentences("test")
        .into_iter()
        .partition(|text| seen.contains(text));
    assert_eq!((old.len(), new.len()), (40, 40));
}

#[test]
fn phones_cover_the_audio_without_gaps() {
    let inventory = table_unsorted("phones.txt");
    for set in ["train", "test"] {
        let phones = alignments(set);
        let wav = table(&format!("{set}/wav.scp"));
        assert!(wav.keys().eq(phones.keys()));
        for (utterance, path) in wav {
            let waveform = audio(&path);
            assert_eq!(waveform.sample_rate_hz, 16000, "{utterance}");
            let mut end_s = 0.0;
            for phone in &phones[&utterance] {
                assert!((phone.start_s - end_s).abs() < 2e-4, "{utterance}");
                assert!(phone.end_s > phone.start_s, "{utterance}");
                assert!(inventory.contains(&phone.name), "{}", phone.name);
                end_s = phone.end_s;
            }
            assert!((end_s - waveform.duration_s()).abs() < 2e-4, "{utterance}");
        }
    }
}

fn table_unsorted(path: &str) -> BTreeSet<String> {
    let entries = read_table(mini(path)).unwrap();
    entries.into_iter().map(|entry| entry.key).collect()
}

/// Level in dB of the middle half of these phones.
fn level<'a>(waveform: &Waveform, phones: impl Iterator<Item = &'a Phone>) -> f64 {
    let (mut energy, mut count) = (0.0, 0usize);
    for phone in phones {
        let quarter_s = (phone.end_s - phone.start_s) / 4.0;
        let at = |s: f64| (s * 16000.0) as usize;
        let middle = &waveform.samples[at(phone.start_s + quarter_s)..at(phone.end_s - quarter_s)];
        energy += middle.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        count += middle.len();
    }
    10.0 * (energy / count as f64).log10()
}

#[test]
fn the_alignment_fits_the_sound() {
    const VOWELS: [&str; 9] = ["AA", "AE", "AH", "AO", "EH", "IY", "OW", "UW", "OY"];
    for set in ["train", "test"] {
        let wav = table(&format!("{set}/wav.scp"));
        for (utterance, phones) in alignments(set) {
            let waveform = audio(&wav[&utterance]);
            let ends = [&phones[0], &phones[phones.len() - 1]];
            assert!(ends.iter().all(|phone| phone.name == "SIL"), "{utterance}");
            let pauses = level(&waveform, ends.into_iter());
            let named = |phone: &&Phone| VOWELS.contains(&phone.name.as_str());
            let vowels = level(&waveform, phones.iter().filter(named));
            assert!(pauses < -85.0, "{utterance}: pauses at {pauses} dB");
            assert!(vowels > -45.0, "{utterance}: vowels at {vowels} dB");
        }
    }
}
