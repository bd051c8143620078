//! What is measured, checked before the work, and laid out in a temporary folder as data directories.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{AuditData, LOG_MEL};
use crate::dataset::alignment::rate::{Lengths, TOLERANCE, other_shift};
use crate::dataset::alignment::{
    FrameTimes, PhonesByUtterance, SILENCE, TimedPhone, classes, is_phone, read_alignment,
};
use crate::dataset::feats::Feats;
use crate::dataset::{RecordingOptions, Recordings, Segments, Table};
use crate::error::{Error, Result};
use crate::eval::attack::source::{Kind, Source};
use crate::eval::attack::speakers::SpeakerSet;
use crate::io::kaldi::{ReadSpecifier, RowSpool, ScpTable, TableWriter};
use crate::io::scratch::Scratch;
use crate::signal::{FbankOptions, FrontEnd};

/// The sample rate of the baseline.
const LOG_MEL_RATE_HZ: u32 = 16_000;
/// Its filters.
const LOG_MEL_BINS: usize = 80;
/// Of frames of 25 ms.
const LOG_MEL_TIMES: FrameTimes = FrameTimes {
    shift_ms: 10.0,
    first_ms: 12.5,
};
/// The fewest speakers of an attack: 4 that attackers learn from, 2 that are attacked.
pub(super) const ATTACK_SPEAKERS: usize = 6;

/// A representation of all utterances.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) name: String,
    /// A list, or a specifier with lookups.
    pub(super) place: String,
    pub(super) kind: Kind,
    pub(super) times: FrameTimes,
}

impl Measured {
    /// The same as a specifier.
    pub(super) fn specifier(&self) -> String {
        ReadSpecifier::of_place(&self.place).to_string()
    }

    /// The same as a path, as commands of lists take it.
    pub(super) fn path(&self) -> &Path {
        Path::new(&self.place)
    }
}

/// Phones of those utterances that have some.
#[derive(Debug)]
pub(super) struct Aligned {
    pub(super) path: PathBuf,
    pub(super) ids: Vec<String>,
    phones: PhonesByUtterance<String>,
    symbols: BTreeMap<String, i32>,
}

/// All inputs.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) folder: Scratch,
    pub(super) speakers: SpeakerSet,
    /// Utterances in the order of `utt2spk`.
    pub(super) ids: Vec<String>,
    /// Frames of each.
    pub(super) frames: Vec<usize>,
    pub(super) dims: usize,
    /// The first is that of the data; log-mel may follow.
    pub(super) measured: Vec<Measured>,
    text: Option<Table>,
    /// Utterances whose text is not theirs alone, or why there are none.
    pub(super) words: Result<Vec<String>, String>,
    pub(super) aligned: Option<Aligned>,
    /// Speakers that attackers learn from, and those that are attacked.
    pub(super) attacked: Option<(Vec<String>, Vec<String>)>,
    pub(super) notes: Vec<String>,
}

impl Inputs {
    pub(super) fn open(data: &AuditData, seed: u64) -> Result<Self> {
        let times = frame_times(data)?;
        let speakers = SpeakerSet::read(&data.utt2spk)?;
        if let (0..2, name) = speakers.fewest() {
            let expected = "at least 2 utterances of every speaker";
            return Err(Error::key(speakers.path(), name, expected, "1"));
        }
        let ids: Vec<String> = (0..speakers.len())
            .map(|at| speakers.key(at).to_string())
            .collect();
        let mut notes = Vec::new();
        let text = data.text.as_deref().map(Table::read).transpose()?;
        let words = match &text {
            None => Err("no --text".to_string()),
            Some(text) => repeated(text, &ids)?,
        };
        let phones = (data.alignments.as_deref())
            .map(|path| read_alignment(path, &data.tier))
            .transpose()?;
        let kind = Source::open(&data.features)?.kind();
        let (frames, dims) = scan(data, kind, &ids, &mut notes)?;
        let aligned = match (&data.alignments, phones) {
            (Some(path), Some(phones)) => {
                let aligned = Aligned::of(path, phones, &ids, &mut notes)?;
                if kind != Kind::Vectors {
                    let source = format!("the alignments of {}", path.display());
                    aligned.lengths(&ids, &frames).check(times, &source)?;
                }
                Some(aligned)
            }
            _ => None,
        };
        let measured = Measured {
            name: data.name.clone(),
            place: data.features.clone(),
            kind,
            times,
        };
        let temporary = std::env::temp_dir();
        let inputs = Self {
            folder: Scratch::folder(&temporary).map_err(Error::io(&temporary))?,
            attacked: attacked(&speakers, seed),
            speakers,
            ids,
            frames,
            dims,
            measured: vec![measured],
            text,
            words,
            aligned,
            notes,
        };
        Ok(inputs)
    }

