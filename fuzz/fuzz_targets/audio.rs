//! Any bytes as an audio file, read in blocks: an error or finite samples, never a panic, in bounded memory.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use unbraid::io::audio::{AudioOptions, AudioReader, Channel};

/// Samples to read: the header of a short file may declare hours of silence, whose rest reaches no new code.
const ENOUGH: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let options = AudioOptions::with_choice(Some(Channel::Index(0)));
    let Ok(mut reader) = AudioReader::from_memory(bytes.to_vec(), Path::new("x"), &options) else {
        return;
    };
    assert!(reader.sample_rate_hz() > 0 && reader.channels() > 0);
    let mut read = 0;
    while let Ok(Some(block)) = reader.next_block() {
        assert!(!block.is_empty() && block.iter().all(|sample| sample.is_finite()));
        read += block.len();
        if read > ENOUGH {
            return;
        }
    }
});
