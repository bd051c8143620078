//! K-means and score normalisation on one core, compared with faiss and NumPy.

#[path = "harness/mod.rs"]
mod harness;
#[path = "harness/speech.rs"]
mod speech;

use std::path::Path;

use harness::{Baseline, Report, here};
use ndarray::{Array1, Array2, Axis, Slice, concatenate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unbraid::eval::backend::{Backend, Cohort, Embeddings, SNorm, TrialScorer, score_trials};
use unbraid::eval::units::{KmeansOptions, kmeans};
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::io::kaldi::TableWriter;
use unbraid::signal::deltas::{DeltaOptions, Deltas};
use unbraid::signal::{FrontEnd, MfccOptions};

/// Embeddings that scores are normalised by.
const COHORT: usize = 3_000;
const TRIALS: usize = 2_000_000;

/// MFCC of the bundled speech with deltas, `[frames, 39]`.
fn frames() -> Array2<f32> {
    let mfcc = FrontEnd::new(MfccOptions::default()).expect("options that fit");
    let deltas = Deltas::new(DeltaOptions::default()).expect("options that fit");
    let matrices: Vec<Array2<f32>> = (speech::bundled().iter())
        .map(|path| {
            let recording = read_audio(path, &AudioOptions::default()).expect("bundled speech");
            let feats = mfcc.compute(&recording.samples).expect("finite samples");
            deltas.compute(feats.view()).expect("finite features")
        })
        .collect();
    let views: Vec<_> = matrices.iter().map(Array2::view).collect();
    concatenate(Axis(0), &views).expect("of one width")
}

/// Embeddings of 500 speakers, `[utterances, 192]`.
fn vectors(utterances: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |rows| Array2::from_shape_fn((rows, 192), |_| rng.random_range(-1.0_f32..1.0));
    let (speakers, mut vectors) = (draw(500), draw(utterances));
    for (utterance, mut vector) in vectors.rows_mut().into_iter().enumerate() {
        vector += &speakers.row(utterance % 500);
    }
    vectors
}

fn write_embeddings(path: &str, vectors: &Array2<f32>) {
    let ark = format!("ark:{path}");
    let mut writer = TableWriter::<Array1<f32>>::create(&ark).expect("a temporary file");
    for (utterance, vector) in vectors.rows().into_iter().enumerate() {
        let written = writer.write(&format!("u{utterance:05}"), &vector.to_owned());
        written.expect("a temporary file");
    }
    writer.finish().expect("a temporary file");
}

fn trial_list(utterances: usize) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let each = TRIALS / utterances;
    let pairs = (0..utterances * each).map(|trial| (trial / each, rng.random_range(0..utterances)));
    let answer = |same| if same { "target" } else { "nontarget" };
    let line = |(a, b)| format!("u{a:05} u{b:05} {}\n", answer(a % 500 == b % 500));
    pairs.map(line).collect()
}

/// The scores by cosine, as `unbraid verify score --cohort` makes them.
fn normalised_scores(sides: &str, cohort: &str, trials: &Path) -> Vec<f64> {
    let backend = Backend::cosine(192);
    let [sides, cohort] = [sides, cohort]
        .map(|path| Embeddings::read(&format!("ark:{path}")).expect("what was written"));
    let both = |of| {
        let models = backend.models(of, None).expect("embeddings that fit");
        (models, backend.tests(of).expect("embeddings that fit"))
    };
    let ((models, tests), others) = (both(&sides), both(&cohort));
    let cohort = Cohort {
        models: &others.0,
        tests: &others.1,
        top: 300,
    };
    let norm = SNorm::new(&models, &tests, cohort).expect("a cohort");
    let scorer = TrialScorer {
        models: &models,
        tests: &tests,
        norm: Some(&norm),
        calibration: None,
    };
    let mut scores = Vec::new();
    let scored = score_trials(trials, scorer, |_, score| {
        scores.push(score);
        Ok(())
    });
    scored.expect("trials of these embeddings");
    scores
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one = one.expect("a thread");
    let mut report = Report::default();

    let frames = frames();
    let task = format!(
        "k-means, {} frames, 100 clusters, 100 steps",
        frames.nrows()
    );
    let options = KmeansOptions::default();
    let cluster = || one.install(|| kmeans(&frames, &options).expect("enough frames"));
    let path = folder.path().join("frames.f32").display().to_string();
    let bytes: Vec<u8> = frames.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&path, bytes).expect("a temporary file");
    let faiss = Baseline::start(&["k_means", &path, "39", "100", "100"]);
    report.compare(
        &task,
        "faiss-cpu",
        ">= 1",
        here(cluster),
        faiss.map(Baseline::side),
    );

    let vectors = vectors(8_000);
    let folder = folder.path();
    let part = |name: &str, rows: Slice| {
        let path = folder.join(name).display().to_string();
        write_embeddings(&path, &vectors.slice_axis(Axis(0), rows).to_owned());
        path
    };
    let cohort = part("cohort.ark", Slice::from(..COHORT));
    let sides = part("sides.ark", Slice::from(COHORT..));
    let trials = folder.join("trials");
    std::fs::write(&trials, trial_list(vectors.nrows() - COHORT)).expect("a temporary file");
    let score = || one.install(|| normalised_scores(&sides, &cohort, &trials));
    let list = trials.display().to_string();
    let numpy = Baseline::start(&["s_norm", &sides, &cohort, &list, "300"]);
    let task = format!("S-norm, {TRIALS} trials, cohort of {COHORT}");
    report.compare(
        &task,
        "NumPy",
        ">= 1.5",
        here(score),
        numpy.map(Baseline::side),
    );
    report.print();
}
