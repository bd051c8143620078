//! Extraction with a trained model: codes per frame, embeddings per utterance, means per utterance or per speaker.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use ndarray::{Array1, Array2, Array3, Axis, concatenate, s};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::{Device, Tensor, no_grad};

use super::origin::Origin;
use crate::dataset::feats::not_finite;
use crate::dataset::normalisation::Normalisation;
use crate::dataset::sampler::pack_by_length;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::io::kaldi::{KaldiObject, TableReader, TableWriter, WriteSpecifier, WriteTo, file_of};
use crate::io::lines::read_table;
use crate::io::lock::Lock;
use crate::io::scratch::Scratch;
use crate::method::DisentangledModel;
use crate::nn::Mask;

/// The representation to extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Representation {
    /// The phonetic encoder's codes: a matrix `[codes, code_dim]`.
    Phonetic,
    /// The speaker encoder's embedding: a vector `[embedding_dim]` of length 1.
    Speaker,
    /// The encoders' input, normalised features: a matrix `[frames, bins]`.
    Features,
    /// Features decoded from both representations of the utterance: a matrix `[frames, bins]`.
    Reconstruction,
}

/// Averaging of the representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// No averaging.
    None,
    /// One vector per utterance: the mean over its frames.
    Utterance,
    /// One vector per speaker: the mean over the utterances' vectors.
    Speaker,
}

/// The most utterances in memory, from which batches of similar length are formed; and the most values, for waveforms.
pub(crate) const WINDOW: usize = 512;
const WINDOW_VALUES: usize = 1 << 25;
/// The most frames per batch, with padding.
pub(crate) const BATCH_FRAMES: usize = 8192;

/// An extraction that can be resumed.
#[derive(Debug)]
pub struct Extraction<'a> {
    /// The trained networks.
    pub model: &'a dyn DisentangledModel,
    /// Their normalisation of features.
    pub normalisation: &'a Normalisation,
    /// The device of their parameters.
    pub device: Device,
    /// The representation to extract.
    pub representation: Representation,
    /// How it is averaged.
    pub pool: Pool,
}

/// An utterance, and its features `[frames, bins]` at each speed that it was read at.
pub type Readings = (String, Vec<Array2<f32>>);

/// An utterance and its representation; a vector is a matrix of one row.
type ExtractedRow = (String, Array2<f32>);

/// A running extraction.
pub struct Session<'a> {
    extraction: Extraction<'a>,
    route: ExtractPaths<'a>,
    parts: Parts,
    done: HashSet<String>,
    /// Of the CPU, where there are several: each takes a batch at a time, which is faster than to share each batch.
    threads: Option<ThreadPool>,
    window: Vec<Readings>,
    /// Values in the window.
    held: usize,
    /// What the networks made of the window before, not yet written.
    made: Vec<ExtractedRow>,
    failed: Vec<Error>,
}

impl Session<'_> {
    /// Takes one utterance. Representations at several speeds are concatenated, scaled so that embeddings keep length 1. An
    /// utterance that cannot be read or does not fit the model is reported in [`Extracted::failed`].
    ///
    /// # Errors
    /// Errors of writing; [`Error::Key`] for an utterance without a speaker.
    pub fn take(&mut self, entry: Result<Readings>) -> Result<()> {
        if let (Ok((key, _)), Some(speakers)) = (&entry, self.route.speakers) {
            speakers.of(key)?;
        }
        let bins = self.extraction.normalisation.bins();
        match entry.and_then(|(key, readings)| {
            let fit = readings
                .iter()
                .try_for_each(|feats| accept(&key, feats, bins));
            fit.map(|()| (key, readings))
        }) {
            Ok((key, _)) if self.done.contains(&key) => {}
            Ok((key, readings)) => {
                self.held += readings.iter().map(Array2::len).sum::<usize>();
                self.window.push((key, readings));
            }
            Err(error) => self.failed.push(error),
        }
        if self.window.len() == WINDOW || self.held > WINDOW_VALUES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Runs the networks on the window, while what they made of the one before is written.
    fn flush(&mut self) -> Result<()> {
        self.held = 0;
        let window = std::mem::take(&mut self.window);
        let (extraction, threads) = (&self.extraction, self.threads.as_ref());
        let (parts, made) = (&mut self.parts, &self.made);
        let (found, written) = thread::scope(|scope| {
            let writer = scope.spawn(|| parts.add(made));
            let found = extraction.extract(window, threads);
            (
                found,
                writer.join().unwrap_or_else(|panic| resume_unwind(panic)),
            )
        });
        written?;
        self.made.clear();
        for found in found? {
            match found {
                Ok(representation) => self.made.push(representation),
                Err(error) => self.failed.push(error),
            }
        }
        Ok(())
    }

    /// Writes the target, unless every utterance failed.
    ///
    /// # Errors
    /// Errors of writing; the target is written completely or not at all.
    pub fn finish(mut self) -> Result<Extracted> {
        self.flush()?;
        self.parts.add(&self.made)?;
        let written = match self.parts.count {
            0 => 0,
            _ => self.extraction.assemble(&self.parts, &self.route)?,
        };
        self.parts.remove();
        Ok(Extracted {
            written,
            failed: self.failed,
        })
    }
}

