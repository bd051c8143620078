//! Speakers of recordings without labels: agglomerative clustering of their embeddings, average linkage on the cosine
//! (Sokal and Michener 1958), by the algorithm of Müllner 2011.

use kodama::{Method, linkage};
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::error::{Error, Result};

/// The most embeddings: the cosines of all pairs of them take 2 GiB.
pub const MOST: usize = 1 << 15;

/// Where the tree of clusters is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// Into so many speakers.
    Speakers(usize),
    /// Where the mean cosine between two clusters is below this.
    Cosine(f64),
}

/// Embeddings divided into speakers.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeakerClusters {
    /// The speaker of each embedding, numbered in the order in which they first occur.
    pub speaker: Vec<usize>,
    /// Number of speakers.
    pub speakers: usize,
    /// The silhouette of each embedding (Rousseeuw 1987) with one minus the cosine as distance, -1 to 1: near 1 it is much
    /// closer to its own cluster than to the next one, below 0 closer to another. 0 for the only one of its cluster, and if
    /// there is one cluster.
    pub silhouette: Vec<f64>,
    /// Mean cosine of pairs of one speaker; none if each has one embedding.
    pub within: Option<f64>,
    /// Mean cosine of pairs of two speakers; none for one speaker.
    pub across: Option<f64>,
}

impl SpeakerClusters {
    /// Divides embeddings `[embeddings, dims]`, of any length but 0.
    ///
    /// # Errors
    /// [`Error::Option`] for fewer than two embeddings or more than [`MOST`], for one of length 0, for numbers that are not
    /// finite, and for a cut into more speakers than embeddings, or none.
    pub fn of(embeddings: ArrayView2<f32>, cut: Cut) -> Result<Self> {
        let count = embeddings.nrows();
        check_count(count)?;
        if let Cut::Speakers(speakers) = cut
            && !(1..=count).contains(&speakers)
        {
            let expected = format!("1 to {count}, the number of utterances");
            return Err(Error::option("--speakers", expected, speakers.to_string()));
        }
        let embeddings = of_length_one(embeddings)?;
        let speaker = cut_tree(&embeddings, cut);
        let speakers = 1 + speaker.iter().max().copied().unwrap_or(0);
        Ok(Sums::of(&embeddings, &speaker, speakers).describe(&embeddings, speaker))
    }

    /// The mean silhouette.
    pub fn mean_silhouette(&self) -> f64 {
        self.silhouette.iter().sum::<f64>() / self.silhouette.len() as f64
    }
}

/// Refuses numbers of embeddings that cannot be clustered.
///
/// # Errors
/// [`Error::Option`].
pub fn check_count(count: usize) -> Result<()> {
    let pairs_gib = (count as f64).powi(2) / 2.0 * 4.0 / (1u64 << 30) as f64;
    match count {
        0 | 1 => Err(Error::option("embeddings", "at least 2", count.to_string())),
        2..=MOST => Ok(()),
        _ => Err(Error::option(
            "embeddings",
            format!("at most {MOST}, whose pairs take 2 GiB of memory"),
            format!("{count}, whose pairs take {pairs_gib:.1} GiB"),
        )),
    }
}

fn of_length_one(embeddings: ArrayView2<f32>) -> Result<Array2<f32>> {
    let mut embeddings = embeddings.to_owned();
    for (number, mut row) in embeddings.rows_mut().into_iter().enumerate() {
        let length = row.dot(&row).sqrt();
        if !(length.is_finite() && length > 0.0) {
            let option = format!("embedding number {}", number + 1);
            return Err(Error::option(
                option,
                "a finite length above 0",
                length.to_string(),
            ));
        }
        row /= length;
    }
    Ok(embeddings)
}

