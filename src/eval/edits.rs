//! How far one string of labels is from another.

/// The fewest substitutions, deletions and insertions that turn `from` into `to` (Levenshtein 1966).
pub fn edit_distance(from: &[i64], to: &[i64]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
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
    fn distances_are_counted() {
        for (from, to, distance) in [
            (&[][..], &[][..], 0),
            (&[1, 2, 3], &[], 3),
            (&[], &[1], 1),
            (&[1, 2, 3], &[1, 3], 1),
            (&[1, 2, 3, 4], &[2, 3, 4, 5], 2),
            (&[1, 2], &[2, 1], 2),
        ] {
            assert_eq!(edit_distance(from, to), distance, "{from:?} {to:?}");
        }
    }

    #[test]
    fn a_blank_parts_what_is_said_twice() {
        assert_eq!(collapse(&[9, 1, 1, 9, 1, 2, 2, 9], 9), [1, 1, 2]);
    }
}
