//! Sampling of batches. Batch number `n` of a seed is always the same, so the position of a run is its step, and
//! nothing else has to be saved.

use std::path::Path;

use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check_within};

/// Largest number of times that an utterance may occur in a batch.
const MOST_REPEATS: usize = 4;

/// How training batches are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SamplerOptions {
    /// A fixed number of utterances; each utterance once per epoch.
    Utterances {
        /// Utterances per batch.
        batch: usize,
    },
    /// Utterances of similar length, up to a number of frames; each utterance once per epoch.
    Frames {
        /// Frames per batch, including padding.
        frames: usize,
    },
    /// A fixed number of speakers, and of utterances of each. Needed by speaker losses that compare the utterances of a
    /// batch.
    Speakers {
        /// Speakers per batch.
        speakers: usize,
        /// Utterances per speaker.
        utterances: usize,
    },
}

impl SamplerOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Utterances { batch } => check_within("data.sampler.batch", batch, 1..=1 << 16),
            Self::Frames { frames } => check_within("data.sampler.frames", frames, 1..=1 << 24),
            Self::Speakers {
                speakers,
                utterances,
            } => {
                check_within("data.sampler.speakers", speakers, 1..=1 << 16)?;
                check_within("data.sampler.utterances", utterances, 2..=1 << 16)
            }
        }
    }
}

/// The utterances that batches are drawn from, by index.
#[derive(Debug, Clone, Default)]
pub struct Population {
    /// Frames of each utterance.
    pub frames: Vec<usize>,
    /// Indices of the utterances to draw from.
    pub utterances: Vec<usize>,
    /// The same for each speaker.
    pub by_speaker: Vec<Vec<usize>>,
    /// Names of the speakers, for messages.
    pub speakers: Vec<String>,
}

/// Draws batches.
#[derive(Debug)]
pub struct Sampler {
    options: SamplerOptions,
    /// A batch has so many parts of the size that the options say.
    parts: usize,
    population: Population,
    seed: u64,
    epoch: Option<Epoch>,
}

/// The batches of one epoch; the first has number `first`.
#[derive(Debug)]
struct Epoch {
    index: u64,
    first: u64,
    batches: Vec<Vec<usize>>,
}

impl Sampler {
    /// A sampler over `population`; `source` is named in errors.
    ///
    /// # Errors
    /// [`Error::Option`] when a batch needs more than there is; [`Error::Key`] for a speaker with a single utterance
    /// where another one of the same speaker is needed.
    pub fn new(
        options: SamplerOptions,
        population: Population,
        seed: u64,
        source: &Path,
    ) -> Result<Self> {
        Self::of_parts(options, population, seed, source, 1)
    }

    /// As [`Sampler::new`], for batches that are divided into `parts` ([`super::parts::Parts`]): each part has the size that
    /// `options` say. The utterances of a speaker stay in one part where a batch has a number of speakers.
    ///
    /// # Errors
    /// As [`Sampler::new`].
    pub fn of_parts(
        options: SamplerOptions,
        population: Population,
        seed: u64,
        source: &Path,
        parts: usize,
    ) -> Result<Self> {
        check(options, &population, source, parts)?;
        Ok(Self {
            options,
            parts,
            population,
            seed,
            epoch: None,
        })
    }

    /// The utterances of batch `number`, counted from 0 over all epochs.
    pub fn batch(&mut self, number: u64) -> Vec<usize> {
        let mut epoch = match self.epoch.take() {
            Some(epoch) if epoch.first <= number => epoch,
            _ => self.draw(0, 0),
        };
        while number >= epoch.first + epoch.batches.len() as u64 {
            epoch = self.draw(epoch.index + 1, epoch.first + epoch.batches.len() as u64);
        }
        let batch = epoch.batches[(number - epoch.first) as usize].clone();
        self.epoch = Some(epoch);
        batch
    }

    /// Draws an epoch of at least one batch.
    fn draw(&self, index: u64, first: u64) -> Epoch {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(index + 1);
        let batches = match self.options {
            SamplerOptions::Utterances { batch } => {
                self.draw_utterances(batch * self.parts, &mut rng)
            }
            SamplerOptions::Frames { frames } => self.draw_frames(frames, &mut rng),
            SamplerOptions::Speakers {
                speakers,
                utterances,
            } => self.draw_speakers(speakers * self.parts, utterances, &mut rng),
        };
        Epoch {
            index,
            first,
            batches,
        }
    }

    fn draw_utterances(&self, batch: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let mut order = self.population.utterances.clone();
        order.shuffle(rng);
        order.chunks(batch).map(<[usize]>::to_vec).collect()
    }

