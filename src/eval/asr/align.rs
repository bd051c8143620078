//! When the labels of a known string are said: the best path of connectionist temporal classification through it.

use std::ops::Range;

use crate::dataset::alignment::TimedPhone;

/// The outputs that each label of `string` takes on the best path through `scores`, log-probabilities of an output each,
/// the blank last. None where there are fewer outputs than the string takes: one a label, and one between two of a kind.
///
/// Every label has an output of its own at least; those of the blank lie between.
pub fn best_path(scores: &[&[f32]], string: &[usize]) -> Option<Vec<Range<usize>>> {
    // Blank, label, blank, label, ..., blank.
    let states = 2 * string.len() + 1;
    let label = |state: usize| (state % 2 == 1).then(|| string[state / 2]);
    let score = |output: usize, state: usize| {
        let row = scores[output];
        row[label(state).unwrap_or(row.len() - 1)]
    };
    // From the state before the last one, two labels being neighbours without a blank unless they are alike.
    let skips =
        |state: usize| state >= 2 && label(state).is_some() && label(state) != label(state - 2);
    let mut best = vec![f32::NEG_INFINITY; states];
    let mut steps = vec![0u8; scores.len() * states];
    for output in 0..scores.len() {
        // From the last state on, so that each reads what its predecessors were one output ago.
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

/// When outputs are, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputTimes {
    /// From one frame to the next.
    pub frame_shift: f64,
    /// Frames an output; it is about its first one.
    pub subsampling: f64,
    /// How far a label reaches into the blanks before and behind it, at most to the middle between two labels.
    pub reach: f64,
}

impl OutputTimes {
    /// Outputs of labels, as [`best_path`] gives them, to when these sound, none beyond `frames`.
    pub fn sound(self, outputs: &[Range<usize>], frames: usize) -> Vec<TimedPhone<usize>> {
        let end = frames as f64 * self.frame_shift;
        // An output's first frame is its middle.
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
        // What is not likely anywhere is still somewhere, and no two share an output.
        let found = path(&likely(&[2; 4], 3), &[0, 1, 0]).unwrap();
        assert!(found.iter().all(|r| r.len() == 1));
        assert!(found.windows(2).all(|two| two[0].end <= two[1].start));
    }

    /// Against all paths.
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
                let mut said = path.clone();
                said.dedup();
                said.retain(|&label| label != 2);
                if said == string {
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
        let found = times.sound(&[1..2, 3..4, 9..10], 40);
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
