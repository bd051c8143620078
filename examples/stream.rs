//! Computes the phonetic codes of a recording in blocks of 20 ms, as they would come from a microphone. The experiment's
//! encoder has to be causal (recipes/mini/conf/causal.toml): `cargo run --release --example stream -- exp/causal talk.flac`

use std::path::Path;

use ndarray::{Array2, Axis, concatenate};
use tch::Device;
use unbraid::inference::stream::CodeStream;
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::method::speech::load;
use unbraid::signal::{FrontEnd, FrontEndOptions};
use unbraid::train::experiment::Experiment;

/// Codes `[codes, code_dim]`, collected block by block.
pub fn codes(exp: &Path, audio: &Path) -> unbraid::Result<Array2<f32>> {
    let (model, info) = load(&Experiment::open(exp)?, "last", Device::Cpu)?;
    let front_end = FrontEnd::new(FrontEndOptions::read(exp.join("front_end.toml"))?)?;
    let waveform = read_audio(audio, &AudioOptions::default())?;
    front_end.check_rate(waveform.sample_rate_hz)?;
    let mut stream = CodeStream::new(model.as_ref(), &info.normalisation, &front_end, Device::Cpu)?;
    let mut ready = Vec::new();
    for piece in waveform
        .samples
        .chunks(waveform.sample_rate_hz as usize / 50)
    {
        ready.push(stream.accept(piece)?);
    }
    ready.push(stream.finish()?);
    let views: Vec<_> = ready.iter().map(Array2::view).collect();
    Ok(concatenate(Axis(0), &views).expect("one stream gives one number of columns"))
}

fn main() -> unbraid::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let [_, exp, audio] = &words[..] else {
        panic!("usage: stream EXP AUDIO");
    };
    println!("{:.3}", codes(Path::new(exp), Path::new(audio))?);
    Ok(())
}
