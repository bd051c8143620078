use super::super::made;
use super::*;
use crate::io::audio::write_wav;

/// A recording `r` of 1 s at 1 kHz with counting samples, and one `s` that is missing.
fn corpus(segments: &str) -> (tempfile::TempDir, Result<Recordings>) {
    let dir = made::folder(&[("segments", segments)]);
    let wav = dir.path().join("r.wav");
    let waveform = Waveform {
        samples: (0..1000).map(|i| i as f32 / 32768.0).collect(),
        sample_rate_hz: 1000,
    };
    write_wav(&wav, &waveform).unwrap();
    let scp = format!("r {}\ns no/such.wav\n", wav.display());
    std::fs::write(dir.path().join("wav.scp"), scp).unwrap();
    let table = Table::read(dir.path().join("wav.scp")).unwrap();
    let recordings = match segments {
        "" => Recordings::new(&table),
        _ => Segments::read(dir.path().join("segments"))
            .and_then(|segments| Recordings::with_segments(&table, &segments)),
    };
    (dir, recordings)
}

fn all(recordings: &Recordings, options: &RecordingOptions) -> Vec<(String, String)> {
    let mut results = Vec::new();
    let describe = |waveform: Waveform| {
        let first = (waveform.samples[0] * 32768.0).round();
        Ok(format!("{} from {first}", waveform.samples.len()))
    };
    let taken = recordings.for_each(options, describe, |utterance, result| {
        let text = result.unwrap_or_else(|error| error.to_string());
        results.push((utterance.to_string(), text));
        Ok::<(), Error>(())
    });
    taken.unwrap();
    results
}

#[test]
fn without_segments_each_recording_is_an_utterance() {
    let (_dir, recordings) = corpus("");
    let recordings = recordings.unwrap();
    assert_eq!(recordings.utterances(), 2);
    let results = all(&recordings, &RecordingOptions::default());
    assert_eq!(results[0], ("r".into(), "1000 from 0".into()));
    assert!(results[1].1.starts_with("no/such.wav: "), "{results:?}");
    let options = RecordingOptions {
        resample_hz: Some(2000),
        ..RecordingOptions::default()
    };
    assert!(all(&recordings, &options)[0].1.starts_with("2000 from"));
}

#[test]
fn segments_are_cut_in_their_order() {
    let (_dir, recordings) = corpus(
        "d r 0.5 0.7\na r 0.1 0.3\nb s 0 1\nb2 s 1 2\nc r 0.9 1.4\ne r 0.5 1.6\nf r 1.2 1.3\n",
    );
    let results = all(&recordings.unwrap(), &RecordingOptions::default());
    let keys: Vec<&str> = results.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["d", "a", "b", "b2", "c", "e", "f"]);
    assert_eq!(results[0].1, "200 from 500");
    assert_eq!(results[1].1, "200 from 100");
    assert!(results[2].1.starts_with("no/such.wav: "));
    assert!(results[3].1.ends_with("found the error above"));
    assert_eq!(results[4].1, "100 from 900");
    assert!(results[5].1.ends_with(
        "segments: e: expected a segment within the 1.000 s of 'r', found an end at 1.6 s"
    ));
    assert!(results[6].1.contains("f: expected samples in the segment"));
}

#[test]
fn an_invalid_segment_fails_alone() {
    let (_dir, recordings) =
        corpus("a r 0.1 0.3\nb r 0.5 0.4\nc r 0.8 -1\nd q 0 1\ne r\nf r 0 -2\ng r 1.5 -1\n");
    let results = all(&recordings.unwrap(), &RecordingOptions::default());
    let messages: Vec<&str> = (results.iter())
        .map(|(_, text)| {
            text.rsplit_once("segments:")
                .map_or(&**text, |(_, message)| message)
        })
        .collect();
    let expected = "expected utterance, recording, start from 0 and a later end in seconds, or -1";
    assert_eq!(
        messages,
        [
            "200 from 100",
            &format!("2: {expected}, found 'b r 0.5 0.4'"),
            "200 from 800",
            "4: expected a recording of wav.scp for 'd', found 'q'",
            &format!("5: {expected}, found 'e r'"),
            &format!("6: {expected}, found 'f r 0 -2'"),
            " g: expected samples in the segment, found none from 1.5 to 1 s",
        ]
    );
}

