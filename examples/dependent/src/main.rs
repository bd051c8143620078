//! embed EXPERIMENT RECORDING...: the speaker embedding of each recording, one a line.

use unbraid::Model;
use unbraid::io::audio::{AudioOptions, read_audio};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let model = Model::open(args.next().ok_or("expected EXPERIMENT RECORDING..., found no argument")?)?;
    for path in args {
        let recording = read_audio(&path, &AudioOptions::default())?;
        println!("{path} {}", model.speaker(&recording)?);
    }
    Ok(())
}