/// The result of an extraction.
#[derive(Debug, Default)]
pub struct Extracted {
    /// Number of written utterances, including those of an earlier run.
    pub written: usize,
    /// The error of every utterance that failed.
    pub failed: Vec<Error>,
}

/// The speaker of each utterance, and the file of the table.
#[derive(Debug)]
pub struct Speakers {
    path: PathBuf,
    by_utterance: HashMap<String, String>,
}

impl Speakers {
    /// Reads `utt2spk`.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Line`] naming the file.
    pub fn read(path: &Path) -> Result<Self> {
        let entries = read_table(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            by_utterance: entries.into_iter().map(|e| (e.key, e.value)).collect(),
        })
    }

    fn of(&self, utterance: &str) -> Result<&str> {
        self.by_utterance
            .get(utterance)
            .map(String::as_str)
            .ok_or_else(|| {
                let expected = "a speaker for this utterance";
                Error::key(&self.path, utterance, expected, "none")
            })
    }
}

/// Source and target of an extraction.
#[derive(Debug, Clone, Copy)]
pub struct ExtractPaths<'a> {
    /// The files of the model, which identify the extraction: its weights and the files beside them, or a module.
    pub model: &'a [PathBuf],
    /// The read specifier; identifies the extraction too.
    pub source: &'a str,
    /// The write specifier.
    pub target: &'a str,
    /// The sample rate that audio is resampled to; identifies the extraction too.
    pub resample_hz: Option<u32>,
    /// The speeds that each utterance is read at, which identify the extraction too; none: once, as it is.
    pub speeds: &'a [f64],
    /// `utt2spk`, for means per speaker.
    pub speakers: Option<&'a Speakers>,
    /// Whether to resume an interrupted run.
    pub resume: bool,
}

impl<'a> Extraction<'a> {
    /// The options that its parts depend on, besides model and inputs, by name.
    fn options(&self, route: &ExtractPaths) -> Map<String, Value> {
        let options = [
            ("representation", json!(self.representation)),
            ("pool", json!(self.pool)),
            ("resample_hz", json!(route.resample_hz)),
            ("speeds", json!(route.speeds)),
        ];
        options
            .map(|(name, value)| (name.to_string(), value))
            .into_iter()
            .collect()
    }

