//! The swap check: the words of one utterance decoded with the voice of another. Probes trained on real
//! features say whose voice and which words came out. It proves that the decoder obeys the speaker representation, not
//! that the phonetic representation is clean.

use std::fmt::Write;
use std::path::Path;

use ndarray::Array2;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor, no_grad};

use super::extract::{Extracted, check_finite, pad, rows};
use crate::dataset::DataDir;
use crate::dataset::normalisation::Normalisation;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::kaldi::TableWriter;
use crate::method::DisentangledModel;
use crate::nn::Mask;

/// Whose target_speakers an utterance gets.
#[derive(Debug, Clone, Copy)]
pub struct SwapOptions {
    /// Other speakers for each utterance (at most all).
    pub target_speakers: usize,
    /// Chooses them, and the utterance that lends each voice.
    pub seed: u64,
}

/// One utterance to decode with another's voice.
struct Pair {
    source: usize,
    voice: usize,
}

/// Decodes the utterances of the data directory `data` with other speakers' target_speakers and writes a data directory
/// `out`: `feats.scp` (features as the networks see them), `utt2spk` with the lent voice, `utt2src` with the
/// voice that spoke, `text` where `data` has one. Utterances are named `VOICE-UTTERANCE`.
///
/// What a network makes no finite numbers of is told in [`Extracted::failed`] and left out.
///
/// # Errors
/// What data and disk say; [`Error::Format`] for a directory with a single speaker.
pub fn swap(
    model: &dyn DisentangledModel,
    normalisation: &Normalisation,
    device: Device,
    data: &Path,
    out: &Path,
    options: SwapOptions,
) -> Result<Extracted> {
    let dir = DataDir::open(data)?;
    if dir.speakers().len() < 2 {
        return Err(Error::format(
            data,
            "at least 2 speakers to swap",
            dir.speakers().len().to_string(),
        ));
    }
    let feats = dir.feats()?;
    let read = |utterance: usize| -> Result<Array2<f32>> {
        let id = &dir.utterances()[utterance];
        let matrix = feats.get(id)?;
        let fits = matrix.ncols() == normalisation.bins() && matrix.nrows() > 0;
        if !fits || matrix.iter().any(|value| !value.is_finite()) {
            let expected = format!("finite features of {} bins", normalisation.bins());
            return Err(Error::key(
                feats.path(),
                id,
                expected,
                format!("{:?}", matrix.dim()),
            ));
        }
        Ok(normalisation.apply(matrix))
    };
    let pairs = draw(&dir, options);
    atomic::create_dir_all(out)?;
    let name = |file: &str| out.join(file).display().to_string();
    let mut writer = TableWriter::create(&format!(
        "ark,scp:{},{}",
        name("feats.ark"),
        name("feats.scp")
    ))?;
    let (mut written, mut failed) = (Vec::new(), Vec::new());
    for pair in pairs {
        let decoded = lend(model, device, &read(pair.source)?, &read(pair.voice)?)?;
        match check_finite(&key(&dir, &pair), &decoded) {
            Err(error) => failed.push(error),
            Ok(()) => {
                writer.write(&key(&dir, &pair), &decoded)?;
                written.push(pair);
            }
        }
    }
    write_lists(&dir, &written, out, || writer.finish())?;
    Ok(Extracted {
        written: written.len(),
        failed,
    })
}

/// The words of `source` with the voice of `voice`, features as the networks see them, `[frames, bins]`.
///
/// # Errors
/// [`Error::Option`] for a method without a speaker representation or a decoder.
pub fn lend(
    model: &dyn DisentangledModel,
    device: Device,
    source: &Array2<f32>,
    voice: &Array2<f32>,
) -> Result<Array2<f32>> {
    let tensor = |feats: &Array2<f32>| -> (Tensor, Mask) {
        let frames = feats.nrows() as i64;
        (
            pad(&[feats], frames).to(device),
            Mask::new(&[frames], device),
        )
    };
    no_grad(|| {
        let ((source, mask), (voice, voice_mask)) = (tensor(source), tensor(voice));
        let (codes, _) = model.codes(&source, &mask)?;
        let embeds = model.embeds(&voice, &voice_mask)?;
        let decoded = model.decode(&codes, &embeds, &mask)?;
        Ok(rows(&decoded, mask.lengths()).remove(0))
    })
}

/// Every utterance with some other speakers, in the order of their keys.
fn draw(dir: &DataDir, options: SwapOptions) -> Vec<Pair> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let speakers = dir.speaker_indices();
    let mut spoken = vec![Vec::new(); dir.speakers().len()];
    for (utterance, &speaker) in speakers.iter().enumerate() {
        spoken[speaker as usize].push(utterance);
    }
    let mut pairs = Vec::new();
    for (source, &own) in speakers.iter().enumerate() {
        let mut others: Vec<usize> = (0..spoken.len()).filter(|&s| s != own as usize).collect();
        others.shuffle(&mut rng);
        for speaker in others.into_iter().take(options.target_speakers) {
            let place = rng.random_range(0..spoken[speaker].len());
            let voice = spoken[speaker][place];
            pairs.push(Pair { source, voice });
        }
    }
    pairs.sort_by_key(|pair| (dir.speaker_indices()[pair.voice], pair.source));
    pairs
}

fn key(dir: &DataDir, pair: &Pair) -> String {
    format!(
        "{}-{}",
        speaker(dir, pair.voice),
        dir.utterances()[pair.source]
    )
}

fn speaker(dir: &DataDir, utterance: usize) -> &str {
    &dir.speakers()[dir.speaker_indices()[utterance] as usize]
}

/// Around what `finish` does to the archive `utt2spk` goes first and comes last, so that a folder with files of two runs is
/// no data directory.
fn write_lists(
    dir: &DataDir,
    pairs: &[Pair],
    out: &Path,
    finish: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let (mut utt2spk, mut utt2src, mut text) = (String::new(), String::new(), String::new());
    for pair in pairs {
        let key = key(dir, pair);
        // Writing to a String cannot fail.
        let _ = writeln!(utt2spk, "{key} {}", speaker(dir, pair.voice));
        let _ = writeln!(utt2src, "{key} {}", speaker(dir, pair.source));
        if let Some(words) = dir.text(&dir.utterances()[pair.source]) {
            let _ = writeln!(text, "{key} {words}");
        }
    }
    let head = atomic::filled(&out.join("utt2spk"), utt2spk)?;
    head.withdraw_older()?;
    finish()?;
    atomic::write(out.join("utt2src"), utt2src)?;
    let words = atomic::filled(&out.join("text"), &text)?;
    match text.is_empty() {
        true => words.withdraw_older()?,
        false => words.commit()?,
    }
    head.commit()
}
