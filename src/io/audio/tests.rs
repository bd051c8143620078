//! Files as the encoders in use make them (`tests/audio_files/make.sh` says how), whole, cut at every byte and with
//! any byte changed; and headers that lie.

use std::path::PathBuf;

use super::*;

/// Containers of the 16-bit samples of `pcm16.wav`, and how often 2^16 a sample may be off.
const EXACT: [&str; 24] = [
    "extensible24.wav",
    "pcm32.wav",
    "float32.wav",
    "float64.wav",
    "rifx.wav",
    "rf64.wav",
    "sox_stream.wav",
    "ffmpeg_stream.wav",
    "little.sph",
    "big.sph",
    "plain.aiff",
    "sowt.aifc.aiff",
    "float32.aiff",
    "float64.aiff",
    "24.aiff",
    "pcm16.au",
    "24.au",
    "float32.au",
    "plain.flac",
    "stream.flac",
    "flac.ogg",
    "alac.m4a",
    "pcm16.caf",
    "pcm16.wav",
];

fn bytes_of(file: &str) -> Vec<u8> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "audio_files"]
        .iter()
        .collect();
    std::fs::read(folder.join(file)).unwrap()
}

fn decode_channel(bytes: &[u8], channel: Option<usize>) -> Result<Waveform> {
    decode_audio(bytes.to_vec(), "x", &AudioOptions { channel })
}

fn decode(bytes: &[u8]) -> Result<Waveform> {
    decode_channel(bytes, None)
}

fn told(bytes: &[u8]) -> String {
    decode(bytes).unwrap_err().to_string()
}

fn samples(file: &str) -> Vec<f32> {
    decode(&bytes_of(file))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
        .samples
}

