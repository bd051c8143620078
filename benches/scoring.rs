//! K-means and score normalisation on one core, compared with faiss and NumPy.

#[path = "harness/mod.rs"]
mod harness;
#[path = "harness/speech.rs"]
mod speech;

use std::path::Path;

use harness::{Baseline, Report, here};
use ndarray::{Array1, Array2, Axis, concatenate, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unbraid::eval::backend::{Backend, Cohort, Embeddings, SNorm};
use unbraid::eval::units::{KmeansOptions, kmeans};
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::io::kaldi::TableWriter;
use unbraid::signal::deltas::{DeltaOptions, Deltas};
use unbraid::signal::{FrontEnd, MfccOptions};

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

fn embeddings(folder: &Path, vectors: &Array2<f32>) -> Embeddings {
    let ark = format!("ark:{}", folder.join("e.ark").display());
    let mut writer = TableWriter::<Array1<f32>>::create(&ark).expect("a temporary file");
    for (utterance, vector) in vectors.rows().into_iter().enumerate() {
        let written = writer.write(&format!("u{utterance:05}"), &vector.to_owned());
        written.expect("a temporary file");
    }
    writer.finish().expect("a temporary file");
    Embeddings::read(&ark).expect("what was written")
}

fn baseline(folder: &Path, name: &str, matrix: &Array2<f32>, more: &[&str]) -> Option<Baseline> {
    let path = folder.join(name).display().to_string();
    let bytes: Vec<u8> = matrix.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&path, bytes).expect("a temporary file");
    Baseline::start(&[&[name, &path, &matrix.ncols().to_string()], more].concat())
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
    let faiss = baseline(folder.path(), "k_means", &frames, &["100", "100"]);
    report.compare(
        &task,
        "faiss-cpu",
        ">= 1",
        here(cluster),
        faiss.map(Baseline::side),
    );

    let vectors = vectors(13_000);
    let part = |rows| embeddings(folder.path(), &vectors.slice(rows).to_owned());
    let sides = [s![..3000, ..], s![3000..;2, ..], s![3001..;2, ..]].map(part);
    let norm = || {
        let backend = Backend::cosine(192);
        let models = |of| backend.models(of, None).expect("embeddings that fit");
        let tests = |of| backend.tests(of).expect("embeddings that fit");
        let cohort = Cohort {
            models: &models(&sides[0]),
            tests: &tests(&sides[0]),
            top: 300,
        };
        one.install(|| SNorm::new(&models(&sides[1]), &tests(&sides[2]), cohort))
    };
    let numpy = baseline(folder.path(), "s_norm", &vectors, &["3000", "300"]);
    report.compare(
        "S-norm, 2 x 5,000 vectors, cohort of 3,000",
        "NumPy",
        "",
        here(norm),
        numpy.map(Baseline::side),
    );
    report.print();
}
