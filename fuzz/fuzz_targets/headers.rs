//! Audio headers that this crate reads itself, each after a valid beginning: reading a file as a whole and in blocks has
//! to agree.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use unbraid::io::audio::{AudioOptions, AudioReader, Channel, decode_audio};

const BEGINNINGS: [&[u8]; 8] = [
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0",
    b"RIFX\0\0\x10\0WAVEfmt \0\0\0\x28\xff\xfe",
    b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0",
    b"FORM\0\0\x10\0AIFFCOMM\0\0\0\x12",
    b"FORM\0\0\x10\0AIFCCOMM\0\0\0\x18",
    b"NIST_1A\n   1024\nsample_count -i 9\nsample_rate -i 8000\n",
    b".snd\0\0\0\x18",
    b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((&which, rest)) = bytes.split_first() else {
        return;
    };
    let mut file = BEGINNINGS[usize::from(which) % BEGINNINGS.len()].to_vec();
    file.extend_from_slice(rest);
    let options = AudioOptions::with_choice(Some(Channel::Index(usize::from(which) / 128)));
    let whole = decode_audio(file.clone(), "x", &options);
    let Ok(mut reader) = AudioReader::from_memory(file, Path::new("x"), &options) else {
        assert!(whole.is_err());
        return;
    };
    let mut samples = Vec::new();
    let over = loop {
        match reader.next_block() {
            Ok(Some(block)) => samples.extend_from_slice(block),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    assert_eq!(whole.is_ok(), over);
    if let Ok(whole) = whole {
        assert_eq!(whole.samples, samples);
    }
});
