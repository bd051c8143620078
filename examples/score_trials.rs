//! Computes the equal error rate of a list of trials from the speaker embeddings of `unbraid extract --output speaker`:
//! `cargo run --release --example score_trials -- scp:speaker.scp trials`

use std::collections::HashMap;
use std::path::Path;

use ndarray::Array1;
use unbraid::Error;
use unbraid::eval::trials::{ScoredTrials, TrialReader};
use unbraid::io::kaldi::TableReader;

/// The equal error rate of cosine scores. Embeddings have length 1, so the cosine is the inner product.
pub fn equal_error_rate(embeddings: &str, trials: &Path) -> unbraid::Result<f64> {
    let embeds: HashMap<String, Array1<f32>> =
        TableReader::open(embeddings)?.collect::<unbraid::Result<_>>()?;
    let of = |key: &str| {
        (embeds.get(key)).ok_or_else(|| Error::key(embeddings, key, "an embedding", "none"))
    };
    let (mut scores, mut reader) = (ScoredTrials::default(), TrialReader::open(trials)?);
    while let Some(block) = reader.next_block()? {
        for index in 0..block.len() {
            let trial = block.trial(index)?;
            let cosine = of(trial.enrolment)?.dot(of(trial.test)?);
            let label = trial.target;
            let target =
                label.ok_or_else(|| block.fault(index, "a target or nontarget", "neither"))?;
            scores.push(f64::from(cosine), target);
        }
    }
    Ok(scores.detection(trials)?.verification().eer)
}

fn main() -> unbraid::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let [_, embeddings, trials] = &words[..] else {
        panic!("usage: score_trials RSPECIFIER TRIALS");
    };
    let eer = equal_error_rate(embeddings, Path::new(trials))?;
    println!("EER {:.2} %", 100.0 * eer);
    Ok(())
}