#[test]
fn earliest_following_starts_are_found_in_one_pass() {
    let starts = [5.0, 3.0, 4.0, 9.0];
    let segment = |start| Segment {
        recording: "r".into(),
        start,
        end: start + 1.0,
    };
    let recording = Recording {
        source: Ok(AudioSource::parse("r.wav")),
        utterances: starts
            .map(|start| ("u".into(), Some(segment(start))))
            .into(),
    };
    assert_eq!(recording.earliest_later(), [3.0, 4.0, 9.0, f64::INFINITY]);
}

/// For each utterance, its samples read in blocks, and as a whole.
fn both_ways(recordings: &Recordings, options: &RecordingOptions) -> [Vec<(String, Vec<f32>)>; 2] {
    let mut blocks = Vec::new();
    let gather = |mut utterance: UtteranceBlocks| {
        let mut samples = Vec::new();
        while let Some(block) = utterance.next_block()? {
            samples.extend_from_slice(block);
        }
        assert!(utterance.next_block()?.is_none());
        Ok((samples, utterance.sample_rate_hz()))
    };
    let rate = options.resample_hz.unwrap_or(1000);
    let taken = recordings.for_each_stream(options, gather, |key, result| {
        let (samples, found) = result?;
        assert_eq!(found, rate);
        blocks.push((key.to_string(), samples));
        Ok::<(), Error>(())
    });
    taken.unwrap();
    let mut whole = Vec::new();
    let taken = recordings.for_each(options, Ok, |key, result| {
        whole.push((key.to_string(), result?.samples));
        Ok::<(), Error>(())
    });
    taken.unwrap();
    [blocks, whole]
}

#[test]
fn blocks_equal_the_whole_cut_and_resampled() {
    let lists = ["a r 0.1 0.3\nb r 0.2 0.5\nc r 0.05 0.4\nd r 0.9 1.2\n", ""];
    for (segments, resample_hz) in lists.iter().flat_map(|&s| [(s, None), (s, Some(800))]) {
        let (dir, recordings) = corpus(segments);
        let mut recordings = recordings.unwrap();
        recordings.recordings.truncate(1);
        let options = RecordingOptions {
            resample_hz,
            ..RecordingOptions::default()
        };
        let [blocks, whole] = both_ways(&recordings, &options);
        assert!(blocks == whole, "{segments} {resample_hz:?}");
        let cut = resample_hz.map_or(300, |_| 240);
        assert!(
            segments.is_empty() || whole[1].1.len() == cut,
            "{}",
            whole[1].1.len()
        );
        drop(dir);
    }
}

/// WAV and FLAC are not read from their beginning for it; what is wrong is said in the same words.
#[test]
fn a_segment_read_alone_is_that_of_a_pass() {
    let flac = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mini/audio/f01-s01.flac");
    let long = "s 0.51 0.7\nb s 1.2 1.6\nc s 0 0.2\nd s 1.0001 -1\ne s 0.5 99\nf s 98 99\ng s 0.3 0.30001\n";
    let short = "h r 0.1 0.3\ni r 0.95 1.2\nj r 0.9 -1\nk r 0.5 1.6\nl r 1.2 1.3\nm r 0 1\n";
    let (dir, _) = corpus("");
    let wav = dir.path().join("r.wav");
    std::fs::write(
        dir.path().join("wav.scp"),
        format!("r {}\ns {flac}\n", wav.display()),
    )
    .unwrap();
    std::fs::write(dir.path().join("segments"), format!("a {long}{short}")).unwrap();
    let table = Table::read(dir.path().join("wav.scp")).unwrap();
    let segments = Segments::read(dir.path().join("segments")).unwrap();
    let recordings = Recordings::with_segments(&table, &segments).unwrap();
    let bytes = std::fs::read(&wav).unwrap();
    for (kept, resample_hz) in [
        (bytes.len(), None),
        (bytes.len(), Some(700)),
        (bytes.len() / 2, None),
    ] {
        std::fs::write(&wav, &bytes[..kept]).unwrap();
        let options = RecordingOptions {
            resample_hz,
            ..RecordingOptions::default()
        };
        let mut passed = Vec::new();
        let taken = recordings.for_each(&options, Ok, |key, result| {
            passed.push((key.to_string(), result.map_err(|error| error.to_string())));
            Ok::<(), Error>(())
        });
        taken.unwrap();
        let places = recordings.places();
        for (key, passed) in passed {
            let alone = recordings.read_at(places[key.as_str()], &options);
            let (alone, cut) = (alone.map_err(|error| error.to_string()), kept < bytes.len());
            match &passed {
                // A pass does not say the same of a recording again.
                Err(error) if error.contains("above") => assert!(cut && alone.is_err(), "{key}"),
                _ => assert_eq!(alone, passed, "{key}"),
            }
            if cut && ["i", "j", "k"].contains(&key.as_str()) {
                let error = alone.unwrap_err();
                let found = format!("found {}: the file is cut short", kept - 44);
                assert!(error.contains(&found), "{error}");
            }
        }
    }
}