    fn draw_frames(&self, budget: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let mut order = self.population.utterances.clone();
        order.shuffle(rng);
        let mut batches = pack_parts(order, &self.population.frames, budget, self.parts);
        batches.shuffle(rng);
        batches
    }

    /// Each speaker once per epoch, without those that do not fill a last batch.
    fn draw_speakers(
        &self,
        speakers: usize,
        utterances: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.population.by_speaker.len()).collect();
        order.shuffle(rng);
        order
            .chunks_exact(speakers)
            .map(|chunk| {
                chunk
                    .iter()
                    .flat_map(|&speaker| {
                        draw_with_refill(&self.population.by_speaker[speaker], utterances, rng)
                    })
                    .collect()
            })
            .collect()
    }
}

/// Batches of at most `budget` frames, including padding, from `order` sorted by length (stable, so that a shuffled
/// order mixes equal lengths); a longer utterance is a batch of its own.
pub fn pack_by_length(order: Vec<usize>, frames: &[usize], budget: usize) -> Vec<Vec<usize>> {
    pack_parts(order, frames, budget, 1)
}

/// The same for batches of which each of `parts` has at most `budget` frames.
fn pack_parts(
    mut order: Vec<usize>,
    frames: &[usize],
    budget: usize,
    parts: usize,
) -> Vec<Vec<usize>> {
    let fits = |batch: &[usize], utterance: usize| {
        (batch.len() + 1).div_ceil(parts) * frames[utterance] <= budget
    };
    order.sort_by_key(|&utterance| frames[utterance]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for utterance in order {
        match batches.last_mut() {
            Some(batch) if fits(batch, utterance) => batch.push(utterance),
            _ => batches.push(vec![utterance]),
        }
    }
    batches
}

/// `count` of `from` without repeats, or as evenly repeated as possible if there are fewer.
fn draw_with_refill(from: &[usize], count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut drawn = Vec::with_capacity(count);
    while drawn.len() < count {
        drawn.extend(from.sample(rng, count - drawn.len()).copied());
    }
    drawn
}

fn check(
    options: SamplerOptions,
    population: &Population,
    source: &Path,
    parts: usize,
) -> Result<()> {
    if population.utterances.is_empty() {
        let expected = "utterances (of at most data.max_frames, where it is set)";
        return Err(Error::format(source, expected, "none"));
    }
    options.check()?;
    let SamplerOptions::Speakers {
        speakers,
        utterances,
    } = options
    else {
        return Ok(());
    };
    let (found, source_name) = (population.by_speaker.len(), source.display());
    if speakers * parts > found {
        let mut expected = format!("1 to {found}, the speakers of {source_name}");
        if parts > 1 {
            let most = found / parts;
            expected = format!(
                "1 to {most}, the {found} speakers of {source_name} over {parts} parts of a batch"
            );
        }
        return Err(Error::option(
            "data.sampler.speakers",
            expected,
            speakers.to_string(),
        ));
    }
    refuse_lone_utterances(population, source)?;
    let most = population
        .by_speaker
        .iter()
        .map(Vec::len)
        .max()
        .unwrap_or(0);
    if utterances > MOST_REPEATS * most {
        let expected = format!(
            "at most {}: speakers of {source_name} have {most} or less",
            MOST_REPEATS * most
        );
        return Err(Error::option(
            "data.sampler.utterances",
            expected,
            utterances.to_string(),
        ));
    }
    Ok(())
}

fn refuse_lone_utterances(population: &Population, source: &Path) -> Result<()> {
    let mut pairs = population.by_speaker.iter().zip(&population.speakers);
    match pairs.find(|(utterances, _)| utterances.len() == 1) {
        None => Ok(()),
        Some((_, speaker)) => {
            let expected = "at least 2 utterances (the sampler of speakers pairs them)";
            Err(Error::key(source.join("utt2spk"), speaker, expected, "1"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parts::Parts;
    use super::*;

    fn sampler(options: SamplerOptions) -> Sampler {
        let population = Population {
            frames: (0..50).map(|i| 10 + (i * 7) % 23).collect(),
            utterances: (0..50).collect(),
            by_speaker: (0..5).map(|s| (s * 10..s * 10 + 10).collect()).collect(),
            speakers: (0..5).map(|s| s.to_string()).collect(),
        };
        Sampler::new(options, population, 7, Path::new("data")).unwrap()
    }

    const ALL: [SamplerOptions; 3] = [
        SamplerOptions::Utterances { batch: 8 },
        SamplerOptions::Frames { frames: 100 },
        SamplerOptions::Speakers {
            speakers: 2,
            utterances: 4,
        },
    ];

    #[test]
    fn a_batch_is_a_function_of_its_number() {
        for options in ALL {
            let mut forwards = sampler(options);
            let first: Vec<_> = (0..60).map(|n| forwards.batch(n)).collect();
            let mut late = sampler(options);
            assert_eq!(late.batch(59), first[59]);
            assert_eq!(late.batch(3), first[3]);
            assert_ne!(first[0], first[30]);
        }
    }

    #[test]
    fn an_epoch_has_every_utterance_once() {
        for (options, batches) in [(ALL[0], 7), (ALL[1], 0)] {
            let mut sampler = sampler(options);
            let count = if batches == 0 {
                sampler.draw(0, 0).batches.len() as u64
            } else {
                batches
            };
            let mut drawn: Vec<usize> = (0..count).flat_map(|n| sampler.batch(n)).collect();
            drawn.sort_unstable();
            assert_eq!(drawn, (0..50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn frames_stay_within_the_budget() {
        let mut sampler = sampler(ALL[1]);
        for number in 0..40 {
            let batch = sampler.batch(number);
            let longest = batch
                .iter()
                .map(|&u| sampler.population.frames[u])
                .max()
                .unwrap();
            assert!(longest * batch.len() <= 100);
        }
    }

    #[test]
    fn batches_are_filled() {
        let sampler = sampler(ALL[1]);
        let frames = sampler.population.frames.clone();
        let batches = sampler.draw(0, 0).batches.clone();
        // Without padding 50 utterances of 10 to 32 frames need 11 batches; sorted by length, they need few more.
        let least = frames.iter().sum::<usize>().div_ceil(100);
        assert!(
            (least..=least + 3).contains(&batches.len()),
            "{} for {least}",
            batches.len()
        );
        for options in [ALL[0], ALL[2]] {
            let mut sampler = self::sampler(options);
            assert!(
                (0..6).all(|number| sampler.batch(number).len() == 8),
                "{options:?}"
            );
        }
    }

    #[test]
    fn speakers_come_in_groups_of_different_utterances() {
        let mut sampler = sampler(ALL[2]);
        for number in 0..20 {
            let batch = sampler.batch(number);
            for row in batch.chunks(4) {
                assert!(row.iter().all(|u| u / 10 == row[0] / 10));
                let distinct: std::collections::HashSet<_> = row.iter().collect();
                assert_eq!(distinct.len(), 4);
            }
            assert_ne!(batch[0] / 10, batch[4] / 10);
        }
    }

    #[test]
    fn a_batch_has_the_size_of_its_parts() {
        for options in ALL {
            let population = sampler(options).population;
            let mut sampler =
                Sampler::of_parts(options, population, 7, Path::new("data"), 2).unwrap();
            let parts = Parts::of_rank(0, 2, 1);
            for number in 0..20 {
                let batch = sampler.batch(number);
                for part in 0..2 {
                    let own = &batch[parts.places(part, batch.len()).0];
                    let frames = own.iter().map(|&u| sampler.population.frames[u]).max();
                    match options {
                        SamplerOptions::Utterances { .. } => assert!((1..=8).contains(&own.len())),
                        SamplerOptions::Frames { .. } => {
                            assert!(frames.unwrap() * own.len() <= 100)
                        }
                        SamplerOptions::Speakers { .. } => {
                            assert_eq!(own.len(), 8);
                            let of_one =
                                |four: &[usize]| four.iter().all(|u| u / 10 == four[0] / 10);
                            assert!(own.chunks(4).all(of_one));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn impossible_batches_are_errors() {
        let population = Population {
            frames: vec![1; 4],
            utterances: (0..4).collect(),
            by_speaker: vec![vec![0, 1], vec![2, 3]],
            speakers: vec!["a".into(), "b".into()],
        };
        let options = SamplerOptions::Speakers {
            speakers: 3,
            utterances: 2,
        };
        let refused = |options, parts| {
            let (population, source) = (population.clone(), Path::new("data/x"));
            let sampler = Sampler::of_parts(options, population, 0, source, parts);
            sampler.unwrap_err().to_string()
        };
        assert_eq!(
            refused(options, 1),
            "data.sampler.speakers: expected 1 to 2, the speakers of data/x, found 3"
        );
        assert_eq!(
            refused(options, 2),
            "data.sampler.speakers: expected 1 to 1, the 2 speakers of data/x over 2 parts of a batch, found 3"
        );
    }
}
