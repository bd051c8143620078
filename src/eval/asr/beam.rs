//! Decoding of scores per frame to a sequence of labels: the best path, or a prefix beam search (Hannun et al. 2014), which
//! sums over the paths of each prefix and may use a language model.

use std::collections::HashMap;

use super::arpa::{Arpa, Word};
use crate::dataset::label_kind::SPACE;
use crate::error::{Error, Result};

/// Labels that are less likely than a frame's best by more than this many nats are pruned.
const LABEL_BEAM: f32 = 12.0;

/// The search.
#[derive(Debug)]
pub enum Search {
    /// The best label of every frame.
    Greedy,
    /// The best sequence.
    Prefixes {
        /// Sequences that are kept per frame, at least 1.
        beam: usize,
        /// The language model.
        language: Option<Language>,
    },
}

impl Search {
    /// The best sequence for `log_probs`: per frame the natural logarithm of each label's probability, the blank last.
    pub fn string(&self, log_probs: &[&[f32]]) -> Vec<usize> {
        match self {
            Self::Greedy => greedy(log_probs),
            Self::Prefixes { beam, language } => {
                Prefixes::new(language.as_ref()).search(log_probs, *beam)
            }
        }
    }
}

fn greedy(log_probs: &[&[f32]]) -> Vec<usize> {
    let best = |frame: &&[f32]| {
        let best = frame.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.map_or(0, |(label, _)| label)
    };
    let mut path: Vec<usize> = log_probs.iter().map(best).collect();
    path.dedup();
    path.retain(|&label| label + 1 != log_probs[0].len());
    path
}

/// How labels make the words of a language model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spelling {
    /// Each label is a word.
    Words,
    /// Labels are characters, with [`SPACE`] between words.
    Characters,
}

/// A language model over the labels of a recogniser.
#[derive(Debug)]
pub struct Language {
    model: Arpa,
    weight: f64,
    bonus: f64,
    labels: Vec<Label>,
}

#[derive(Debug)]
enum Label {
    Word(Word),
    Character(char),
    Space,
}

impl Language {
    /// A model whose log-probabilities are multiplied by `weight` and added to the recogniser's. `bonus`, in nats, is added
    /// per word and balances the cost of words.
    ///
    /// # Errors
    /// [`Error::Key`] for a label that is a word which the model lacks, where it has no `<unk>`.
    pub fn new(
        model: Arpa,
        labels: &[String],
        spelling: Spelling,
        (weight, bonus): (f64, f64),
    ) -> Result<Self> {
        let label = |label: &String| match spelling {
            Spelling::Characters if label == SPACE => Ok(Label::Space),
            // Only labels of characters have a space.
            Spelling::Characters => Ok(Label::Character(label.chars().next().unwrap_or(' '))),
            Spelling::Words if model.contains(label) || model.contains("<unk>") => {
                Ok(Label::Word(model.word(label)))
            }
            Spelling::Words => {
                let expected = "a 1-gram for this label of the recogniser (or for <unk>)";
                Err(Error::key(model.path(), label, expected, "none"))
            }
        };
        let labels = labels.iter().map(label).collect::<Result<_>>()?;
        Ok(Self {
            labels,
            model,
            weight,
            bonus,
        })
    }

    fn begin(&self) -> LanguageState {
        LanguageState {
            context: vec![self.model.word("<s>")],
            ..LanguageState::default()
        }
    }

    /// The state after one more label.
    fn extend(&self, state: &LanguageState, label: usize) -> LanguageState {
        match self.labels[label] {
            Label::Word(word) => self.add(state, word),
            Label::Space => self.complete(state),
            Label::Character(character) => {
                let mut state = state.clone();
                state.begun.push(character);
                state
            }
        }
    }

    /// Completes the begun word.
    fn complete(&self, state: &LanguageState) -> LanguageState {
        match state.begun.is_empty() {
            true => state.clone(),
            false => self.add(state, self.model.word(&state.begun)),
        }
    }

    fn add(&self, state: &LanguageState, word: Word) -> LanguageState {
        let mut context = state.context.clone();
        context.push(word);
        LanguageState {
            nats: state.nats + self.nats(&state.context, word) + self.bonus,
            context: self.model.state(&context).to_vec(),
            begun: String::new(),
        }
    }

    /// The score of the sequence if it ends here, in nats.
    fn end(&self, state: &LanguageState) -> f64 {
        let state = self.complete(state);
        state.nats + self.nats(&state.context, self.model.word("</s>"))
    }

    fn nats(&self, context: &[Word], word: Word) -> f64 {
        let log10 = f64::from(self.model.log10(context, word));
        self.weight * std::f64::consts::LN_10 * log10
    }
}

/// The state of the language model after a sequence of labels.
#[derive(Debug, Clone, Default)]
struct LanguageState {
    /// Its weighted log-probability and bonus.
    nats: f64,
    context: Vec<Word>,
    /// Characters since the last word.
    begun: String,
}

