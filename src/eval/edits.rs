//! The edit distance of sequences of labels.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// The edits that turn a reference into a hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Edits {
    /// Labels of the hypothesis that the reference lacks.
    pub insertions: usize,
    /// Labels of the reference that the hypothesis lacks.
    pub deletions: usize,
    /// Labels that were replaced by another.
    pub substitutions: usize,
}

impl Edits {
    /// Number of all edits.
    pub fn count(self) -> usize {
        self.insertions + self.deletions + self.substitutions
    }
}

impl AddAssign for Edits {
    fn add_assign(&mut self, other: Self) {
        self.insertions += other.insertions;
        self.deletions += other.deletions;
        self.substitutions += other.substitutions;
    }
}

/// The fewest edits that turn `reference` into `hypothesis` (Levenshtein 1966); of equally few, those with the most
/// substitutions.
pub fn edits<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Edits {
    let inserted = |insertions| Edits {
        insertions,
        ..Edits::default()
    };
    let mut row: Vec<Edits> = (0..=hypothesis.len()).map(inserted).collect();
    for a in reference {
        let mut diagonal = row[0];
        row[0].deletions += 1;
        for (j, b) in hypothesis.iter().enumerate() {
            let (mut changed, mut deleted, mut inserted) = (diagonal, row[j + 1], row[j]);
            changed.substitutions += usize::from(a != b);
            deleted.deletions += 1;
            inserted.insertions += 1;
            diagonal = row[j + 1];
            // The first of equal ones.
            let choices = [changed, deleted, inserted];
            row[j + 1] = choices
                .into_iter()
                .min_by_key(|edits| edits.count())
                .unwrap_or(changed);
        }
    }
    row[hypothesis.len()]
}

/// The sequence of labels of a path: runs of equal labels count once, `blank` is removed.
pub fn collapse(path: &[i64], blank: i64) -> Vec<i64> {
    let mut string = path.to_vec();
    string.dedup();
    string.retain(|&label| label != blank);
    string
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_edits_are_counted() {
        for (reference, hypothesis, expected) in [
            (&[][..], &[][..], (0, 0, 0)),
            (&[1, 2, 3], &[], (0, 3, 0)),
            (&[], &[1], (1, 0, 0)),
            (&[1, 2, 3], &[1, 3], (0, 1, 0)),
            (&[1, 2, 3, 4], &[2, 3, 4, 5], (1, 1, 0)),
            (&[1, 2], &[2, 1], (0, 0, 2)),
            (&[1, 2, 3], &[1, 9, 3, 3], (1, 0, 1)),
        ] {
            let found = edits(reference, hypothesis);
            let found = (found.insertions, found.deletions, found.substitutions);
            assert_eq!(found, expected, "{reference:?} {hypothesis:?}");
        }
    }

    #[test]
    fn a_blank_separates_equal_labels() {
        assert_eq!(collapse(&[9, 1, 1, 9, 1, 2, 2, 9], 9), [1, 1, 2]);
    }
}