/// The cluster of each embedding below the cut, numbered in the order of their first embeddings.
fn cut_tree(embeddings: &Array2<f32>, cut: Cut) -> Vec<usize> {
    let count = embeddings.nrows();
    let mut distances = Vec::with_capacity(count * (count - 1) / 2);
    for (number, row) in embeddings.rows().into_iter().enumerate() {
        let others = embeddings.slice(ndarray::s![number + 1.., ..]);
        distances.extend(others.dot(&row).iter().map(|cosine| 1.0 - cosine));
    }
    let tree = linkage(&mut distances, count, Method::Average);
    let joins = tree.steps().iter();
    let kept = match cut {
        Cut::Speakers(speakers) => count - speakers,
        Cut::Cosine(cosine) => joins
            .clone()
            .take_while(|join| f64::from(join.dissimilarity) < 1.0 - cosine)
            .count(),
    };
    // Cluster `count + n` is what join `n` made.
    let mut parent: Vec<usize> = (0..2 * count).collect();
    for (number, join) in joins.take(kept).enumerate() {
        parent[join.cluster1] = count + number;
        parent[join.cluster2] = count + number;
    }
    let mut names: Vec<usize> = Vec::new();
    (0..count)
        .map(|mut cluster| {
            while parent[cluster] != cluster {
                cluster = parent[cluster];
            }
            let known = names.iter().position(|&name| name == cluster);
            known.unwrap_or_else(|| {
                names.push(cluster);
                names.len() - 1
            })
        })
        .collect()
}

/// The sum of each speaker's embeddings, from which mean cosines with all of them follow.
struct Sums {
    /// `[speakers, dims]`.
    sums: Array2<f32>,
    sizes: Vec<f64>,
}

impl Sums {
    fn of(embeddings: &Array2<f32>, speaker: &[usize], speakers: usize) -> Self {
        let mut sums = Array2::zeros((speakers, embeddings.ncols()));
        let mut sizes = vec![0.0; speakers];
        for (row, &speaker) in embeddings.rows().into_iter().zip(speaker) {
            let mut sum = sums.row_mut(speaker);
            sum += &row;
            sizes[speaker] += 1.0;
        }
        Self { sums, sizes }
    }

    fn describe(&self, embeddings: &Array2<f32>, speaker: Vec<usize>) -> SpeakerClusters {
        let rows = embeddings.rows().into_iter().zip(&speaker);
        let silhouette = rows
            .map(|(row, &own)| self.silhouette(&self.sums.dot(&row), own))
            .collect();
        let count = speaker.len() as f64;
        let own_pairs: f64 = self.sizes.iter().map(|size| size * size - size).sum();
        let squares = |sum: ndarray::ArrayView1<f32>| f64::from(sum.dot(&sum));
        let own: f64 = self.sums.rows().into_iter().map(squares).sum::<f64>() - count;
        let all = squares(self.sums.sum_axis(Axis(0)).view()) - count;
        let pairs = count * count - count;
        SpeakerClusters {
            speakers: self.sizes.len(),
            speaker,
            silhouette,
            within: (own_pairs > 0.0).then(|| own / own_pairs),
            across: (pairs > own_pairs).then(|| (all - own) / (pairs - own_pairs)),
        }
    }

    /// `cosines` are the sums of an embedding's cosines with all embeddings of each speaker.
    fn silhouette(&self, cosines: &Array1<f32>, own: usize) -> f64 {
        let size = self.sizes[own];
        if size < 2.0 || self.sizes.len() < 2 {
            return 0.0;
        }
        let distance = |speaker: usize| 1.0 - f64::from(cosines[speaker]) / self.sizes[speaker];
        // Without itself.
        let within = 1.0 - (f64::from(cosines[own]) - 1.0) / (size - 1.0);
        let others = (0..self.sizes.len()).filter(|&speaker| speaker != own);
        let next = others.map(distance).fold(f64::INFINITY, f64::min);
        match within.max(next) {
            most if most > 0.0 => (next - within) / most,
            _ => 0.0,
        }
    }
}