/// A tree of sequences: each node is its parent's with one more label.
struct Prefixes<'a> {
    language: Option<&'a Language>,
    nodes: Vec<Node>,
    children: HashMap<(usize, usize), usize>,
}

struct Node {
    parent: usize,
    label: Option<usize>,
    state: LanguageState,
}

/// A sequence of the beam, and the log-probability of all its paths up to now: those that end in the blank, and those that
/// end in its last label.
#[derive(Clone, Copy)]
struct Followed {
    node: usize,
    blank: f64,
    label: f64,
}

impl Followed {
    fn total(self) -> f64 {
        log_sum(self.blank, self.label)
    }
}

impl<'a> Prefixes<'a> {
    fn new(language: Option<&'a Language>) -> Self {
        let root = Node {
            parent: 0,
            label: None,
            state: language.map(Language::begin).unwrap_or_default(),
        };
        Self {
            language,
            nodes: vec![root],
            children: HashMap::new(),
        }
    }

    fn search(mut self, log_probs: &[&[f32]], beam: usize) -> Vec<usize> {
        let mut followed = vec![Followed {
            node: 0,
            blank: 0.0,
            label: f64::NEG_INFINITY,
        }];
        for frame in log_probs {
            followed = self.step(&followed, frame);
            let rank = |f: &Followed| f.total() + self.nodes[f.node].state.nats;
            followed.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then(a.node.cmp(&b.node)));
            followed.truncate(beam);
        }
        let end = |f: &Followed| {
            let state = &self.nodes[f.node].state;
            f.total() + self.language.map_or(0.0, |language| language.end(state))
        };
        let best = followed.iter().max_by(|a, b| end(a).total_cmp(&end(b)));
        self.string(best.map_or(0, |f| f.node))
    }

    /// One frame: each sequence stays as it is, by the blank or its last label again, or gets one more label.
    fn step(&mut self, followed: &[Followed], frame: &[f32]) -> Vec<Followed> {
        let (blank, labels) = (frame.len() - 1, &frame[..frame.len() - 1]);
        let best = frame.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let likely = labels.iter().enumerate();
        let likely: Vec<(usize, f64)> = likely
            .filter(|(_, nats)| **nats > best - LABEL_BEAM)
            .map(|(label, &nats)| (label, f64::from(nats)))
            .collect();
        let mut next = Next::default();
        for &from in followed {
            let last = self.nodes[from.node].label;
            next.at(from.node)
                .blank_add(from.total() + f64::from(frame[blank]));
            if let Some(last) = last {
                next.at(from.node)
                    .label_add(from.label + f64::from(labels[last]));
            }
            for &(label, nats) in &likely {
                // Two equal labels need a blank between them.
                let before = if last == Some(label) {
                    from.blank
                } else {
                    from.total()
                };
                let child = self.child(from.node, label);
                next.at(child).label_add(before + nats);
            }
        }
        next.followed
    }

    fn child(&mut self, parent: usize, label: usize) -> usize {
        let new = self.nodes.len();
        let node = *self.children.entry((parent, label)).or_insert(new);
        if node == new {
            let state = &self.nodes[parent].state;
            let state = self.language.map(|language| language.extend(state, label));
            self.nodes.push(Node {
                parent,
                label: Some(label),
                state: state.unwrap_or_default(),
            });
        }
        node
    }

    fn string(&self, mut node: usize) -> Vec<usize> {
        let mut string = Vec::new();
        while let Some(label) = self.nodes[node].label {
            string.push(label);
            node = self.nodes[node].parent;
        }
        string.reverse();
        string
    }
}

/// The sequences of the next frame, in the order in which they were found.
#[derive(Default)]
struct Next {
    followed: Vec<Followed>,
    places: HashMap<usize, usize>,
}

impl Next {
    fn at(&mut self, node: usize) -> &mut Followed {
        let place = *self.places.entry(node).or_insert(self.followed.len());
        if place == self.followed.len() {
            self.followed.push(Followed {
                node,
                blank: f64::NEG_INFINITY,
                label: f64::NEG_INFINITY,
            });
        }
        &mut self.followed[place]
    }
}

impl Followed {
    fn blank_add(&mut self, nats: f64) {
        self.blank = log_sum(self.blank, nats);
    }

    fn label_add(&mut self, nats: f64) {
        self.label = log_sum(self.label, nats);
    }
}

