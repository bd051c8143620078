//! The best path through the lags of all frames: high correlation, small steps (Viterbi).

use super::PitchOptions;

/// What a lag and a step cost.
#[derive(Debug, Clone)]
pub(super) struct Tracker {
    /// For each state, what its correlation counts: 1 less `soft_min_f0 * lag`.
    weights: Vec<f64>,
    /// Price of a step of one state; n states cost n^2 of it.
    step: f64,
}

impl Tracker {
    /// Costs for lags in seconds (Ghahremani et al. 2014, eq. 5 and 6).
    pub(super) fn new(options: &PitchOptions, lags: &[f64]) -> Self {
        let weight = |lag: &f64| 1.0 - options.soft_min_f0 * lag;
        Self {
            weights: lags.iter().map(weight).collect(),
            step: options.penalty_factor * options.delta_pitch.ln_1p().powi(2),
        }
    }

    /// A path that is still to come.
    pub(super) fn start(&self) -> Path<'_> {
        let states = self.weights.len();
        Path {
            tracker: self,
            costs: vec![0.0; states],
            next: vec![0.0; states],
            back: BackPointers::new(states),
            envelope: Envelope::default(),
        }
    }
}

/// A path on its way.
#[derive(Debug)]
pub(super) struct Path<'a> {
    tracker: &'a Tracker,
    /// Of the best path to each state.
    costs: Vec<f64>,
    next: Vec<f64>,
    back: BackPointers,
    envelope: Envelope,
}

impl Path<'_> {
    /// Takes the correlations of the next frame, one a state.
    pub(super) fn step(&mut self, correlations: &[f64]) {
        self.envelope.build(&self.costs, self.tracker.step);
        let states = correlations.iter().zip(&self.tracker.weights);
        let mut piece = 0;
        self.back.next_frame();
        for (state, (correlation, weight)) in states.enumerate() {
            let from = self.envelope.lowest(state, &mut piece);
            let apart = state as f64 - from as f64;
            let cost = self.costs[from] + self.tracker.step * apart * apart;
            self.next[state] = cost + 1.0 - correlation * weight;
            self.back.set(state, from);
        }
        // Only differences matter: without this the costs would grow and lose their small digits.
        let least = self.next.iter().copied().fold(f64::INFINITY, f64::min);
        self.next.iter_mut().for_each(|cost| *cost -= least);
        std::mem::swap(&mut self.costs, &mut self.next);
    }

    /// Frames whose states have not been given yet.
    pub(super) fn frames(&self) -> usize {
        self.back.frames()
    }

    /// The states of the first frames, as far as no later frame can change them; they are forgotten here. Since paths do
    /// not cross, that is up to where those of the lowest and the highest state come together.
    pub(super) fn settled(&mut self) -> Vec<u16> {
        let (mut lowest, mut highest) = (0, self.costs.len() - 1);
        for frame in (0..self.back.frames()).rev() {
            if lowest == highest {
                let path = self.back.path(frame, lowest);
                self.back.forget(frame + 1);
                return path;
            }
            lowest = self.back.get(frame, lowest);
            highest = self.back.get(frame, highest);
        }
        Vec::new()
    }

    /// The states of the frames that are left.
    pub(super) fn finish(self) -> Vec<u16> {
        let state = (0..self.costs.len())
            .min_by(|&a, &b| self.costs[a].total_cmp(&self.costs[b]))
            .unwrap_or(0);
        match self.back.frames() {
            0 => Vec::new(),
            frames => self.back.path(frames - 1, state),
        }
    }
}

/// For each frame and state, the state before: paths of least cost do not cross, so that it grows with the state and takes
/// two bits (Elias 1974). Bit `state + before` is set.
#[derive(Debug)]
struct BackPointers {
    /// Of each frame.
    words: usize,
    bits: Vec<u64>,
}

impl BackPointers {
    fn new(states: usize) -> Self {
        Self {
            words: (2 * states).div_ceil(64).max(1),
            bits: Vec::new(),
        }
    }

    fn frames(&self) -> usize {
        self.bits.len() / self.words
    }

    fn next_frame(&mut self) {
        self.bits.resize(self.bits.len() + self.words, 0);
    }

    /// Sets a state's pointer in the last frame.
    fn set(&mut self, state: usize, before: usize) {
        let bit = state + before;
        let start = self.bits.len() - self.words;
        self.bits[start + bit / 64] |= 1 << (bit % 64);
    }

    /// The states of all frames up to one, in which it is `state`. There are never as many states as u16 holds.
    fn path(&self, last: usize, mut state: usize) -> Vec<u16> {
        let mut path = vec![0; last + 1];
        for (frame, place) in path.iter_mut().enumerate().rev() {
            *place = state as u16;
            state = self.get(frame, state);
        }
        path
    }

    /// Forgets the first frames.
    fn forget(&mut self, frames: usize) {
        self.bits.drain(..frames * self.words);
    }

