//! A made corpus: speakers with a spectral tilt of their own, words and frame classes with patterns of theirs.

use std::fs;
use std::path::Path;

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unbraid::io::kaldi::TableWriter;

/// Its size. Lengths vary a little around `frames`.
#[derive(Debug, Clone, Copy)]
pub struct Corpus {
    pub speakers: usize,
    pub utterances: usize,
    pub frames: usize,
    pub bins: usize,
    /// Of the noise: training and test set differ in nothing else.
    pub seed: u64,
}

impl Default for Corpus {
    fn default() -> Self {
        Self {
            speakers: 4,
            utterances: 4,
            frames: 30,
            bins: 20,
            seed: 0,
        }
    }
}

/// Words of the corpus, in rotation.
const WORDS: [&str; 2] = ["no", "yes"];
/// Frames that a class lasts, and classes.
const HOLD: usize = 8;
pub const CLASSES: usize = 3;

impl Corpus {
    /// Writes `utt2spk`, `text`, `utt2phones`, `feats.{ark,scp}` and `ali.{ark,scp}` in `folder`.
    pub fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let table = |name: &str| {
            let path = folder.join(name).display().to_string();
            format!("ark,scp:{path}.ark,{path}.scp")
        };
        let mut feats = TableWriter::<Array2<f32>>::create(&table("feats")).unwrap();
        let mut alignments = TableWriter::<Vec<i32>>::create(&table("ali")).unwrap();
        let (mut speakers, mut texts) = (String::new(), String::new());
        let mut strings = String::new();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        for (speaker, utterance) in self.places() {
            let key = key(speaker, utterance);
            let classes = self.classes(utterance);
            feats
                .write(&key, &self.feats(speaker, &classes, &mut rng))
                .unwrap();
            alignments.write(&key, &classes).unwrap();
            speakers += &format!("{key} s{speaker:02}\n");
            texts += &format!("{key} {}\n", WORDS[utterance % WORDS.len()]);
            let mut string = classes;
            string.dedup();
            let string: Vec<String> = string.iter().map(|class| format!("p{class}")).collect();
            strings += &format!("{key} {}\n", string.join(" "));
        }
        feats.finish().unwrap();
        alignments.finish().unwrap();
        fs::write(folder.join("utt2spk"), speakers).unwrap();
        fs::write(folder.join("text"), texts).unwrap();
        fs::write(folder.join("utt2phones"), strings).unwrap();
    }

    /// Speaker and utterance numbers, in the order of the keys.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let utterances = self.utterances;
        (0..self.speakers).flat_map(move |speaker| (0..utterances).map(move |u| (speaker, u)))
    }

    /// The class of every frame; the word decides their order.
    pub fn classes(&self, utterance: usize) -> Vec<i32> {
        let frames = self.frames + 3 * (utterance % 3);
        let turned = utterance % WORDS.len() == 1;
        let class = |frame: usize| (frame / HOLD) % CLASSES;
        (0..frames)
            .map(|frame| match turned {
                true => (CLASSES - 1 - class(frame)) as i32,
                false => class(frame) as i32,
            })
            .collect()
    }

    fn feats(&self, speaker: usize, classes: &[i32], rng: &mut ChaCha8Rng) -> Array2<f32> {
        Array2::from_shape_fn((classes.len(), self.bins), |(frame, bin)| {
            let tilt = (bin * (speaker + 1)) as f32 * 0.7;
            let shape = (bin as i32 * 2 + 5 * classes[frame]) as f32;
            tilt.sin() + shape.cos() + rng.random_range(-0.5..0.5)
        })
    }
}

/// Name of an utterance.
pub fn key(speaker: usize, utterance: usize) -> String {
    format!("s{speaker:02}-u{utterance:03}")
}