/// `ln(e^a + e^b)`.
fn log_sum(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    match high == f64::NEG_INFINITY {
        true => high,
        false => high + (low - high).exp().ln_1p(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::arpa::tests::{MODEL, read};
    use super::*;
    use crate::eval::edits::collapse;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn rows(values: &[f32], width: usize) -> Vec<&[f32]> {
        values.chunks(width).collect()
    }

    /// Log-probabilities of `labels` labels and the blank.
    fn drawn(frames: usize, labels: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = Vec::new();
        for _ in 0..frames {
            let row: Vec<f32> = (0..=labels).map(|_| rng.random::<f32>() * 3.0).collect();
            let sum: f32 = row.iter().map(|x| x.exp()).sum();
            rows.extend(row.iter().map(|x| x - sum.ln()));
        }
        rows
    }

    /// The best sequence by the sum over all its paths.
    fn by_hand(frames: &[&[f32]], score: impl Fn(&[i64]) -> f64) -> Vec<usize> {
        let width = frames[0].len();
        let mut sums: HashMap<Vec<i64>, f64> = HashMap::new();
        for mut number in 0..width.pow(frames.len() as u32) {
            let mut nats = 0.0;
            let mut path = Vec::new();
            for frame in frames {
                path.push((number % width) as i64);
                nats += f64::from(frame[number % width]);
                number /= width;
            }
            let string = collapse(&path, width as i64 - 1);
            let sum = sums.entry(string).or_insert(f64::NEG_INFINITY);
            *sum = log_sum(*sum, nats);
        }
        let ranked = sums
            .into_iter()
            .map(|(string, nats)| (nats + score(&string), string));
        let best = ranked.max_by(|a, b| a.0.total_cmp(&b.0));
        best.unwrap()
            .1
            .into_iter()
            .map(|label| label as usize)
            .collect()
    }

    #[test]
    fn a_wide_search_finds_the_best_string() {
        for seed in 0..20 {
            let values = drawn(6, 2, seed);
            let frames = rows(&values, 3);
            let search = Search::Prefixes {
                beam: 1000,
                language: None,
            };
            assert_eq!(search.string(&frames), by_hand(&frames, |_| 0.0), "{seed}");
        }
    }

    #[test]
    fn a_language_model_changes_the_result() {
        let labels = ["one", "two"].map(String::from);
        let model = read(MODEL).unwrap();
        let numbers = labels.each_ref().map(|label| model.word(label));
        let score = |string: &[i64]| {
            let mut context = vec![model.word("<s>")];
            let mut nats = 0.0;
            for &label in string {
                nats += 0.2;
                let word = numbers[label as usize];
                nats += 0.8 * std::f64::consts::LN_10 * f64::from(model.log10(&context, word));
                context.push(word);
            }
            let end = f64::from(model.log10(&context, model.word("</s>")));
            nats + 0.8 * std::f64::consts::LN_10 * end
        };
        let mut changed = 0;
        for seed in 0..20 {
            let values = drawn(5, 2, seed);
            let frames = rows(&values, 3);
            let weights = (0.8, 0.2);
            let language = Language::new(read(MODEL).unwrap(), &labels, Spelling::Words, weights);
            let search = Search::Prefixes {
                beam: 1000,
                language: Some(language.unwrap()),
            };
            let found = search.string(&frames);
            assert_eq!(found, by_hand(&frames, score), "{seed}");
            changed += usize::from(found != by_hand(&frames, |_| 0.0));
        }
        assert!(changed > 3, "{changed}");
    }

    #[test]
    fn characters_are_put_together_to_words() {
        let labels = [SPACE, "e", "n", "o", "t", "w"].map(String::from);
        let weights = (1.0, 0.0);
        let language = Language::new(read(MODEL).unwrap(), &labels, Spelling::Characters, weights);
        let language = language.unwrap();
        let spell = |text: &str| {
            text.chars().fold(language.begin(), |state, character| {
                let label = match character {
                    ' ' => SPACE.to_string(),
                    other => other.to_string(),
                };
                let label = labels.iter().position(|own| *own == label).unwrap();
                language.extend(&state, label)
            })
        };
        // <s> one, <s> one two, and the end after "one two", whatever spaces there are.
        let expected = (-0.3 - 0.05 - 0.25 - 0.4) * std::f64::consts::LN_10;
        for text in ["one two", " one two ", "one  two"] {
            let found = language.end(&spell(text));
            assert!((found - expected).abs() < 1e-5, "{text}: {found}");
        }
        assert!(language.end(&spell("onetwo")) < expected);
    }

    #[test]
    fn the_best_path_is_the_greedy_answer() {
        let values = [
            -0.1f32, -3.0, -3.0, -0.1, -3.0, -3.0, -3.0, -3.0, -0.1, -0.2, -2.0, -3.0,
        ];
        assert_eq!(Search::Greedy.string(&rows(&values, 3)), [0, 0]);
    }

    #[test]
    fn a_word_that_the_model_lacks_is_refused() {
        let text = MODEL
            .replace("-2.0\t<unk>\n", "")
            .replace("ngram 1=5", "ngram 1=4");
        let labels = ["one", "three"].map(String::from);
        let error = Language::new(read(&text).unwrap(), &labels, Spelling::Words, (1.0, 0.0));
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("three") && error.contains("found none"),
            "{error}"
        );
    }
}
