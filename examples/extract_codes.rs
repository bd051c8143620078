//! Phonetic codes of a recording with a trained experiment:
//! `cargo run --release --example extract_codes -- exp/default talk.flac`

use std::path::Path;

use tch::{Device, Tensor, no_grad};
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::method::speech::load;
use unbraid::nn::Mask;
use unbraid::signal::{FrontEnd, FrontEndOptions};
use unbraid::train::experiment::Experiment;

/// Codes `[codes, code_dim]`.
pub fn codes(exp: &Path, audio: &Path) -> unbraid::Result<Tensor> {
    let (model, info) = load(&Experiment::open(exp)?, "last", Device::Cpu)?;
    let front_end = FrontEnd::new(FrontEndOptions::read(exp.join("front_end.toml"))?)?;
    let waveform = read_audio(audio, &AudioOptions::default())?;
    let seen = info
        .normalisation
        .apply(front_end.compute_waveform(&waveform)?);
    let (frames, bins) = (seen.nrows() as i64, seen.ncols() as i64);
    let values: Vec<f32> = seen.into_iter().collect();
    let feats = Tensor::from_slice(&values).reshape([1, frames, bins]);
    let mask = Mask::new(&[frames], Device::Cpu);
    let (codes, _) = no_grad(|| model.codes(&feats.transpose(1, 2), &mask))?;
    Ok(codes.squeeze_dim(0).tr())
}

fn main() -> unbraid::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let [_, exp, audio] = &words[..] else {
        panic!("usage: extract_codes EXP AUDIO");
    };
    codes(Path::new(exp), Path::new(audio))?.print();
    Ok(())
}
