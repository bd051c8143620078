//! Phonetic codes and the speaker embedding of a recording with a trained experiment:
//! `cargo run --release --example extract_codes -- exp/default talk.flac`

use std::path::Path;

use ndarray::{Array1, Array2};
use unbraid::Model;
use unbraid::io::audio::{AudioOptions, read_audio};

/// Codes `[codes, code_dim]` and the embedding `[embedding_dim]`.
pub fn extract(exp: &Path, audio: &Path) -> unbraid::Result<(Array2<f32>, Array1<f32>)> {
    let model = Model::open(exp)?;
    let recording = read_audio(audio, &AudioOptions::default())?;
    Ok((model.phonetic(&recording)?, model.speaker(&recording)?))
}

fn main() -> unbraid::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let [_, exp, audio] = &words[..] else {
        panic!("usage: extract_codes EXP AUDIO");
    };
    let (codes, embedding) = extract(Path::new(exp), Path::new(audio))?;
    println!("{codes:.3}\n{embedding:.3}");
    Ok(())
}