#[test]
fn every_lossless_container_holds_the_same_samples() {
    let reference = samples("pcm16.wav");
    assert_eq!(reference.len(), 800);
    assert!(reference.iter().any(|sample| sample.abs() > 0.3));
    for file in EXACT {
        let waveform = decode(&bytes_of(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(waveform.sample_rate_hz, 16000, "{file}");
        assert!(
            waveform.samples == reference,
            "{file}: {} samples",
            waveform.samples.len()
        );
    }
}

#[test]
fn eight_bits_are_what_sox_makes_of_them() {
    for (file, expected) in [
        ("pcm8.wav", "pcm8"),
        ("a_law.wav", "a_law"),
        ("a_law.aiff", "a_law.aiff"),
        ("mu_law.wav", "mu_law"),
        ("mu_law.sph", "mu_law"),
        ("mu_law.au", "mu_law"),
        ("mu_law.aiff", "mu_law.aiff"),
    ] {
        assert!(
            samples(file) == samples(&format!("{expected}.expected.wav")),
            "{file}"
        );
    }
}

#[test]
fn a_channel_is_taken_only_by_choice() {
    let reference = samples("pcm16.wav");
    for file in ["stereo.wav", "stereo.flac", "stereo.sph"] {
        let bytes = bytes_of(file);
        assert_eq!(
            decode_channel(&bytes, Some(0)).unwrap().samples,
            reference,
            "{file}"
        );
        let mirrored: Vec<f32> = reference.iter().map(|sample| -sample).collect();
        assert_eq!(
            decode_channel(&bytes, Some(1)).unwrap().samples,
            mirrored,
            "{file}"
        );
        assert_eq!(
            told(&bytes),
            "x: expected one channel, or the choice of one (--channel, from 0), found 2 channels"
        );
        let error = decode_channel(&bytes, Some(2)).unwrap_err().to_string();
        assert_eq!(
            error,
            "x: expected a channel 2 (counted from 0), found 2 channel(s)"
        );
    }
}

#[test]
fn blocks_are_the_whole() {
    for file in EXACT
        .iter()
        .chain(&["speech.ogg", "speech.mp3", "aac.m4a", "aac.adts"])
    {
        let bytes = input::Bytes::memory(bytes_of(file));
        let mut reader =
            AudioReader::of_bytes(bytes, Path::new(file), &AudioOptions::default()).unwrap();
        let mut joined = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            assert!(!block.is_empty());
            joined.extend_from_slice(block);
        }
        assert!(joined == samples(file), "{file}");
        assert!(reader.next_block().unwrap().is_none(), "{file}");
    }
}

/// AAC keeps its encoder's delay, of 1024 samples here and in most encoders.
#[test]
fn aac_sounds_like_what_it_was_made_of() {
    let reference = samples("quarter.wav");
    for (file, delay) in [("aac.m4a", 1024), ("aac.adts", 1024)] {
        let found = samples(file);
        let pairs = reference.iter().zip(&found[delay..]);
        let dot: f64 = pairs.clone().map(|(a, b)| f64::from(a * b)).sum();
        let energy = |samples: &[f32]| samples.iter().map(|x| f64::from(x * x)).sum::<f64>();
        let likeness = dot / (energy(&reference) * energy(&found)).sqrt();
        assert!(
            likeness > 0.9,
            "{file}: {likeness} of {} samples",
            found.len()
        );
    }
}

#[test]
fn what_is_not_read_is_named() {
    for (file, found) in [
        (
            "adpcm_ms.wav",
            "found Microsoft ADPCM (format 0x0002), which is not read",
        ),
        (
            "adpcm_ima.wav",
            "found IMA ADPCM (format 0x0011), which is not read",
        ),
        (
            "gsm.wav",
            "found GSM 06.10 (format 0x0031), which is not read",
        ),
        (
            "mp3_inside.wav",
            "found MP3 (format 0x0055), which is not read",
        ),
        (
            "wma.wma",
            "found Windows Media Audio (ASF), which is not read",
        ),
        ("opus.webm", "found Matroska or WebM, which is not read"),
        ("opus.ogg", "found Opus in Ogg, which is not read"),
        ("speex.ogg", "found Speex in Ogg, which is not read"),
        ("alac.caf", "found the codec 'alac', which is not read"),
    ] {
        let error = told(&bytes_of(file));
        assert!(
            error.starts_with("x: expected ") && error.ends_with(found),
            "{file}: {error}"
        );
    }
    let mut shorten = bytes_of("little.sph");
    let at = shorten
        .windows(8)
        .position(|window| window == b"-s3 pcm\n")
        .unwrap();
    let coding = b"-s26 pcm,embedded-shorten-v2.00";
    shorten.splice(at..at + 7, *coding);
    shorten.drain(1024..1024 + coding.len() - 7);
    assert_eq!(
        told(&shorten),
        "x: sample_coding: expected pcm, ulaw or alaw (sph2pipe reads compressed ones), \
         found 'pcm,embedded-shorten-v2.00' in the SPHERE header"
    );
}

#[test]
fn a_file_that_ends_early_is_told_at_every_byte() {
    // What states no length ends where its bytes end, after whole frames, and after packets that are whole.
    let open = [
        "sox_stream.wav",
        "ffmpeg_stream.wav",
        "stream.flac",
        "aac.adts",
    ];
    for file in EXACT
        .iter()
        .chain(&["aac.m4a", "aac.adts", "a_law.aiff", "stereo.sph"])
    {
        let whole = bytes_of(file);
        let channel = file.starts_with("stereo").then_some(0);
        let all = decode_channel(&whole, channel).unwrap().samples;
        for length in 0..whole.len() {
            match decode_channel(&whole[..length], channel) {
                Err(error) => {
                    let error = error.to_string();
                    assert!(
                        error.starts_with("x: ") && !error.contains('\n'),
                        "{file}: {error}"
                    );
                }
                Ok(part) => {
                    // Metadata may stand behind the samples.
                    let whole = part.samples.len() == all.len() || open.contains(file);
                    assert!(
                        whole && all.starts_with(&part.samples),
                        "{file} cut at {length}"
                    );
                }
            }
        }
    }
}

#[test]
fn any_byte_may_lie_without_a_panic() {
    for file in EXACT.iter().chain(&[
        "a_law.wav",
        "mu_law.sph",
        "mu_law.au",
        "a_law.aiff",
        "aac.m4a",
        "aac.adts",
        "speech.ogg",
        "opus.ogg",
    ]) {
        let whole = bytes_of(file);
        for at in 0..whole.len().min(1200) {
            for value in [0, 1, 0x7f, 0x80, 0xff, whole[at] ^ 0x20] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Err(error) = decode(&bytes) {
                    let error = error.to_string();
                    assert!(
                        error.starts_with("x: ") && !error.contains('\n'),
                        "{file}: {error}"
                    );
                }
            }
        }
    }
}

