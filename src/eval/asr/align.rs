//! Forced alignment: the times of a known sequence of labels, on the best path of connectionist temporal classification.

use std::ops::Range;

use crate::dataset::alignment::TimedPhone;

/// The outputs of each label of `string` on the best path through `scores`, one row of log-probabilities per output, the
/// blank last. None where there are too few outputs: the sequence needs one per label, and one between two equal labels.
///
/// Every label has at least one output; the outputs of the blank lie between them.
pub fn best_path(scores: &[&[f32]], string: &[usize]) -> Option<Vec<Range<usize>>> {
    // Blank, label, blank, label, ..., blank.
    let states = 2 * string.len() + 1;
    let label = |state: usize| (state % 2 == 1).then(|| string[state / 2]);
    let score = |output: usize, state: usize| {
        let row = scores[output];
        row[label(state).unwrap_or(row.len() - 1)]
    };
    // Two different labels may follow each other without a blank: from the state before the last one.
    let skips =
        |state: usize| state >= 2 && label(state).is_some() && label(state) != label(state - 2);
    let mut best = vec![f32::NEG_INFINITY; states];
    let mut steps = vec![0u8; scores.len() * states];
    for output in 0..scores.len() {
        // From the last state down, so that each state reads its predecessors of the previous output.
        for state in (0..states).rev() {
            let (mut from, mut step) = (best[state], 0);
            if output == 0 {
                from = if state < 2 { 0.0 } else { f32::NEG_INFINITY };
            } else {
                for back in 1..=1 + usize::from(skips(state)) {
                    if state >= back && best[state - back] > from {
                        (from, step) = (best[state - back], back as u8);
                    }
                }
            }
            best[state] = from + score(output, state);
            steps[output * states + state] = step;
        }
    }
    let mut state = match states {
        1 => 0,
        _ if best[states - 2] > best[states - 1] => states - 2,
        _ => states - 1,
    };
    if scores.is_empty() || best[state] == f32::NEG_INFINITY {
        return None;
    }
    let mut found = vec![0..0; string.len()];
    for output in (0..scores.len()).rev() {
        if label(state).is_some() {
            let own = &mut found[state / 2];
            *own = output..own.end.max(output + 1);
        }
        state -= usize::from(steps[output * states + state]);
    }
    Some(found)
}

/// The times of outputs, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputTimes {
    /// Frame shift.
    pub frame_shift: f64,
    /// Frames per output; an output is centred on its first frame.
    pub subsampling: f64,
    /// The longest extension of a label into the blanks before and after it; it ends in the middle between two labels.
    pub reach: f64,
}

impl OutputTimes {
    /// The times of labels from their outputs, as [`best_path`] returns them; none ends after `frames`.
    pub fn label_times(self, outputs: &[Range<usize>], frames: usize) -> Vec<TimedPhone<usize>> {
        let end = frames as f64 * self.frame_shift;
        // An output is centred on its first frame.
        let edge =
            |output: usize| ((output as f64 - 0.5) * self.subsampling + 0.5) * self.frame_shift;
        let own: Vec<(f64, f64)> = outputs
            .iter()
            .map(|r| (edge(r.start).max(0.0), edge(r.end).min(end)))
            .collect();
        let place = |index: usize| {
            let (from, to) = own[index];
            let before = index
                .checked_sub(1)
                .map_or(0.0, |b| (own[b].1 + from) / 2.0);
            let behind = own.get(index + 1).map_or(end, |next| (to + next.0) / 2.0);
            let start = (from - self.reach).max(before) / 1000.0;
            TimedPhone {
                start,
                duration: (to + self.reach).min(behind) / 1000.0 - start,
                phone: index,
            }
        };
        (0..own.len()).map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores in which each output has one likely label.
    fn likely(labels: &[usize], count: usize) -> Vec<Vec<f32>> {
        let row = |&label: &usize| {
            (0..count)
                .map(|l| if l == label { -0.1 } else { -3.0 })
                .collect()
        };
        labels.iter().map(row).collect()
    }

    fn path(likely: &[Vec<f32>], string: &[usize]) -> Option<Vec<Range<usize>>> {
        let rows: Vec<&[f32]> = likely.iter().map(|row| &row[..]).collect();
        best_path(&rows, string)
    }

    #[test]
    fn labels_lie_where_they_are_likely() {
        // Labels 0 and 1, the blank 2.
        let scores = likely(&[2, 0, 0, 2, 1, 2, 1, 0, 2], 3);
        assert_eq!(
            path(&scores, &[0, 1, 1, 0]),
            Some(vec![1..3, 4..5, 6..7, 7..8])
        );
        // An unlikely label has an output too, and no two labels share one.
        let found = path(&likely(&[2; 4], 3), &[0, 1, 0]).unwrap();
        assert!(found.iter().all(|r| r.len() == 1));
        assert!(found.windows(2).all(|two| two[0].end <= two[1].start));
    }

    /// Compares with all paths.
    #[test]
    fn no_other_path_is_better() {
        let scores: Vec<Vec<f32>> = (0..6)
            .map(|t| {
                (0..3)
                    .map(|l| ((t * 7 + l * 5) as f32 * 1.3).sin())
                    .collect()
            })
            .collect();
        for string in [vec![0], vec![1, 1], vec![0, 1, 0], vec![]] {
            let mut best = f32::NEG_INFINITY;
            for code in 0..3usize.pow(6) {
                let path: Vec<usize> = (0..6).map(|t| code / 3usize.pow(t) % 3).collect();
                let mut labels = path.clone();
                labels.dedup();
                labels.retain(|&label| label != 2);
                if labels == string {
                    best = best.max(path.iter().zip(&scores).map(|(&l, row)| row[l]).sum());
                }
            }
            let found = path(&scores, &string).unwrap();
            let of = |t: usize| {
                found
                    .iter()
                    .position(|r| r.contains(&t))
                    .map_or(2, |i| string[i])
            };
            let own: f32 = scores.iter().enumerate().map(|(t, row)| row[of(t)]).sum();
            assert!(
                (own - best).abs() < 1e-4,
                "{string:?}: {own} against {best}"
            );
        }
    }

    #[test]
    fn too_few_outputs_have_no_path() {
        let scores = likely(&[0, 1], 3);
        assert_eq!(path(&scores, &[0, 1]), Some(vec![0..1, 1..2]));
        assert_eq!(path(&scores, &[0, 0]), None);
        assert_eq!(path(&scores, &[0, 1, 0]), None);
        assert_eq!(path(&[], &[]), None);
    }

    #[test]
    fn labels_reach_into_blanks() {
        let times = OutputTimes {
            frame_shift: 10.0,
            subsampling: 4.0,
            reach: 50.0,
        };
        let found = times.label_times(&[1..2, 3..4, 9..10], 40);
        let spans: Vec<(f64, f64)> = found
            .iter()
            .map(|p| (p.start * 1000.0, (p.start + p.duration) * 1000.0))
            .collect();
        // Outputs 1, 3 and 9 are 25 to 65, 105 to 145 and 345 to 385 ms.
        let expected = [(0.0, 85.0), (85.0, 195.0), (295.0, 400.0)];
        for (found, expected) in spans.iter().zip(expected) {
            assert!(
                (found.0 - expected.0).abs() < 1e-9 && (found.1 - expected.1).abs() < 1e-9,
                "{spans:?}"
            );
        }
    }
}
