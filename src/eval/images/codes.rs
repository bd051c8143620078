//! The information in codes of images: accuracy of classes by the nearest neighbour and by a linear classifier,
//! disentanglement scores of known factors, and the error of reconstruction.

use ndarray::Array2;
use tch::{Kind, Tensor};

use super::Labelled;
use super::linear::{LinearOptions, linear_accuracy};
use super::neighbours::neighbour_accuracy;
use crate::dataset::images::Images;
use crate::error::Result;
use crate::eval::factors::{Factor, FactorOptions, factors};
use crate::eval::score::Score;

/// Vectors of the training and test images, with the name of their encoder.
#[derive(Debug)]
pub struct Codes {
    /// The name of the encoder.
    pub name: &'static str,
    /// Vectors of the training images, `[images, dims]`.
    pub train: Array2<f32>,
    /// Vectors of the test images, `[images, dims]`.
    pub test: Array2<f32>,
}

/// Accuracies of the nearest neighbour and of a linear classifier on the first of `codes`, with those on the others as
/// baselines; none without labels.
///
/// # Errors
/// Errors of the classifiers.
pub fn class_scores(
    set: &str,
    codes: &[Codes],
    (train, test): (&Images, &Images),
) -> Result<Vec<Score>> {
    let (Some(train), Some(test)) = (&train.labels, &test.labels) else {
        return Ok(Vec::new());
    };
    type Reader = fn(Labelled, Labelled) -> Result<f64>;
    let readers: [(&str, Reader); 2] = [
        ("nearest neighbour's class", neighbour_accuracy),
        ("class by a linear probe", |train, test| {
            linear_accuracy(train, test, LinearOptions::default())
        }),
    ];
    let mut scores = Vec::new();
    for (name, read) in readers {
        let mut score: Option<Score> = None;
        for codes in codes {
            let of = |vectors, labels| Labelled { vectors, labels };
            let accuracy = read(of(&codes.train, train), of(&codes.test, test))?;
            score = Some(match score {
                None => Score::new(set, name, accuracy).beside("chance", chance(test)),
                Some(score) => score.beside(codes.name, accuracy),
            });
        }
        scores.extend(score);
    }
    Ok(scores)
}

/// Share of the most frequent class.
pub fn chance(labels: &[usize]) -> f64 {
    let mut counts = vec![0usize; labels.iter().max().map_or(0, |&most| most + 1)];
    labels.iter().for_each(|&label| counts[label] += 1);
    counts.iter().max().map_or(0.0, |&most| most as f64) / labels.len().max(1) as f64
}

/// Disentanglement scores of vectors for the known factors of the images; none where no factors are known.
///
/// # Errors
/// As [`factors`].
pub fn factor_scores(set: &str, vectors: &Array2<f32>, images: &Images) -> Result<Vec<Score>> {
    if images.factors.is_empty() {
        return Ok(Vec::new());
    }
    let known_factors: Vec<Factor> = images
        .factors
        .iter()
        .map(|factor| Factor {
            name: factor.name.clone(),
            classes: factor.classes.clone(),
        })
        .collect();
    let found = factors(
        &vectors.mapv(f64::from),
        &known_factors,
        FactorOptions {
            draws: 0,
            ..FactorOptions::default()
        },
    )?;
    let mut scores = vec![
        Score::new(set, "MIG", found.mig),
        Score::new(set, "SAP", found.sap),
        Score::new(set, "DCI completeness", found.completeness),
        Score::new(set, "DCI informativeness", found.informativeness),
    ];
    scores.extend(
        found
            .disentanglement
            .map(|value| Score::new(set, "DCI disentanglement", value)),
    );
    scores.extend(found.factors.iter().map(|factor| {
        Score::new(set, format!("{}: MIG", factor.factor), factor.mig)
            .beside("linear accuracy", factor.accuracy)
            .beside("chance", factor.chance)
    }));
    Ok(scores)
}

/// Mean absolute error per pixel between images and their reconstructions, with the baseline of the reconstruction of another
/// image, and the ratio of the two (Donahue et al. 2017).
pub fn reconstruction_score(set: &str, images: &Tensor, back: &Tensor) -> Vec<Score> {
    let error = |other: &Tensor| (images - other).abs().mean(Kind::Float).double_value(&[]);
    let (own, others) = (error(back), error(&back.roll([1i64], [0i64])));
    vec![
        Score::new(set, "error of a pixel", own).beside("of another image", others),
        Score::new(
            set,
            "error over that of another image",
            own / others.max(1e-12),
        )
        .beside("chance", 1.0),
    ]
}