    fn get(&self, frame: usize, state: usize) -> usize {
        let mut left = state;
        for (at, &word) in self.bits[frame * self.words..].iter().enumerate() {
            let count = word.count_ones() as usize;
            if left < count {
                let word = (0..left).fold(word, |word, _| word & (word - 1));
                return 64 * at + word.trailing_zeros() as usize - state;
            }
            left -= count;
        }
        0
    }
}

/// The lower envelope of parabolas of one width over the states: which state is the best to come from, for all
/// states in linear time (Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", 2012).
#[derive(Debug, Default)]
struct Envelope {
    /// States whose parabola is part of the envelope, and from where on.
    pieces: Vec<(usize, f64)>,
}

impl Envelope {
    fn build(&mut self, costs: &[f64], step: f64) {
        self.pieces.clear();
        for (state, &cost) in costs.iter().enumerate() {
            loop {
                let Some(&(last, from)) = self.pieces.last() else {
                    self.pieces.push((state, f64::NEG_INFINITY));
                    break;
                };
                let (a, b) = (last as f64, state as f64);
                let meet = (cost - costs[last]) / (2.0 * step * (b - a)) + (a + b) / 2.0;
                if meet > from {
                    self.pieces.push((state, meet));
                    break;
                }
                self.pieces.pop();
            }
        }
    }

    /// The lowest parabola at `state`; `piece` is where the last answer lay, and states come in order.
    fn lowest(&self, state: usize, piece: &mut usize) -> usize {
        while (self.pieces.get(*piece + 1)).is_some_and(|(_, from)| *from < state as f64) {
            *piece += 1;
        }
        self.pieces[*piece].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_the_minimum_over_all_states() {
        let mut envelope = Envelope::default();
        for seed in 1..40u32 {
            let costs: Vec<f64> = (0..90u32)
                .map(|i| f64::from((i + seed).wrapping_mul(2_654_435_761) >> 16) / 65536.0)
                .collect();
            let step = 10f64.powi(-(seed as i32 % 5));
            envelope.build(&costs, step);
            let mut piece = 0;
            for state in 0..costs.len() {
                let cost = |from: usize| costs[from] + step * (state as f64 - from as f64).powi(2);
                let found = envelope.lowest(state, &mut piece);
                let least = (0..90).map(cost).fold(f64::INFINITY, f64::min);
                assert!((cost(found) - least).abs() < 1e-12, "{seed} {state}");
            }
        }
    }

    #[test]
    fn pointers_that_grow_take_two_bits() {
        let states = 300;
        let mut back = BackPointers::new(states);
        let before = |frame: usize, state: usize| (state * (frame + 1) / 7).min(states - 1);
        for frame in 0..20 {
            back.next_frame();
            (0..states).for_each(|state| back.set(state, before(frame, state)));
        }
        assert_eq!((back.frames(), back.bits.len()), (20, 20 * 10));
        for (frame, state) in (0..20).flat_map(|frame| (0..states).map(move |state| (frame, state)))
        {
            assert_eq!(
                back.get(frame, state),
                before(frame, state),
                "{frame} {state}"
            );
        }
    }

    #[test]
    fn states_that_are_given_early_are_those_of_the_end() {
        let lags: Vec<f64> = (0..100).map(|i| 0.0025 * 1.005f64.powi(i)).collect();
        let tracker = Tracker::new(&PitchOptions::default(), &lags);
        let (mut whole, mut early) = (tracker.start(), tracker.start());
        let mut given = Vec::new();
        for frame in 0..3000usize {
            let peak = 50.0 + 40.0 * (frame as f64 / 40.0).sin();
            let noise = |state: usize| {
                ((frame * 100 + state).wrapping_mul(2_654_435_761) % 1000) as f64 / 4000.0
            };
            let value =
                |state: usize| noise(state) + 0.7 * (-(state as f64 - peak).abs() / 5.0).exp();
            let correlations: Vec<f64> = (0..100).map(value).collect();
            whole.step(&correlations);
            early.step(&correlations);
            if early.frames() == 200 {
                given.extend(early.settled());
                assert!(early.frames() < 200, "{frame}");
            }
        }
        assert!(given.len() > 2000);
        given.extend(early.finish());
        assert_eq!(given, whole.finish());
    }

    #[test]
    fn a_lone_peak_is_not_worth_the_way() {
        let lags: Vec<f64> = (0..100).map(|i| 0.0025 * 1.005f64.powi(i)).collect();
        let tracker = Tracker::new(&PitchOptions::default(), &lags);
        let mut path = tracker.start();
        for frame in 0..9 {
            let mut correlations = vec![0.0; 100];
            correlations[20] = 0.9;
            correlations[if frame == 4 { 95 } else { 20 }] = 0.91;
            path.step(&correlations);
        }
        assert_eq!(path.finish(), [20; 9]);
    }
}