/// Agreement of two divisions of the same items, corrected for chance: 1 for equal ones, about 0 for random ones (Hubert and
/// Arabie 1985).
pub fn adjusted_rand_index(first: &[usize], second: &[usize]) -> f64 {
    use std::collections::HashMap;
    let pairs = |count: &f64| count * (count - 1.0) / 2.0;
    let count = |items: &mut dyn Iterator<Item = (usize, usize)>| -> f64 {
        let mut sizes: HashMap<(usize, usize), f64> = HashMap::new();
        items.for_each(|item| *sizes.entry(item).or_default() += 1.0);
        sizes.values().map(pairs).sum()
    };
    let both = count(&mut first.iter().copied().zip(second.iter().copied()));
    let own = count(&mut first.iter().map(|&item| (item, 0)));
    let other = count(&mut second.iter().map(|&item| (item, 0)));
    let expected = own * other / pairs(&(first.len() as f64));
    let most = (own + other) / 2.0;
    match most - expected {
        0.0 => 1.0,
        range => (both - expected) / range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three speakers on the axes, with some deviation, interleaved.
    fn embeddings() -> Array2<f32> {
        Array2::from_shape_fn((12, 4), |(row, column)| {
            let on_axis = f32::from(u8::from(row % 3 == column));
            3.0 * on_axis + 0.1 * ((row * 7 + column * 5) % 4) as f32
        })
    }

    const TRUTH: [usize; 12] = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2];

    #[test]
    fn speakers_are_found_by_number_and_by_cosine() {
        for cut in [Cut::Speakers(3), Cut::Cosine(0.5)] {
            let found = SpeakerClusters::of(embeddings().view(), cut).unwrap();
            assert_eq!(found.speaker, TRUTH);
            assert_eq!(found.speakers, 3);
            assert!(found.mean_silhouette() > 0.8, "{found:?}");
            assert!(
                found.within.unwrap() > 0.9 && found.across.unwrap() < 0.4,
                "{found:?}"
            );
        }
    }

    #[test]
    fn the_silhouette_is_that_of_its_definition() {
        let embeddings = embeddings();
        let found = SpeakerClusters::of(embeddings.view(), Cut::Speakers(3)).unwrap();
        let unit = of_length_one(embeddings.view()).unwrap();
        let distance = |a: usize, b: usize| f64::from(1.0 - unit.row(a).dot(&unit.row(b)));
        let mean = |item: usize, speaker: usize| {
            let others = (0..12).filter(|&other| other != item && TRUTH[other] == speaker);
            let distances: Vec<f64> = others.map(|other| distance(item, other)).collect();
            distances.iter().sum::<f64>() / distances.len() as f64
        };
        for (item, &silhouette) in found.silhouette.iter().enumerate() {
            let own = mean(item, TRUTH[item]);
            let next = (0..3).filter(|&speaker| speaker != TRUTH[item]);
            let next = next
                .map(|speaker| mean(item, speaker))
                .fold(f64::INFINITY, f64::min);
            let expected = (next - own) / next.max(own);
            assert!((silhouette - expected).abs() < 1e-5, "{item}");
        }
    }

    #[test]
    fn extremes_of_a_cut() {
        let of = |cut| SpeakerClusters::of(embeddings().view(), cut).unwrap();
        let one = of(Cut::Cosine(-1.0));
        assert_eq!((one.speakers, one.across), (1, None));
        let each = of(Cut::Cosine(1.1));
        assert_eq!((each.speakers, each.within), (12, None));
        assert_eq!(each.mean_silhouette(), 0.0);
    }

    #[test]
    fn what_cannot_be_clustered_is_refused() {
        let refused = |embeddings: Array2<f32>, cut| {
            SpeakerClusters::of(embeddings.view(), cut)
                .unwrap_err()
                .to_string()
        };
        let cut = Cut::Cosine(0.5);
        assert_eq!(
            refused(Array2::ones((1, 2)), cut),
            "embeddings: expected at least 2, found 1"
        );
        assert_eq!(
            refused(Array2::zeros((2, 2)), cut),
            "embedding number 1: expected a finite length above 0, found 0"
        );
        assert_eq!(
            refused(Array2::from_elem((2, 2), f32::NAN), cut),
            "embedding number 1: expected a finite length above 0, found NaN"
        );
        assert_eq!(
            refused(Array2::ones((2, 2)), Cut::Speakers(3)),
            "--speakers: expected 1 to 2, the number of utterances, found 3"
        );
        assert_eq!(
            check_count(40_000).unwrap_err().to_string(),
            "embeddings: expected at most 32768, whose pairs take 2 GiB of memory, found 40000, whose pairs take 3.0 GiB"
        );
    }

    #[test]
    fn agreement_is_corrected_for_chance() {
        assert_eq!(adjusted_rand_index(&[0, 0, 1, 1], &[5, 5, 2, 2]), 1.0);
        // scikit-learn's adjusted_rand_score
        let partly = adjusted_rand_index(&[0, 0, 1, 2], &[0, 0, 1, 1]);
        assert!((partly - 0.5714285714285715).abs() < 1e-12, "{partly}");
        assert!(adjusted_rand_index(&[0, 0, 1, 1], &[0, 1, 0, 1]) < 0.0);
    }
}