    /// Computes log-mel features of all utterances, as one more representation.
    pub(super) fn add_log_mel(&mut self, wav_scp: &Path, segments: Option<&Path>) -> Result<()> {
        let table = Table::read(wav_scp)?;
        let recordings = match segments {
            Some(path) => Recordings::with_segments(&table, &Segments::read(path)?)?,
            None => Recordings::new(&table)?,
        };
        let front_end = FrontEnd::new(FbankOptions {
            num_mel_bins: LOG_MEL_BINS,
            sample_frequency: f64::from(LOG_MEL_RATE_HZ),
            ..FbankOptions::default()
        })?;
        let options = RecordingOptions {
            resample_hz: Some(LOG_MEL_RATE_HZ),
            ..RecordingOptions::default()
        };
        let place = self.path("log_mel");
        let list = format!("{}.scp", place.display());
        let names = format!("ark,scp:{}.ark,{list}", place.display());
        let mut writer = TableWriter::<Array2<f32>>::create(&names)?;
        let ids = self.ids.iter().map(String::as_str);
        let mut missing: HashMap<&str, usize> = ids.zip(self.frames.iter().copied()).collect();
        let mut lengths = Vec::new();
        recordings.for_each_stream(
            &options,
            |blocks| blocks.features(&front_end),
            |id, rows: Result<RowSpool>| match missing.remove(id) {
                Some(frames) => {
                    let rows = rows?;
                    lengths.push((LOG_MEL_TIMES.seconds(rows.rows()), frames));
                    writer.write_rows(id, rows)
                }
                None => Ok(()),
            },
        )?;
        if let Some(id) = self.ids.iter().find(|id| missing.contains_key(id.as_str())) {
            let list = segments.unwrap_or(wav_scp);
            return Err(Error::key(list, id, "audio of this utterance", "none"));
        }
        writer.finish()?;
        if let Some(own) = self
            .measured
            .first()
            .filter(|own| own.kind != Kind::Vectors)
        {
            let source = format!("the recordings of {}", wav_scp.display());
            check_rate(&lengths, own.times, &source)?;
        }
        self.measured.push(Measured {
            name: LOG_MEL.into(),
            place: list,
            kind: Kind::Matrices,
            times: LOG_MEL_TIMES,
        });
        Ok(())
    }