    /// Opens the route's target.
    ///
    /// Finished work is kept in parts, each written atomically, in the folder `TARGET.parts`; they become the target at the
    /// end.
    ///
    /// # Errors
    /// [`Error::Option`] for a wrong specifier; [`Error::Key`] when the parts are of another extraction; errors of reading
    /// the model's files.
    pub fn start(self, route: ExtractPaths<'a>) -> Result<Session<'a>> {
        let options = self.options(&route);
        let origin = Origin::of(route.model, route.source, options)?;
        let parts = Parts::open(&origin, &route)?;
        let threads = match (self.device, tch::get_num_threads()) {
            (Device::Cpu, several @ 2..) => Some(alone_in_libtorch(several as usize)?),
            _ => None,
        };
        Ok(Session {
            done: parts.keys()?,
            extraction: self,
            route,
            parts,
            threads,
            window: Vec::new(),
            held: 0,
            made: Vec::new(),
            failed: Vec::new(),
        })
    }

    /// The representation of every utterance of a window, in order, or its error. Batches are shared among `threads`.
    fn extract(
        &self,
        window: Vec<Readings>,
        threads: Option<&ThreadPool>,
    ) -> Result<Vec<Result<ExtractedRow>>> {
        let (keys, counts): (Vec<String>, Vec<usize>) = window
            .iter()
            .map(|(key, readings)| (key.clone(), readings.len()))
            .unzip();
        let mut readings: Vec<Array2<f32>> =
            window.into_iter().flat_map(|(_, feats)| feats).collect();
        let frames: Vec<usize> = (readings.iter())
            .map(|feats| self.normalisation.frames(feats.nrows()))
            .collect();
        let places = pack_by_length((0..frames.len()).collect(), &frames, BATCH_FRAMES);
        let mut taken = |&place: &usize| std::mem::take(&mut readings[place]);
        let batches: Vec<Vec<Array2<f32>>> = (places.iter())
            .map(|places| places.iter().map(&mut taken).collect())
            .collect();
        let shared = Shared(self);
        let found: Vec<_> = match threads {
            Some(threads) if batches.len() > 1 => threads.install(|| {
                let batches = batches.into_par_iter();
                batches.map(|batch| shared.pooled(batch)).collect()
            }),
            _ => (batches.into_iter().map(|batch| shared.pooled(batch))).collect(),
        };
        for (places, found) in places.iter().zip(found) {
            for (&place, representation) in places.iter().zip(found?) {
                readings[place] = representation;
            }
        }
        let mut representations = readings.into_iter();
        let joined = keys.into_iter().zip(counts).map(|(key, count)| {
            let own = representations.by_ref().take(count).collect();
            let joined = side_by_side(&key, own)?;
            check_finite(&key, &joined)?;
            Ok((key, joined))
        });
        Ok(joined.collect())
    }

    /// The representations of features as they were read, each averaged as is wanted.
    fn pooled(&self, batch: Vec<Array2<f32>>) -> Result<Vec<Array2<f32>>> {
        let seen = batch
            .into_iter()
            .map(|feats| self.normalisation.apply(feats));
        let seen: Vec<_> = seen.collect();
        let pool = |representation: Array2<f32>| match self.pool {
            Pool::None => representation,
            Pool::Utterance | Pool::Speaker => representation
                .mean_axis(Axis(0))
                .unwrap_or_default()
                .insert_axis(Axis(0)),
        };
        Ok(self.forward(&seen)?.into_iter().map(pool).collect())
    }

    /// The representation of one utterance, from its features `[frames, bins]`; a vector is a matrix of one row.
    ///
    /// # Errors
    /// [`Error::Key`] for results that are not finite; as the model.
    pub(super) fn of_one(&self, feats: Array2<f32>) -> Result<Array2<f32>> {
        let (_, found) = self
            .extract(vec![("recording".into(), vec![feats])], None)?
            .remove(0)?;
        Ok(found)
    }

    fn forward(&self, batch: &[Array2<f32>]) -> Result<Vec<Array2<f32>>> {
        let lengths: Vec<i64> = batch.iter().map(|feats| feats.nrows() as i64).collect();
        let mask = Mask::new(&lengths, self.device);
        let batch: Vec<&Array2<f32>> = batch.iter().collect();
        let feats = pad(&batch, mask.frames()).to(self.device);
        let model = self.model;
        no_grad(|| {
            Ok(match self.representation {
                Representation::Features => rows(&feats, &lengths),
                Representation::Speaker => {
                    let embeds = model.embeds(&feats, &mask)?.unsqueeze(2);
                    rows(&embeds, &vec![1; lengths.len()])
                }
                Representation::Phonetic => {
                    let (codes, code_mask) = model.codes(&feats, &mask)?;
                    rows(&codes, code_mask.lengths())
                }
                Representation::Reconstruction => {
                    let (codes, _) = model.codes(&feats, &mask)?;
                    let embeds = model.embeds(&feats, &mask)?;
                    rows(&model.decode(&codes, &embeds, None, &mask)?, &lengths)
                }
            })
        })
    }

    /// Writes the parts as one table.
    fn assemble(&self, parts: &Parts, route: &ExtractPaths) -> Result<usize> {
        if self.pool == Pool::Speaker {
            return speaker_means(parts, route);
        }
        if self.pool == Pool::Utterance || self.representation == Representation::Speaker {
            return copy(
                parts,
                TableWriter::<Array1<f32>>::create(route.target)?,
                |matrix| matrix.row(0).to_owned(),
            );
        }
        copy(
            parts,
            TableWriter::<Array2<f32>>::create(route.target)?,
            |matrix| matrix,
        )
    }
}

/// An extraction that several threads run.
struct Shared<'a>(&'a Extraction<'a>);

// SAFETY: forward passes without gradients only read the weights, which libtorch allows from several threads at once.
unsafe impl Sync for Shared<'_> {}

impl Shared<'_> {
    fn pooled(&self, batch: Vec<Array2<f32>>) -> Result<Vec<Array2<f32>>> {
        self.0.pooled(batch)
    }
}

