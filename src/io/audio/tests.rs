//! Files as the encoders in use make them (see `tests/audio_files/make.sh`), whole, cut at every byte and with
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
    decode_audio(
        bytes.to_vec(),
        "x",
        &AudioOptions::with_choice(channel.map(Channel::Index)),
    )
}

fn decode(bytes: &[u8]) -> Result<Waveform> {
    decode_channel(bytes, None)
}

fn message_of(bytes: &[u8]) -> String {
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
        let options = AudioOptions::with_choice(Some(Channel::Mean));
        let mean = decode_audio(bytes.clone(), "x", &options).unwrap();
        assert_eq!(mean.samples, vec![0.0; reference.len()], "{file}");
        assert_eq!(
            message_of(&bytes),
            "x: expected one channel, or the choice of one (--channel, from 0, or --channel mean), found 2 channels"
        );
        let error = decode_audio(bytes.clone(), "x", &AudioOptions::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "x: expected one channel, found 2 channels"
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
    for file in EXACT.iter().chain(&[
        "speech.ogg",
        "opus.ogg",
        "speech.mp3",
        "aac.m4a",
        "aac.adts",
    ]) {
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

/// In ADTS AAC keeps its encoder's delay, of 1024 samples here and in most encoders.
#[test]
fn aac_sounds_like_what_it_was_made_of() {
    let reference = samples("quarter.wav");
    for (file, delay) in [("aac.m4a", 0), ("aac.adts", 1024)] {
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
    let way =
        "which is not read: ffmpeg makes a WAV of it, in wav.scp as 'ffmpeg -i FILE -f wav - |'";
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
            &format!("found Windows Media Audio (ASF), {way}"),
        ),
        ("opus.webm", &format!("found Matroska or WebM, {way}")),
        ("speex.ogg", &format!("found Speex in Ogg, {way}")),
        ("alac.caf", "found the codec 'alac', which is not read"),
    ] {
        let error = message_of(&bytes_of(file));
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
        message_of(&shorten),
        "x: sample_coding: expected pcm, ulaw or alaw (sph2pipe reads compressed ones), \
         found 'pcm,embedded-shorten-v2.00' in the SPHERE header"
    );
}

#[test]
fn a_file_truncated_at_any_byte_is_refused() {
    // What states no length ends where its bytes end, after whole frames, and after packets that are whole.
    let open = [
        "sox_stream.wav",
        "ffmpeg_stream.wav",
        "stream.flac",
        "aac.adts",
    ];
    for file in EXACT.iter().chain(&[
        "aac.m4a",
        "aac.adts",
        "a_law.aiff",
        "stereo.sph",
        "opus.ogg",
    ]) {
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
                    // Metadata may follow the samples.
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

/// The burst that `make.sh` puts at sample 4001.
fn burst() -> Vec<f32> {
    let sample = |i: f64| {
        let window = (std::f64::consts::PI * i / 512.0).sin().powi(2);
        window * (std::f64::consts::TAU * (0.02 + 0.0001 * i) * i).sin()
    };
    (0..512).map(|i| sample(f64::from(i)) as f32).collect()
}

/// Where the burst begins.
fn burst_at(samples: &[f32]) -> usize {
    let burst = burst();
    let likeness = |part: &[f32]| -> f32 { part.iter().zip(&burst).map(|(a, b)| a * b).sum() };
    let parts = samples.windows(burst.len()).map(likeness).enumerate();
    parts.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
}

/// Compares every sample with what was encoded, where a file states its encoder's delay. Lossless ones are held to it
/// by their samples.
#[test]
fn lossy_files_are_not_late() {
    for (file, delay, length) in [
        ("burst.mp3", 0, 8000),
        ("burst.ogg", 0, 8000),
        ("burst.m4a", 0, 8000),
        // These state no delay: LAME's with the decoder's, and ffmpeg's.
        ("burst.bare.mp3", 1105, 9216),
        ("burst.adts", 1024, 9216),
    ] {
        let found = samples(file);
        assert_eq!(
            (burst_at(&found), found.len()),
            (4001 + delay, length),
            "{file}"
        );
    }
}

/// `opus.ogg` with bytes of its identification header set, from the eighth on, and the checksum of that page made anew.
fn opus_with(changes: &[(usize, &[u8])]) -> Vec<u8> {
    const HEAD: usize = 28;
    let mut bytes = bytes_of("opus.ogg");
    for (at, new) in changes {
        bytes[HEAD + at..HEAD + at + new.len()].copy_from_slice(new);
    }
    sealed(bytes, 0)
}

/// The Ogg page that begins at a byte gets the checksum that it should have.
fn sealed(mut bytes: Vec<u8>, page: usize) -> Vec<u8> {
    let lengths = usize::from(bytes[page + 26]);
    let body: usize = (bytes[page + 27..page + 27 + lengths].iter())
        .map(|&length| usize::from(length))
        .sum();
    bytes[page + 22..page + 26].fill(0);
    let sum = ogg::checksum(&[&bytes[page..page + 27 + lengths + body]]);
    bytes[page + 22..page + 26].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn last_page(bytes: &[u8]) -> usize {
    let mut pages = bytes.windows(4);
    pages.rposition(|window| window == b"OggS").unwrap()
}

#[test]
fn opus_is_cut_to_what_was_encoded() {
    let whole = decode(&bytes_of("opus.ogg")).unwrap();
    // A quarter of a second at 16 kHz was encoded.
    assert_eq!((whole.sample_rate_hz, whole.samples.len()), (48000, 12000));
    let original = samples("quarter.wav");
    let third: Vec<f32> = whole.samples.iter().step_by(3).copied().collect();
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum() };
    let likeness =
        dot(&original, &third) / (dot(&original, &original) * dot(&third, &third)).sqrt();
    assert!(likeness > 0.8, "{likeness}");

    // What the header leaves out is less than a packet, or several.
    let encoded = opus_with(&[(10, &[0, 0])]);
    let all = decode(&encoded).unwrap().samples;
    let skip = all.len() - 12000;
    assert!((100..1000).contains(&skip));
    assert_eq!(all[skip..], whole.samples);
    let longer = decode(&opus_with(&[(10, &3000u16.to_le_bytes())])).unwrap();
    assert_eq!(longer.samples, all[3000..]);
    // The last page's position ends the recording, wherever it lies.
    for end in [10u64, 2000, 9000] {
        let page = last_page(&encoded);
        let mut shorter = encoded.clone();
        shorter[page + 6..page + 14].copy_from_slice(&end.to_le_bytes());
        let found = decode(&sealed(shorter, page)).unwrap().samples;
        assert_eq!(found, all[..end as usize]);
    }
}

#[test]
fn opus_has_the_gain_of_its_header() {
    let plain = samples("opus.ogg");
    // 256ths of a decibel, negative too.
    for (gain, factor) in [(1541i16, 2.0), (-1541, 0.5), (0, 1.0)] {
        let found = decode(&opus_with(&[(16, &gain.to_le_bytes())])).unwrap();
        for (found, plain) in found.samples.iter().zip(&plain) {
            assert!((found - factor * plain).abs() < 5e-4, "{gain}");
        }
    }
}

#[test]
fn chained_opus_is_one_recording() {
    let once = samples("opus.ogg");
    let twice = decode(&bytes_of("opus.ogg").repeat(2)).unwrap().samples;
    assert_eq!(twice, once.repeat(2));
    let stereo = [bytes_of("opus.ogg"), opus_with(&[(9, &[2])])].concat();
    assert_eq!(
        message_of(&stereo),
        "x: expected Ogg Opus audio, found something else (sample rate or channels change on the way)"
    );
    // A mono stream in two channels is the same in both.
    let stereo = opus_with(&[(9, &[2])]);
    let channel = |index| decode_channel(&stereo, Some(index)).unwrap().samples;
    assert_eq!(channel(0), channel(1));
    assert_eq!(channel(0).len(), once.len());
}

#[test]
fn opus_that_is_not_read_is_named() {
    // Six channels in four streams, two of them of two channels.
    let mut surround = opus_with(&[(9, &[6]), (18, &[1])]);
    surround.splice(28 + 19..28 + 19, [4, 2, 0, 4, 1, 2, 3, 5]);
    surround[27] += 8;
    assert_eq!(
        message_of(&sealed(surround, 0)),
        "x: expected Ogg Opus audio, found something else (Opus with a map of its channels)"
    );
    let mut short = bytes_of("opus.ogg");
    let page = last_page(&short);
    let first = page + 27 + usize::from(short[page + 26]);
    short[first] = 0xe0;
    assert_eq!(
        message_of(&sealed(short, page)),
        "x: expected Ogg Opus audio, found something else (Opus in frames of 2.5 ms)"
    );
    let mut damaged = bytes_of("opus.ogg");
    damaged[first] = 0xff;
    damaged[first + 1] = 0xff;
    assert_eq!(
        message_of(&sealed(damaged, page)),
        "x: expected Ogg Opus audio, found damaged data (no packet of Opus)"
    );
}

/// A box of MPEG-4.
fn atom(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = (content.len() as u32 + 8).to_be_bytes();
    [&size, &name[..], content].concat()
}

fn find(bytes: &[u8], text: &[u8]) -> usize {
    bytes
        .windows(text.len())
        .position(|window| window == text)
        .unwrap()
}

#[test]
fn what_is_presented_of_mpeg_4_is_read_from_its_lists() {
    let mut bytes = bytes_of("burst.m4a");
    let list = find(&bytes, b"elst");
    // Two edits are refused; one after a pause is not.
    let mut several = bytes.clone();
    let edits = find(&several, b"edts") - 4;
    let entry = several[list + 12..list + 24].to_vec();
    several.splice(list + 24..list + 24, entry);
    for at in [
        list - 4,
        edits,
        find(&several, b"trak") - 4,
        find(&several, b"moov") - 4,
    ] {
        let size = u32::from_be_bytes(several[at..at + 4].try_into().unwrap()) + 12;
        several[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    several[list + 11] = 2;
    assert_eq!(
        message_of(&several),
        "x: expected a track that is presented in one piece, found an edit list of several"
    );
    several[list + 16..list + 20].copy_from_slice(&[0xff; 4]);
    assert_eq!(burst_at(&decode(&several).unwrap().samples), 4001);

    let edits = find(&bytes, b"edts");
    bytes[edits..edits + 4].copy_from_slice(b"free");
    assert_eq!(burst_at(&decode(&bytes).unwrap().samples), 4001 + 1024);
    if let Some(old) = bytes.windows(4).position(|window| window == b"udta") {
        bytes[old..old + 4].copy_from_slice(b"free");
    }
    let text = " 00000000 00000400 000000C0 0000000000001F3F 00000000";
    let data = atom(
        b"data",
        &[&[0, 0, 0, 1, 0, 0, 0, 0], text.as_bytes()].concat(),
    );
    let (mean, name) = (
        atom(b"mean", b"\0\0\0\0com.apple.iTunes"),
        atom(b"name", b"\0\0\0\0iTunSMPB"),
    );
    let list = atom(b"ilst", &atom(b"----", &[mean, name, data].concat()));
    let user = atom(b"udta", &atom(b"meta", &[&[0; 4], &list[..]].concat()));
    let movie = find(&bytes, b"moov") - 4;
    let size = u32::from_be_bytes(bytes[movie..movie + 4].try_into().unwrap());
    assert_eq!(movie + size as usize, bytes.len(), "moov is the last box");
    bytes[movie..movie + 4].copy_from_slice(&(size + user.len() as u32).to_be_bytes());
    bytes.extend(user);
    let found = decode(&bytes).unwrap().samples;
    assert_eq!((burst_at(&found), found.len()), (4001, 7999));
}

#[test]
fn a_gap_is_an_error_and_no_shorter_recording() {
    for file in [
        "speech.bare.mp3",
        "speech.mp3",
        "burst.bare.mp3",
        "burst.adts",
        "aac.m4a",
        "speech.ogg",
        "opus.ogg",
        "flac.ogg",
        "plain.flac",
        "stream.flac",
    ] {
        let whole = bytes_of(file);
        let length = samples(file).len();
        // A last frame that is cut short is no gap.
        for at in (0..whole.len().saturating_sub(400)).step_by(131) {
            let mut damaged = whole.clone();
            damaged[at..at + 150].fill(0x55);
            let mut shorter = whole.clone();
            shorter.drain(at..at + 150);
            for bytes in [damaged, shorter] {
                if let Ok(waveform) = decode(&bytes) {
                    // Longer is one whose tag, that says what to cut, is what was hit.
                    assert!(waveform.samples.len() >= length, "{file} at {at}");
                }
            }
        }
    }
    let mut damaged = bytes_of("speech.bare.mp3");
    damaged[1500..1700].fill(0x55);
    assert_eq!(
        message_of(&damaged),
        "x: expected a frame at byte 1512 (0.50 s), found \"UUUUUUUUUUU\": the file is damaged"
    );
    let mut damaged = bytes_of("speech.ogg");
    let last = damaged
        .windows(4)
        .rposition(|window| window == b"OggS")
        .unwrap();
    damaged[last - 1] ^= 1;
    let error = message_of(&damaged);
    assert!(
        error.starts_with("x: expected a whole Ogg page at byte "),
        "{error}"
    );
    let before = damaged[..last]
        .windows(4)
        .rposition(|window| window == b"OggS")
        .unwrap();
    damaged.drain(before..last);
    let error = message_of(&damaged);
    assert!(
        error.starts_with("x: expected page ") && error.ends_with("the file is damaged"),
        "{error}"
    );
}

#[test]
fn chained_ogg_is_one_recording() {
    let (speech, burst) = (bytes_of("speech.ogg"), bytes_of("burst.ogg"));
    for first in [&speech, &burst] {
        let joined = decode(&[&first[..], &burst].concat()).unwrap().samples;
        let alone = decode(first).unwrap().samples;
        assert!(joined.starts_with(&alone));
        assert_eq!(joined[alone.len()..], samples("burst.ogg"));
    }
    let flac = bytes_of("flac.ogg");
    let twice = decode(&flac.repeat(2)).unwrap().samples;
    assert_eq!(twice, samples("flac.ogg").repeat(2));
    let stereo = [&bytes_of("stereo.flac")[..], &flac].concat();
    assert!(decode_channel(&stereo, Some(0)).is_err());
    let error = message_of(&[&speech[..], &burst[..burst.len() - 9]].concat());
    assert!(error.contains("a whole Ogg page at byte "), "{error}");
}

/// A WAV of samples of `bits` in frames of 4 bytes.
fn wide(bits: u16, samples: &[u8]) -> Vec<u8> {
    let mut bytes = with(&[
        (28, &64000u32.to_le_bytes()),
        (32, &[4, 0]),
        (34, &bits.to_le_bytes()),
        (40, &(samples.len() as u32).to_le_bytes()),
    ]);
    bytes.truncate(44);
    bytes.extend(samples);
    bytes
}

/// `S24_LE` of ALSA's `arecord`, with the sign or 0 above the sample, and what the standard has.
#[test]
fn twenty_four_bits_in_four_bytes_have_one_level() {
    let reference = samples("pcm16.wav");
    let pcm: Vec<i32> = (reference.iter())
        .map(|sample| (sample * 32768.0) as i32)
        .collect();
    let bytes = |place: &dyn Fn(i32) -> i32, order: fn(i32) -> [u8; 4]| -> Vec<u8> {
        pcm.iter()
            .flat_map(|&sample| order(place(sample)))
            .collect()
    };
    let places: [&dyn Fn(i32) -> i32; 3] = [&|x| x << 8, &|x| x << 8 & 0x00ff_ffff, &|x| x << 16];
    for place in places {
        let little = bytes(place, i32::to_le_bytes);
        assert_eq!(decode(&wide(24, &little)).unwrap().samples, reference);
        // Nobody came back to set the size.
        let mut open = wide(24, &little);
        open[40..44].fill(0xff);
        assert_eq!(decode(&open).unwrap().samples, reference);
        // WAVE_FORMAT_EXTENSIBLE: 32 bits, of which 24 count.
        let mut extensible = wide(32, &little);
        extensible[16] = 40;
        extensible[20..22].copy_from_slice(&[0xfe, 0xff]);
        let tail = b"\x16\0\x18\0\x04\0\0\0\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71";
        extensible.splice(36..36, *tail);
        assert_eq!(decode(&extensible).unwrap().samples, reference);
        let mut rifx = wide(24, &bytes(place, i32::to_be_bytes));
        rifx[..4].copy_from_slice(b"RIFX");
        rifx[16..20].reverse();
        for field in [20, 22, 32, 34] {
            rifx[field..field + 2].reverse();
        }
        rifx[24..28].reverse();
        rifx[40..44].reverse();
        assert_eq!(decode(&rifx).unwrap().samples, reference);
        assert_eq!(decode(&caf(24, &little)).unwrap().samples, reference);
        let mut aiff = b"FORM....AIFCCOMM\0\0\0\x18\0\x01\0\0\x03\x20\0\x18".to_vec();
        aiff.extend(b"\x40\x0c\xfa\0\0\0\0\0\0\0in32\0\0SSND\0\0\x0c\x88\0\0\0\0\0\0\0\0");
        aiff.extend(bytes(place, i32::to_be_bytes));
        assert_eq!(decode(&aiff).unwrap().samples, reference);
    }
}

/// A CAF of little-endian integers of `bits` in 4 bytes at 16 kHz.
fn caf(bits: u32, samples: &[u8]) -> Vec<u8> {
    let mut bytes = b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20".to_vec();
    bytes.extend(16000f64.to_be_bytes());
    bytes.extend(b"lpcm\0\0\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x01");
    bytes.extend(bits.to_be_bytes());
    bytes.extend(b"data");
    bytes.extend((samples.len() as u64 + 4).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(samples);
    bytes
}

/// The operating system has positions up to 2^63, and reports only "Invalid argument" for others.
#[test]
fn a_size_beyond_the_file_is_refused_with_the_files_own_terms() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let message_of = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = read_audio(&path, &AudioOptions::default()).unwrap_err();
        error.to_string().replace(path.to_str().unwrap(), "x")
    };
    for size in [i64::MAX as u64 - 20, i64::MAX as u64, 1 << 63, u64::MAX] {
        let mut bytes = caf(32, &[0; 8]);
        bytes.splice(8..8, [&b"free"[..], &size.to_be_bytes()].concat());
        assert_eq!(
            message_of(&bytes),
            "x: expected a chunk 'data', found none before the end"
        );
        let mut bytes = bytes_of("burst.m4a");
        let large = [&b"\0\0\0\x01free"[..], &size.to_be_bytes()].concat();
        bytes.splice(0..0, [&atom(b"ftyp", b"M4A \0\0\0\0")[..], &large].concat());
        let error = message_of(&bytes);
        assert!(
            error.starts_with("x: expected ") && !error.contains("os error"),
            "{error}"
        );
    }
    let place = format!("{}:{}", path.display(), u64::MAX);
    let error = AudioSource::parse(&place).read(&AudioOptions::default(), Pipes::Refused);
    let error = error.unwrap_err().to_string();
    assert!(
        error.ends_with("expected WAV audio in an archive, found an empty file"),
        "{error}"
    );
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
fn wrong_headers_are_refused() {
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
    assert!(message_of(&listed).ends_with("expected audio samples, found none"));
}

#[test]
fn samples_that_are_not_finite_are_reported_with_their_position() {
    for (value, shown) in [
        (f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ] {
        let mut bytes = bytes_of("float32.wav");
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&value.to_le_bytes());
        assert_eq!(
            message_of(&bytes),
            format!("x: expected finite samples, found {shown} at sample 799")
        );
    }
}

/// Samples are verified by their MD5 only when asked for.
#[test]
fn damage_that_only_the_md5_finds_is_reported_under_verify() {
    let verify = AudioOptions {
        verify: true,
        ..AudioOptions::default()
    };
    let verified = |bytes: &[u8]| decode_audio(bytes.to_vec(), "x", &verify);
    for file in ["plain.flac", "flac.ogg"] {
        assert_eq!(verified(&bytes_of(file)).unwrap().samples, samples(file));
    }
    let mut flac = bytes_of("plain.flac");
    flac[26] ^= 1;
    let error = verified(&flac).unwrap_err();
    assert_eq!(
        error.to_string(),
        "x: expected the samples that the header's MD5 was made of, found others: the file is damaged"
    );
    assert_eq!(decode(&flac).unwrap().samples, samples("plain.flac"));
}

/// The checksum of each frame and the stated length find what is damaged in the samples without the MD5.
#[test]
fn a_changed_byte_of_a_flac_frame_is_found_without_the_md5() {
    let whole = bytes_of("plain.flac");
    let first_frame = whole
        .windows(2)
        .position(|two| two == [0xff, 0xf8])
        .unwrap();
    for at in first_frame..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = message_of(&damaged);
        assert!(error.starts_with("x: expected "), "byte {at}: {error}");
    }
}

#[test]
fn a_flac_may_end_with_a_tag() {
    let mut tag = [0; 128];
    tag[..8].copy_from_slice(b"TAGtitle");
    for file in ["plain.flac", "stream.flac"] {
        let tagged = [bytes_of(file), tag.to_vec()].concat();
        assert_eq!(decode(&tagged).unwrap().samples, samples(file), "{file}");
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &tagged).unwrap();
        let read = read_audio(path.path(), &AudioOptions::default()).unwrap();
        assert_eq!(read.samples, samples(file), "{file}");
    }
}

#[test]
fn other_kinds_of_files_are_refused() {
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
    assert!(error.ends_with("found a web page or XML"), "{error}");
    let mut flac = bytes_of("plain.flac");
    flac[18] &= 0x0f;
    flac[19] = 0;
    assert!(decode(&flac).is_err());
}