    /// An error that names a file of the temporary folder by its place in there: nobody can look at it.
    pub(super) fn without_folder(&self, mut error: Error) -> Error {
        if let Error::Format { path, .. } | Error::Key { path, .. } | Error::Line { path, .. } =
            &mut error
            && let Ok(inside) = path.strip_prefix(self.folder.path())
        {
            *path = inside.to_path_buf();
        }
        error
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A data directory of some utterances.
    pub(super) fn directory(&self, name: &str, ids: &[String]) -> Result<PathBuf> {
        let folder = self.path(name);
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let mut tables = vec![("utt2spk", self.speakers.table())];
        tables.extend(self.text.as_ref().map(|text| ("text", text)));
        for (file, table) in tables {
            let line = |id: &String| format!("{id} {}\n", table.get(id).unwrap_or_default());
            let lines: String = ids.iter().map(line).collect();
            let path = folder.join(file);
            fs::write(&path, lines).map_err(Error::io(&path))?;
        }
        Ok(folder)
    }

    /// The same with one phone per frame of a representation, `ali.scp`.
    pub(super) fn aligned_directory(
        &self,
        name: &str,
        measured: &Measured,
        ids: &[String],
    ) -> Result<PathBuf> {
        let folder = self.directory(name, ids)?;
        let Some(aligned) = &self.aligned else {
            return Ok(folder);
        };
        let ali = folder.join("ali");
        let names = format!("ark,scp:{0}.ark,{0}.scp", ali.display());
        let mut writer = TableWriter::<Vec<i32>>::create(&names)?;
        let feats = Feats::open(measured.path(), ids)?;
        for id in ids {
            let frames = feats.shape(id)?.0;
            writer.write(id, &aligned.classes(id, frames, measured.times)?)?;
        }
        writer.finish()?;
        Ok(folder)
    }

    /// The utterances of some speakers.
    pub(super) fn ids_of(&self, speakers: &[String]) -> Vec<String> {
        let table = self.speakers.table();
        let of = |id: &&String| {
            table
                .get(id)
                .is_some_and(|own| speakers.iter().any(|s| s == own))
        };
        self.ids.iter().filter(of).cloned().collect()
    }

    /// The speaker of an utterance, by number.
    pub(super) fn speaker(&self, id: &str) -> i32 {
        let name = self.speakers.table().get(id).unwrap_or_default();
        let place = self
            .speakers
            .names()
            .partition_point(|own| own.as_str() < name);
        // Far below the end of i32.
        place as i32
    }
}

impl Aligned {
    fn of(
        path: &Path,
        phones: PhonesByUtterance<String>,
        all: &[String],
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let (ids, without): (Vec<String>, Vec<String>) =
            all.iter().cloned().partition(|id| phones.contains_key(id));
        if ids.is_empty() {
            return Err(Error::format(
                path,
                "phones of the utterances of utt2spk",
                "none",
            ));
        }
        if let Some(first) = without.first() {
            let (path, count) = (path.display(), without.len());
            notes.push(format!(
                "{path}: no phones of {count} utterances, which phone measures leave out; the first is {first}"
            ));
        }
        let named = |id: &String| phones[id].iter().map(|phone| phone.phone.clone());
        let mut names: Vec<String> = ids.iter().flat_map(named).collect();
        if !names.iter().any(|name| is_phone(SILENCE, name)) {
            names.push(SILENCE.into());
        }
        names.sort();
        names.dedup();
        Ok(Self {
            path: path.to_path_buf(),
            symbols: names.into_iter().zip(0..).collect(),
            ids,
            phones,
        })
    }

    /// Whether an utterance has phones.
    pub(super) fn has(&self, id: &str) -> bool {
        self.phones.contains_key(id)
    }

    /// The phone of each of `frames` frames; between phones it is silence.
    pub(super) fn classes(&self, id: &str, frames: usize, times: FrameTimes) -> Result<Vec<i32>> {
        let mut own = Vec::new();
        for phone in self.phones.get(id).into_iter().flatten() {
            times.refuse_beyond(phone, &phone.phone, frames, (&self.path, id))?;
            own.push(TimedPhone {
                start: phone.start,
                duration: phone.duration,
                phone: self.symbols[&phone.phone],
            });
        }
        let silence = self
            .symbols
            .iter()
            .find(|(name, _)| is_phone(SILENCE, name));
        let outside = silence.map_or(0, |(_, class)| *class);
        Ok(classes(&own, frames, times, outside))
    }

    fn lengths(&self, ids: &[String], frames: &[usize]) -> Lengths {
        let mut lengths = Lengths::default();
        for (id, &frames) in ids.iter().zip(frames) {
            lengths.add(frames, self.phones.get(id).map_or(&[], Vec::as_slice));
        }
        lengths
    }
}

/// Refuses a frame shift by which features last longer or shorter than most recordings. `lengths` has seconds and frames.
fn check_rate(lengths: &[(f64, usize)], times: FrameTimes, source: &str) -> Result<()> {
    // Framing may lose a frame at the end.
    let median = |lost: f64| {
        let mut shifts: Vec<f64> = (lengths.iter())
            .map(|&(seconds, frames)| 1000.0 * seconds / (frames as f64 + lost))
            .collect();
        shifts.sort_by(f64::total_cmp);
        shifts
            .get(shifts.len() / 2)
            .copied()
            .unwrap_or(times.shift_ms)
    };
    let (most, least) = (median(0.0), median(1.0));
    match () {
        () if most < (1.0 - TOLERANCE) * times.shift_ms => Err(other_shift(most, times, source)),
        () if least > (1.0 + TOLERANCE) * times.shift_ms => Err(other_shift(least, times, source)),
        () => Ok(()),
    }
}

fn frame_times(data: &AuditData) -> Result<FrameTimes> {
    let (shift_ms, first_ms) = (
        data.frame_shift_ms,
        data.first_frame_ms.unwrap_or(data.frame_shift_ms / 2.0),
    );
    if !(f64::MIN_POSITIVE..1e6).contains(&shift_ms) || !(0.0..1e6).contains(&first_ms) {
        let expected = "milliseconds from 0, a shift above it";
        let found = format!("{shift_ms} and {first_ms}");
        return Err(Error::option(
            "--frame-shift-ms and --first-frame-ms",
            expected,
            found,
        ));
    }
    Ok(FrameTimes { shift_ms, first_ms })
}

/// The utterances whose text another one has too, of at least two texts; or why there are none.
fn repeated(text: &Table, ids: &[String]) -> Result<Result<Vec<String>, String>> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for id in ids {
        match text.get(id) {
            Some(words) => *counts.entry(words).or_default() += 1,
            None => return Err(Error::key(text.path(), id, "its text", "none")),
        }
    }
    let again = |id: &&String| text.get(id).is_some_and(|words| counts[words] > 1);
    Ok(match counts.values().filter(|count| **count > 1).count() {
        0 | 1 => Err("fewer than 2 lines of --text occur twice".into()),
        _ => Ok(ids.iter().filter(again).cloned().collect()),
    })
}

