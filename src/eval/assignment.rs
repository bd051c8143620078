//! One-to-one assignment of the greatest sum (Crouse 2016, "On implementing 2D rectangular assignment algorithms").

use ndarray::Array2;

/// Pairs of row and column with the greatest sum, each row and column once. What is missing for a square counts 0, so pairs
/// may lie outside. Of several best assignments it takes that of scipy's `linear_sum_assignment(maximize=True)`.
pub fn assign(gains: &Array2<usize>) -> Vec<(usize, usize)> {
    let size = gains.nrows().max(gains.ncols());
    let mut state = State {
        gains,
        row_price: vec![0; size],
        column_price: vec![0; size],
        column_of: vec![None; size],
        row_of: vec![None; size],
    };
    for row in 0..size {
        state.add(row);
    }
    let pairs = state.column_of.iter().enumerate();
    pairs
        .filter_map(|(row, column)| Some((row, (*column)?)))
        .collect()
}

/// A best assignment of some rows, with its dual variables.
struct State<'a> {
    gains: &'a Array2<usize>,
    row_price: Vec<i64>,
    column_price: Vec<i64>,
    column_of: Vec<Option<usize>>,
    row_of: Vec<Option<usize>>,
}

impl State<'_> {
    fn cost(&self, row: usize, column: usize) -> i64 {
        // Counts are far below the end of i64.
        let gain = self.gains.get((row, column)).copied().unwrap_or(0);
        -(gain as i64) - self.row_price[row] - self.column_price[column]
    }

    /// Assigns one more row, by the shortest augmenting path from it to a free column.
    fn add(&mut self, new: usize) {
        let size = self.row_of.len();
        let mut length = vec![i64::MAX; size];
        let mut before = vec![new; size];
        let mut reached = Vec::new();
        // From the last to the first: of equal costs that gives the diagonal.
        let mut left: Vec<usize> = (0..size).rev().collect();
        let (mut row, mut shortest) = (new, 0);
        let mut end = loop {
            let mut place = 0;
            let mut lowest = i64::MAX;
            for (at, &column) in left.iter().enumerate() {
                let through = shortest + self.cost(row, column);
                if through < length[column] {
                    (length[column], before[column]) = (through, row);
                }
                let free = self.row_of[column].is_none();
                if length[column] < lowest || (length[column] == lowest && free) {
                    (lowest, place) = (length[column], at);
                }
            }
            shortest = lowest;
            let column = left.swap_remove(place);
            reached.push(column);
            match self.row_of[column] {
                Some(owner) => row = owner,
                None => break column,
            }
        };
        self.row_price[new] += shortest;
        for &column in &reached {
            let slack = shortest - length[column];
            self.column_price[column] -= slack;
            if let Some(row) = self.row_of[column] {
                self.row_price[row] += slack;
            }
        }
        loop {
            let row = before[end];
            self.row_of[end] = Some(row);
            let previous = self.column_of[row].replace(end);
            match previous {
                Some(column) if row != new => end = column,
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_greedy_choice_is_not_taken() {
        // The greatest gain, 10, would cost 9 + 8.
        assert_eq!(assign(&array![[10, 9], [8, 0]]), [(0, 1), (1, 0)]);
        assert_eq!(assign(&array![[0, 0, 7], [0, 5, 9]])[..2], [(0, 2), (1, 1)]);
    }

    #[test]
    fn ties_are_broken_as_by_scipy() {
        assert_eq!(
            assign(&Array2::from_elem((3, 3), 2)),
            [(0, 0), (1, 1), (2, 2)]
        );
        assert_eq!(
            assign(&array![[1, 1, 0], [1, 1, 0], [0, 1, 1]]),
            [(0, 0), (1, 1), (2, 2)]
        );
        assert_eq!(assign(&Array2::zeros((0, 0))), []);
    }
}