/// Threads whose operations of libtorch run in themselves alone.
fn alone_in_libtorch(count: usize) -> Result<ThreadPool> {
    let threads = ThreadPoolBuilder::new()
        .num_threads(count)
        .start_handler(|_| tch::set_num_threads(1));
    let refused = |error: ThreadPoolBuildError| {
        Error::option("--threads", "threads of the system", error.to_string())
    };
    threads.build().map_err(refused)
}

/// Concatenates the representations of an utterance at several speeds; rows of length 1 give rows of length 1.
///
/// # Errors
/// [`Error::Key`] for matrices of different lengths, as codes of different speeds are.
fn side_by_side(key: &str, mut representations: Vec<Array2<f32>>) -> Result<Array2<f32>> {
    if representations.len() == 1 {
        return Ok(representations.remove(0));
    }
    let views: Vec<_> = representations.iter().map(Array2::view).collect();
    let joined = concatenate(Axis(1), &views).map_err(|error| {
        let expected = "the same number of rows at each speed";
        Error::key("features", key, expected, error.to_string())
    })?;
    Ok(joined / (representations.len() as f32).sqrt())
}

fn copy<T: KaldiObject>(
    parts: &Parts,
    mut writer: TableWriter<T>,
    shape: impl Fn(Array2<f32>) -> T,
) -> Result<usize> {
    let mut written = 0;
    for entry in parts.entries() {
        let (key, matrix) = entry?;
        writer.write(&key, &shape(matrix))?;
        written += 1;
    }
    writer.finish()?;
    Ok(written)
}

fn speaker_means(parts: &Parts, route: &ExtractPaths) -> Result<usize> {
    let speakers = route
        .speakers
        .ok_or_else(|| Error::option("--pool speaker", "--utt2spk FILE with it", "none"))?;
    let mut sums: BTreeMap<&str, (Array1<f64>, f64)> = BTreeMap::new();
    for entry in parts.entries() {
        let (key, vector) = entry?;
        let speaker = speakers.of(&key)?;
        let vector = vector.row(0).mapv(f64::from);
        let (sum, count) = sums
            .entry(speaker)
            .or_insert_with(|| (Array1::zeros(vector.len()), 0.0));
        *sum += &vector;
        *count += 1.0;
    }
    let mut writer = TableWriter::<Array1<f32>>::create(route.target)?;
    for (speaker, (sum, count)) in &sums {
        writer.write(speaker, &sum.mapv(|value| (value / count) as f32))?;
    }
    writer.finish()?;
    Ok(sums.len())
}

/// The file that a write specifier names first; none for standard output, pipes and devices.
fn target_file(specifier: &str) -> Result<Option<String>> {
    Ok(match WriteSpecifier::parse(specifier)?.to {
        WriteTo::Ark(file) | WriteTo::ArkScp(file, _)
            if file == "-" || file.is_empty() || file.starts_with('|') =>
        {
            None
        }
        WriteTo::Ark(file) | WriteTo::ArkScp(file, _) | WriteTo::Foreign(_, file) => {
            let is_other = std::fs::metadata(&file).is_ok_and(|found| !found.is_file());
            (!is_other).then_some(file)
        }
        WriteTo::Scp(_) => None,
    })
}

/// Checks before the work that an archive and its list can be written.
fn try_target(specifier: &str) -> Result<()> {
    let names = match WriteSpecifier::parse(specifier)?.to {
        WriteTo::ArkScp(archive, list) => vec![archive, list],
        WriteTo::Ark(file) | WriteTo::Scp(file) => vec![file],
        // A prefix; its folder is checked when the first part is written.
        WriteTo::Foreign(..) => Vec::new(),
    };
    let mut files = names.iter().filter_map(|name| file_of(name));
    files.try_for_each(atomic::try_place)
}

/// The folder of finished parts, `TARGET.parts`; a temporary one when the target is no file.
struct Parts {
    folder: PathBuf,
    count: usize,
    /// Prevents another process from extracting to the same target.
    _lock: Option<Lock>,
    _temporary: Option<Scratch>,
}