/// `pcm16.wav` with bytes set.
fn with(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes_of("pcm16.wav");
    for (at, new) in changes {
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

#[test]
fn headers_that_lie_are_told() {
    const RATE: usize = 24;
    for (bytes, found) in [
        (
            with(&[(RATE, &[0; 4])]),
            "expected a sample rate above 0 Hz, found 0 Hz",
        ),
        (
            with(&[(RATE, &3_000_000_000u32.to_le_bytes())]),
            "expected a sample rate of at most 1000000 Hz, found 3000000000 Hz",
        ),
        (
            with(&[(22, &[0, 0])]),
            "expected at least one channel, found none",
        ),
        (
            with(&[(22, &[3, 0])]),
            "expected 1 to 32-bit integers, or floats of 32 or 64 bits, found 16 bits in 0 bytes",
        ),
        (with(&[(32, &[4, 0])]), "found 800 samples"),
        (with(&[(34, &[40, 0])]), "found 40 bits in 2 bytes"),
        (with(&[(34, &[0, 0])]), "found 0 bits in 2 bytes"),
        (
            with(&[(40, &[63, 6, 0, 0])]),
            "expected whole frames of 2 bytes in chunk 'data', found 1599 bytes",
        ),
        (
            with(&[(40, &[0xfe, 0xff, 0xff])]),
            "bytes in chunk 'data', found 1600: the file is cut short",
        ),
        (
            with(&[(16, &[3])]),
            "expected a fmt chunk of WAV, found one of 3 bytes",
        ),
        (
            with(&[(20, &[0xfe, 0xff])]),
            "found 16 bytes of WAVE_FORMAT_EXTENSIBLE, which has 40",
        ),
        (
            with(&[(8, b"AVI ")]),
            "found an AVI video, which is not read",
        ),
        (
            bytes_of("pcm16.wav")[..44].to_vec(),
            "bytes in chunk 'data', found 0: the file is cut short",
        ),
        (Vec::new(), "found an empty file"),
    ] {
        match decode(&bytes) {
            // Frames of four bytes hold every second sample in their upper half.
            Ok(waveform) => assert_eq!(
                found,
                format!("found {} samples", 2 * waveform.samples.len())
            ),
            Err(error) => {
                let error = error.to_string();
                assert!(
                    error.starts_with("x: ") && error.ends_with(found),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn an_empty_data_chunk_is_open_or_empty() {
    // Nobody came back to set the sizes.
    let open = with(&[(4, &36u32.to_le_bytes()), (40, &[0; 4])]);
    assert_eq!(decode(&open).unwrap().samples.len(), 800);
    let mut listed = open[..44].to_vec();
    listed.extend(b"LIST\x04\0\0\0abcd");
    listed[4] = 48;
    assert!(told(&listed).ends_with("expected audio samples, found none"));
}

#[test]
fn samples_that_are_no_numbers_are_told_with_their_place() {
    for (value, shown) in [
        (f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ] {
        let mut bytes = bytes_of("float32.wav");
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&value.to_le_bytes());
        assert_eq!(
            told(&bytes),
            format!("x: expected finite samples, found {shown} at sample 799")
        );
    }
}

#[test]
fn damage_that_only_a_checksum_sees_is_told() {
    let mut flac = bytes_of("plain.flac");
    flac[26] ^= 1;
    assert_eq!(
        told(&flac),
        "x: expected the samples that the header's MD5 was made of, found others: the file is damaged"
    );
}

#[test]
fn files_that_are_none_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| read_audio(dir.path().join(name), &AudioOptions::default());
    let error = read("").unwrap_err().to_string();
    assert!(error.ends_with(": is a directory"), "{error}");
    assert!(
        read("none")
            .unwrap_err()
            .to_string()
            .contains("No such file")
    );
    std::fs::write(dir.path().join("wrong.wav"), bytes_of("speech.mp3")).unwrap();
    assert_eq!(read("wrong.wav").unwrap().samples.len(), 16000);
    std::fs::write(dir.path().join("text.wav"), "<html></html>").unwrap();
    let error = read("text.wav").unwrap_err().to_string();
    assert!(
        error.ends_with("found a web page or XML, which is not read"),
        "{error}"
    );
    let mut flac = bytes_of("plain.flac");
    flac[18] &= 0x0f;
    flac[19] = 0;
    assert!(decode(&flac).is_err());
}
