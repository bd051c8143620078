//! `unbraid eval attack`: its metrics held to references.

use std::fs;

use crate::support::{oracle, python};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use unbraid::eval::attack::lid;
use unbraid::eval::attack::linkability::{linkability, ranks};
use unbraid::eval::attack::measures::{DrawScores, Scores};
use unbraid::eval::attack::singling_out::{Conversations, singling_out};
use unbraid::eval::trials::probit;

/// Scores in which speakers stand out by `gap`; every third case is rounded, so that there are ties.
fn scores(
    rng: &mut ChaCha8Rng,
    (rows, columns): (usize, usize),
    gap: f64,
    round: bool,
) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(enrolled, test)| {
        let own = if enrolled == test * rows / columns {
            gap
        } else {
            0.0
        };
        let score = own + probit(rng.random_range(1e-9..1.0 - 1e-9));
        if round {
            (4.0 * score).round() / 4.0
        } else {
            score
        }
    })
}

fn rows(scores: &Array2<f64>) -> Vec<Vec<f64>> {
    scores.rows().into_iter().map(|row| row.to_vec()).collect()
}

fn metric_case(seed: u64) -> Value {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let speakers = rng.random_range(8..24);
    let gap = rng.random_range(0.2..2.5);
    let round = seed % 3 == 0;
    let square = (speakers, speakers);
    let mut drawn = |count, shape| -> Vec<Array2<f64>> {
        (0..count)
            .map(|_| scores(&mut rng, shape, gap, round))
            .collect()
    };
    let (tests, dev) = (drawn(4, square), drawn(3, (9, 9)));
    let calibration = drawn(1, (speakers, 2 * speakers)).remove(0);
    let all: Vec<usize> = (0..speakers).collect();
    let draws: Vec<DrawScores> = tests
        .iter()
        .map(|tests| DrawScores {
            tests: tests.clone(),
            calibration: None,
        })
        .collect();
    let found = Scores::new(&draws, lid::calibrate(&dev).unwrap());
    let linked = |tests: &Array2<f64>| -> Vec<f64> {
        let of = |candidates: usize| {
            let each = ranks(tests.view()).into_iter();
            each.map(|rank| linkability(rank.above, speakers - 1, candidates))
                .sum::<f64>()
                / speakers as f64
        };
        (1..=speakers).map(of).collect()
    };
    let conversations = Conversations {
        tests: tests[0].view(),
        calibration: calibration.view(),
    };
    let singled: Vec<Value> = [4, speakers]
        .map(|size| json!([size, 400, singling_out(conversations, size, 400, &mut rng)]))
        .into();
    json!({
        "scores": tests.iter().map(rows).collect::<Vec<_>>(),
        "dev": dev.iter().map(rows).collect::<Vec<_>>(),
        "calibration": rows(&calibration),
        "linkability": tests.iter().map(linked).collect::<Vec<_>>(),
        "singling_out": singled,
        "identified": found.identified(&all),
        "detected": found.detected(&all).unwrap(),
    })
}

#[test]
fn metrics_are_those_of_their_references() {
    let Some(python) = python("metrics_are_those_of_their_references") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let cases: Vec<Value> = (0..100).map(metric_case).collect();
    fs::write(dir.path().join("cases.json"), json!(cases).to_string()).unwrap();
    oracle(&python, dir.path(), "privacy_metrics.py", &["cases.json"]);
}
