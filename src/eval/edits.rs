//! How far one string of labels is from another.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What turns a reference into what was said instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Edits {
    /// Labels that were said beside those of the reference.
    pub insertions: usize,
    /// Labels that were not said.
    pub deletions: usize,
    /// Labels for which another was said.
    pub substitutions: usize,
}

impl Edits {
    /// All of them.
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

/// The fewest edits that turn `reference` into `said` (Levenshtein 1966); of equally few, those with the most
/// substitutions.
pub fn edits<T: PartialEq>(reference: &[T], said: &[T]) -> Edits {
    let inserted = |insertions| Edits {
        insertions,
        ..Edits::default()
    };
    let mut row: Vec<Edits> = (0..=said.len()).map(inserted).collect();
    for a in reference {
        let mut diagonal = row[0];
        row[0].deletions += 1;
        for (j, b) in said.iter().enumerate() {
            let (mut changed, mut deleted, mut inserted) = (diagonal, row[j + 1], row[j]);
            changed.substitutions += usize::from(a != b);
            deleted.deletions += 1;
            inserted.insertions += 1;
            diagonal = row[j + 1];
            // The first of equals.
            let choices = [changed, deleted, inserted];
            row[j + 1] = choices
                .into_iter()
                .min_by_key(|edits| edits.count())
                .unwrap_or(changed);
        }
    }
    row[said.len()]
}

/// The string that a path of best labels says: runs count once, `blank` not at all.
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
        for (reference, said, expected) in [
            (&[][..], &[][..], (0, 0, 0)),
            (&[1, 2, 3], &[], (0, 3, 0)),
            (&[], &[1], (1, 0, 0)),
            (&[1, 2, 3], &[1, 3], (0, 1, 0)),
            (&[1, 2, 3, 4], &[2, 3, 4, 5], (1, 1, 0)),
            (&[1, 2], &[2, 1], (0, 0, 2)),
            (&[1, 2, 3], &[1, 9, 3, 3], (1, 0, 1)),
        ] {
            let found = edits(reference, said);
            let found = (found.insertions, found.deletions, found.substitutions);
            assert_eq!(found, expected, "{reference:?} {said:?}");
        }
    }

    #[test]
    fn a_blank_parts_what_is_said_twice() {
        assert_eq!(collapse(&[9, 1, 1, 9, 1, 2, 2, 9], 9), [1, 1, 2]);
    }
}