impl Drop for Parts {
    /// Removes a folder without parts.
    fn drop(&mut self) {
        if self.count == 0 {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Parts {
    fn open(origin: &Origin, route: &ExtractPaths) -> Result<Self> {
        let Some(file) = target_file(route.target)? else {
            let temporary = std::env::temp_dir();
            let folder = Scratch::folder(&temporary).map_err(Error::io(&temporary))?;
            return Ok(Self {
                folder: folder.path().to_path_buf(),
                count: 0,
                _lock: None,
                _temporary: Some(folder),
            });
        };
        try_target(route.target)?;
        let folder = PathBuf::from(format!("{file}.parts"));
        let lock = Lock::take(Path::new(&file), PathBuf::from(format!("{file}.lock")))?;
        if !route.resume && folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(Error::io(&folder))?;
        }
        if !folder.exists() {
            std::fs::create_dir(&folder).map_err(Error::io(&folder))?;
        }
        let note = folder.join("origin.json");
        let json = serde_json::to_string(origin).unwrap_or_default();
        match std::fs::read_to_string(&note) {
            Ok(found) => origin.check(&folder, &found)?,
            Err(_) => atomic::write(&note, json)?,
        }
        let mut parts = Self {
            folder,
            count: 0,
            _lock: Some(lock),
            _temporary: None,
        };
        while parts.name(parts.count).exists() {
            parts.count += 1;
        }
        Ok(parts)
    }

    fn name(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:06}.ark"))
    }

    /// Writes a part, unless there is nothing to write.
    fn add(&mut self, representations: &[ExtractedRow]) -> Result<()> {
        if representations.is_empty() {
            return Ok(());
        }
        let mut writer = TableWriter::<Array2<f32>>::create(&format!(
            "ark:{}",
            self.name(self.count).display()
        ))?;
        for (key, representation) in representations {
            writer.write(key, representation)?;
        }
        writer.finish()?;
        self.count += 1;
        Ok(())
    }

    fn entries(&self) -> impl Iterator<Item = Result<ExtractedRow>> {
        let names: Vec<PathBuf> = (0..self.count).map(|index| self.name(index)).collect();
        names.into_iter().flat_map(|name| {
            let entries: Box<dyn Iterator<Item = Result<ExtractedRow>>> =
                match TableReader::open(&format!("ark:{}", name.display())) {
                    Ok(reader) => Box::new(reader),
                    Err(error) => Box::new(std::iter::once(Err(error))),
                };
            entries
        })
    }

    fn keys(&self) -> Result<HashSet<String>> {
        self.entries().map(|entry| Ok(entry?.0)).collect()
    }

    fn remove(&self) {
        // Remaining parts do no harm: a later run checks their origin.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Checks that features fit a network for `bins`.
///
/// # Errors
/// [`Error::Key`] naming utterance `key`.
pub(crate) fn accept(key: &str, feats: &Array2<f32>, bins: usize) -> Result<()> {
    let refuse =
        |expected: String, found: String| Err(Error::key("features", key, expected, found));
    if feats.ncols() != bins {
        return refuse(format!("{bins} bins"), feats.ncols().to_string());
    }
    if feats.nrows() == 0 {
        return refuse("at least one frame".into(), "none".into());
    }
    match not_finite(feats) {
        Some(value) => refuse("finite features".into(), value.to_string()),
        None => Ok(()),
    }
}

/// Refuses the output of a network for utterance `key` where it is not finite, as for features with huge values.
///
/// # Errors
/// [`Error::Key`] naming the utterance.
pub fn check_finite(key: &str, made: &Array2<f32>) -> Result<()> {
    match not_finite(made) {
        Some(value) => {
            let expected = "features for which the model's output is finite";
            Err(Error::key("features", key, expected, value.to_string()))
        }
        None => Ok(()),
    }
}

/// `[batch, bins, frames]`, padded with zeros at the end; in memory the bins of a frame lie together, as convolutions on a CPU
/// like it.
pub(crate) fn pad(batch: &[&Array2<f32>], frames: i64) -> Tensor {
    let bins = batch.first().map_or(0, |feats| feats.ncols());
    let mut padded = Array3::<f32>::zeros((batch.len(), frames as usize, bins));
    for (mut to, feats) in padded.outer_iter_mut().zip(batch) {
        to.slice_mut(s![..feats.nrows(), ..]).assign(feats);
    }
    Tensor::from_slice(padded.as_slice().unwrap_or_default())
        .view([batch.len() as i64, frames, bins as i64])
        .transpose(1, 2)
}

/// The first `lengths` frames of each of `[batch, dim, frames]`, as `[frames, dim]`.
pub(crate) fn rows(batch: &Tensor, lengths: &[i64]) -> Vec<Array2<f32>> {
    let dim = batch.size()[1];
    let batch = batch.to(Device::Cpu).transpose(1, 2).contiguous();
    let one = |(index, &length): (i64, &i64)| {
        let mut values = vec![0f32; (length * dim) as usize];
        let count = values.len();
        batch.get(index).copy_data(&mut values, count);
        Array2::from_shape_vec((length as usize, dim as usize), values).unwrap_or_default()
    };
    (0..).zip(lengths).map(one).collect()
}