/// Neither a seek table that leads astray nor a tag before the first byte changes what is read.
#[test]
fn seek_tables_and_tags_do_not_lead_astray() {
    let flac = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mini/audio/f01-s01.flac");
    let bytes = std::fs::read(flac).unwrap();
    // Every point of the seek table, of 18 bytes, leads to the last third.
    let mut astray = bytes.clone();
    let mut at = 4;
    while astray[at] & 0x7f != 3 {
        at += 4 + u32::from_be_bytes([0, astray[at + 1], astray[at + 2], astray[at + 3]]) as usize;
    }
    let points = usize::from(astray[at + 3]) / 18;
    for point in 0..points {
        let offset = (bytes.len() as u64 * 2 / 3).to_be_bytes();
        astray[at + 4 + 18 * point + 8..][..8].copy_from_slice(&offset);
    }
    let tagged = [b"ID3\x03\x00\x00\x00\x00\x00\x05hello", &bytes[..]].concat();
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Vec::new();
    for (name, bytes) in [("whole", &bytes), ("astray", &astray), ("tagged", &tagged)] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::write(
            dir.path().join("wav.scp"),
            format!("r {}\n", path.display()),
        )
        .unwrap();
        std::fs::write(dir.path().join("segments"), "a r 0.6 0.9\nb r 1.3 -1\n").unwrap();
        let table = Table::read(dir.path().join("wav.scp")).unwrap();
        let segments = Segments::read(dir.path().join("segments")).unwrap();
        let recordings = Recordings::with_segments(&table, &segments).unwrap();
        let read = |key: &str| {
            let found = recordings.read_at(recordings.places()[key], &Default::default());
            found.unwrap().samples
        };
        samples.push(["a", "b"].map(read));
        let mut passed = Vec::new();
        let taken = recordings.for_each(&RecordingOptions::default(), Ok, |_, result| {
            passed.push(result?.samples);
            Ok::<(), Error>(())
        });
        taken.unwrap();
        assert!(passed == samples[samples.len() - 1], "{name}");
    }
    assert!(samples.iter().all(|found| *found == samples[0]));
    assert_eq!(samples[0][0].len(), 4800);
}

/// The bundled recording of 2 s with its segments, as `change` leaves it; without and with its MD5.
fn changed_flac(segments: &str, change: impl Fn(&mut Vec<u8>)) -> [Vec<(String, String)>; 2] {
    let audio = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mini/audio/f01-s01.flac");
    let dir = made::folder(&[("segments", segments)]);
    let mut bytes = std::fs::read(audio).unwrap();
    change(&mut bytes);
    let flac = dir.path().join("r.flac");
    std::fs::write(&flac, &bytes).unwrap();
    let scp = dir.path().join("wav.scp");
    std::fs::write(&scp, format!("r {}\n", flac.display())).unwrap();
    let segments = Segments::read(dir.path().join("segments")).unwrap();
    let recordings = Recordings::with_segments(&Table::read(&scp).unwrap(), &segments).unwrap();
    [false, true].map(|verify| {
        let mut options = RecordingOptions::default();
        options.audio.verify = verify;
        all(&recordings, &options)
    })
}