/// Frames of every utterance, and values per frame. Numbers are checked to be finite and to differ.
fn scan(
    data: &AuditData,
    kind: Kind,
    ids: &[String],
    notes: &mut Vec<String>,
) -> Result<(Vec<usize>, usize)> {
    let path = Path::new(&data.features);
    let wrong =
        |id: &str, expected: &str, found: String| Err(Error::key(path, id, expected, found));
    let mut frames = Vec::with_capacity(ids.len());
    let known: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let (mut dims, mut range) = (1, None::<(Vec<f32>, Vec<f32>)>);
    let table = ScpTable::<Vec<i32>>::open(path)?;
    let others = table
        .keys()
        .iter()
        .filter(|key| !known.contains(key.as_str()))
        .count();
    if others > 0 {
        let (path, from) = (path.display(), data.utt2spk.display());
        notes.push(format!(
            "{path}: {others} utterances that {from} lacks are left out"
        ));
    }
    let mut widen = |row: &[f32]| {
        let (low, high) = range.get_or_insert_with(|| (row.to_vec(), row.to_vec()));
        for ((low, high), value) in low.iter_mut().zip(high).zip(row) {
            *low = low.min(*value);
            *high = high.max(*value);
        }
    };
    if kind == Kind::Units {
        for id in ids {
            let units = table.get(id)?;
            if let Some(unit) = units.iter().find(|unit| **unit < 0) {
                return wrong(id, "units of 0 or more", unit.to_string());
            }
            units.iter().for_each(|unit| widen(&[*unit as f32]));
            frames.push(units.len());
        }
    } else {
        let feats = Feats::open(path, ids)?;
        dims = feats.shape(ids.first().map_or("", String::as_str))?.1;
        for id in ids {
            let rows = feats.checked(id, dims)?;
            rows.rows().into_iter().for_each(|row| widen(&row.to_vec()));
            frames.push(rows.nrows());
        }
    }
    if let Some(empty) = frames.iter().position(|frames| *frames == 0) {
        return wrong(&ids[empty], "at least one frame", "none".into());
    }
    let same = |low: &f32, high: &f32| high - low <= 1e-6 * high.abs().max(1.0);
    match range {
        Some((low, high)) if low.iter().zip(&high).any(|(low, high)| !same(low, high)) => {
            Ok((frames, dims))
        }
        _ => Err(Error::format(
            path,
            "features that differ between utterances",
            "constant ones",
        )),
    }
}

/// Half of the speakers, at least 2, are attacked by what is learned from the others, at least 4.
fn attacked(speakers: &SpeakerSet, seed: u64) -> Option<(Vec<String>, Vec<String>)> {
    let mut names = speakers.names().to_vec();
    if names.len() < ATTACK_SPEAKERS {
        return None;
    }
    names.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let test = names.split_off(names.len().div_ceil(2).max(ATTACK_SPEAKERS - 2));
    Some((names, test))
}

/// Keys as a set that sources share.
pub(super) fn among(ids: &[String]) -> Arc<HashSet<String>> {
    Arc::new(ids.iter().cloned().collect())
}
