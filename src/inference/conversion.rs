//! The conversion check: utterances decoded with the speaker embedding of another speaker. Probes trained on real features
//! measure the speaker and the words of the result. The check shows that the decoder follows the speaker embedding, not
//! that the phonetic codes are free of speaker information.

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
use crate::dataset::pitch::Pitch;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::audio::Waveform;
use crate::io::kaldi::TableWriter;
use crate::method::DisentangledModel;
use crate::nn::Mask;
use crate::signal::Resynthesis;
use crate::signal::pitch::F0Contour;

/// The target speakers of a conversion.
#[derive(Debug, Clone, Copy)]
pub struct ConversionOptions {
    /// Target speakers per utterance, other than its own (at most all).
    pub target_speakers: usize,
    /// Seed of the choice of target speakers, and of the utterance for each speaker embedding.
    pub seed: u64,
}

/// An utterance, and the utterance of the target speaker, as indices.
struct Pair {
    source: usize,
    target: usize,
}

/// Converts the utterances of the data directory `data` to target speakers and writes a data directory `out`: `feats.scp`
/// (normalised features, as decoders write them), `utt2spk` with the target speaker, `utt2src` with the source speaker, and
/// `text` where `data` has one. Utterances are named `TARGET_SPEAKER-UTTERANCE`.
///
/// Utterances with a result that is not finite are left out and reported in [`Extracted::failed`].
///
/// # Errors
/// Errors of reading the data, `pitch.scp` too where the decoder reads pitch, and of writing; [`Error::Format`] for a
/// directory with a single speaker.
pub fn convert_corpus(
    model: &dyn DisentangledModel,
    normalisation: &Normalisation,
    device: Device,
    data: &Path,
    out: &Path,
    options: ConversionOptions,
) -> Result<Extracted> {
    let dir = DataDir::open(data)?;
    if dir.speakers().len() < 2 {
        return Err(Error::format(
            data,
            "at least 2 speakers for conversion",
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
    let table = (model.reads_pitch())
        .then(|| Pitch::open(dir.path()))
        .transpose()?;
    let pitch = |utterance: usize| -> Result<Option<Array2<f32>>> {
        let id = &dir.utterances()[utterance];
        let of = |table: &Pitch| table.contour(id, feats.read_shape(id)?.0);
        let contour = table.as_ref().map(of).transpose()?;
        Ok(contour.map(|contour| normalisation.pitch(&contour)))
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
        let (source, pitch) = (read(pair.source)?, pitch(pair.source)?);
        let source = (&source, pitch.as_ref());
        let decoded = convert_features(model, device, source, &read(pair.target)?)?;
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

/// Decodes the codes of `source`, and its pitch `[frames, 2]` ([`Normalisation::pitch`]) where the decoder reads it, with the
/// speaker embedding of `target`; all features are normalised, `[frames, bins]`.
///
/// # Errors
/// As [`DisentangledModel::embeds`] and [`DisentangledModel::decode`]; [`Error::Option`] for pitch of another length.
pub fn convert_features(
    model: &dyn DisentangledModel,
    device: Device,
    (source, pitch): (&Array2<f32>, Option<&Array2<f32>>),
    target: &Array2<f32>,
) -> Result<Array2<f32>> {
    if let Some(found) = pitch.map(Array2::nrows).filter(|&f| f != source.nrows()) {
        let expected = format!("{} frames, as the features", source.nrows());
        return Err(Error::option("pitch", expected, found.to_string()));
    }
    let tensor = |feats: &Array2<f32>| -> (Tensor, Mask) {
        let frames = feats.nrows() as i64;
        (
            pad(&[feats], frames).to(device),
            Mask::new(&[frames], device),
        )
    };
    no_grad(|| {
        let ((source, mask), (target, target_mask)) = (tensor(source), tensor(target));
        let (codes, _) = model.codes(&source, &mask)?;
        let embeds = model.embeds(&target, &target_mask)?;
        let pitch = pitch.map(|pitch| tensor(pitch).0);
        let decoded = model.decode(&codes, &embeds, pitch.as_ref(), &mask)?;
        Ok(rows(&decoded, mask.lengths()).remove(0))
    })
}

/// The pitch contour of `source`, both recordings at the front-end's rate, with the mean and deviation of log F0 of `target`.
/// Where one of them has no voiced frame, the contour of `source` stays as it is, with a warning.
///
/// # Errors
/// As [`Resynthesis::contour`].
pub fn convert_contour(
    resynthesis: &Resynthesis,
    source: &Waveform,
    target: &Waveform,
) -> Result<F0Contour> {
    let contour = resynthesis.contour(&source.samples)?;
    let wanted = resynthesis.contour(&target.samples)?;
    match (contour.statistics(), wanted.statistics()) {
        (Some(from), Some(to)) => return Ok(contour.moved(from, to)),
        (None, _) => log::warn!("SOURCE has no voiced frame: the result is a whisper"),
        (_, None) => log::warn!("TARGET has no voiced frame: the result has the pitch of SOURCE"),
    }
    Ok(contour)
}

/// Draws the target speakers of every utterance; in the order of the keys.
fn draw(dir: &DataDir, options: ConversionOptions) -> Vec<Pair> {
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
            let target = spoken[speaker][place];
            pairs.push(Pair { source, target });
        }
    }
    pairs.sort_by_key(|pair| (dir.speaker_indices()[pair.target], pair.source));
    pairs
}

fn key(dir: &DataDir, pair: &Pair) -> String {
    format!(
        "{}-{}",
        speaker(dir, pair.target),
        dir.utterances()[pair.source]
    )
}

fn speaker(dir: &DataDir, utterance: usize) -> &str {
    &dir.speakers()[dir.speaker_indices()[utterance] as usize]
}

/// Writes the tables. An older `utt2spk` is removed before `finish` completes the archive, and the new one is written last,
/// so that a folder with files of two runs is not a data directory.
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
        let _ = writeln!(utt2spk, "{key} {}", speaker(dir, pair.target));
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