#[test]
fn what_is_missing_after_the_last_segment_harms_none() {
    let segments = "a r 0.1 0.3\nb r 0.4 0.5\n";
    let [whole, _] = changed_flac(segments, |_| ());
    let [cut, verified] = changed_flac(segments, |bytes| bytes.truncate(bytes.len() * 3 / 4));
    assert_eq!(cut, whole);
    assert!(verified[0].1.contains("r.flac: expected "), "{verified:?}");
    assert!(
        verified[1].1.ends_with("found the error above"),
        "{verified:?}"
    );
}

#[test]
fn a_damaged_frame_fails_the_segments_that_contain_it() {
    let segments = "a r 0.1 0.3\nb r 0.2 1.4\nc r 1.5 1.6\nd r 0 0.1\ne r 1.9 2\n";
    let [whole, _] = changed_flac(segments, |_| ());
    let [damaged, verified] = changed_flac(segments, |bytes| {
        let half = bytes.len() / 2;
        bytes[half] ^= 1;
    });
    for (found, expected) in damaged.iter().zip(&whole) {
        match found.0.as_str() {
            "b" => assert!(
                found.1.contains("r.flac: expected FLAC audio, found"),
                "{found:?}"
            ),
            _ => assert_eq!(found, expected),
        }
    }
    assert!(
        verified
            .iter()
            .all(|(_, text)| text.contains("r.flac: expected"))
    );
}

/// Files are entered again behind damage; a command that made it would run again.
#[test]
fn a_damaged_pipe_runs_once() {
    let audio = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mini/audio/f01-s01.flac");
    let dir = made::folder(&[(
        "segments",
        "a r 0.1 0.3\nb r 0.2 1.4\nc r 1.5 1.6\nd r 1.7 1.8\n",
    )]);
    let mut bytes = std::fs::read(audio).unwrap();
    let half = bytes.len() / 2;
    bytes[half] ^= 1;
    let at = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(at("r.flac"), &bytes).unwrap();
    let command = format!("echo run >> {}; cat {} |", at("runs"), at("r.flac"));
    std::fs::write(at("wav.scp"), format!("r {command}\n")).unwrap();
    let table = Table::read(at("wav.scp")).unwrap();
    let segments = Segments::read(at("segments")).unwrap();
    let recordings = Recordings::with_segments(&table, &segments).unwrap();
    let options = RecordingOptions {
        pipes: Pipes::Within(std::time::Duration::from_secs(60)),
        ..RecordingOptions::default()
    };
    let found = all(&recordings, &options);
    assert_eq!(std::fs::read_to_string(at("runs")).unwrap(), "run\n");
    let failed: Vec<_> = found
        .iter()
        .map(|(_, text)| text.contains("expected"))
        .collect();
    assert_eq!(failed, [false, true, true, true], "{found:?}");
}

#[test]
fn inconsistent_lists_are_refused() {
    let (_dir, recordings) = corpus("c r 0 1\na r 0.1 0.3\n");
    let recordings = recordings.unwrap();
    let results = all(&recordings.only("a").unwrap(), &RecordingOptions::default());
    assert_eq!(results, [("a".into(), "200 from 100".into())]);
    let error = recordings.only("b").unwrap_err().to_string();
    assert!(error.ends_with("segments: b: expected this utterance, found none"));
    let dir = made::folder(&[("wav.scp", "a\n"), ("empty", "")]);
    let bare = Table::read(dir.path().join("wav.scp")).unwrap();
    let error = Recordings::new(&bare).unwrap_err().to_string();
    assert!(error.ends_with(":1: expected a key and a file or 'command |', found 'a' alone"));
    let empty = Table::read(dir.path().join("empty")).unwrap();
    assert!(Recordings::new(&empty).is_err());
}

#[test]
fn a_full_disk_ends_the_work() {
    let (_dir, recordings) = corpus("a r 0 0.5\nb r 0.5 1\n");
    let full = |_| Err::<(), _>(Error::io("out")(std::io::ErrorKind::StorageFull.into()));
    let mut calls = 0;
    let result = recordings
        .unwrap()
        .for_each(&RecordingOptions::default(), full, |_, _| {
            calls += 1;
            Ok::<(), Error>(())
        });
    assert!(result.unwrap_err().is_full_disk());
    assert_eq!(calls, 0);
}
