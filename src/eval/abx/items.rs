//! Items out of features or units: whole utterances under their text, phones under the times of an alignment, or the items
//! of a libri-light `.item` file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use ndarray::{Array2, s};
use serde::{Deserialize, Serialize};

use super::{Distance, Item};
use crate::dataset::DataDir;
use crate::dataset::alignment::item::{Item as ListedItem, read_items as read_listed};
use crate::dataset::alignment::rate::Lengths;
use crate::dataset::alignment::{
    FrameTimes, PhonesByUtterance, SILENCE, TIER, TimedPhone, is_phone, read_alignment,
};
use crate::dataset::feats::Feats;
use crate::error::{Error, Result};
use crate::eval::units::read_units;

/// Phones as items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhoneOptions {
    /// Time-aligned phones, or an `.item` file.
    #[serde(alias = "ctm")]
    pub alignments: PathBuf,
    /// Tier of TextGrids.
    pub tier: String,
    /// Frame shift in milliseconds.
    pub frame_shift_ms: f64,
    /// Centre of the first frame in milliseconds; half a shift when left out.
    pub first_frame_ms: Option<f64>,
    /// Whether only phones with the same neighbours are compared.
    pub in_context: bool,
    /// Phones that are no items, but may be neighbours.
    pub skip: Vec<String>,
}

impl Default for PhoneOptions {
    fn default() -> Self {
        Self {
            alignments: PathBuf::new(),
            tier: TIER.into(),
            frame_shift_ms: 10.0,
            first_frame_ms: None,
            in_context: true,
            skip: vec![SILENCE.into()],
        }
    }
}

/// The kind of items.
#[derive(Debug, Clone, Copy)]
pub enum Units<'a> {
    /// Whole utterances, labelled by their line in `text`.
    Utterances(&'a Path),
    /// Phones of a data directory's utterances.
    Phones(&'a Path, &'a PhoneOptions),
    /// The items of an `.item` file, with its contexts and speakers.
    Listed(&'a PhoneOptions),
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Representation {
    /// Features that an `scp` file lists: matrices, or vectors as one frame.
    Feats(PathBuf),
    /// Discrete units, as [`read_units`] reads them.
    Units(PathBuf),
}

impl Representation {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Feats(path) | Self::Units(path) => path,
        }
    }

    /// The distance that fits.
    pub fn distance(&self) -> Distance {
        match self {
            Self::Feats(_) => Distance::Angular,
            Self::Units(_) => Distance::Identical,
        }
    }
}

/// Items, and how many were skipped.
#[derive(Debug, Clone, Default)]
pub struct Items {
    /// The items.
    pub items: Vec<Item>,
    /// Phones without a frame of their own: too short for the frame shift.
    pub too_short: usize,
    /// Utterances that have no phones at all.
    pub without_phones: Vec<String>,
}

/// Tolerance in frames: decimal times are not exact in binary, and a frame on a phone's border belongs to it.
const BORDER: f64 = 1e-6;

/// Reads the items of a representation.
///
/// # Errors
/// Errors of reading the files; [`Error::Key`] for an utterance without features or text, NaN in features, another
/// number of values per frame, or phones that end after the features; [`Error::Option`] for a frame shift that alignments
/// contradict; [`Error::Format`] when no utterance has phones.
pub fn read_items(representation: &Representation, units: Units) -> Result<Items> {
    match units {
        Units::Utterances(data) => of_utterances(representation, &DataDir::open(data)?),
        Units::Phones(data, options) => {
            check(options)?;
            of_phones(representation, &DataDir::open(data)?, options)
        }
        Units::Listed(options) => {
            check(options)?;
            listed(representation, options)
        }
    }
}

fn check(options: &PhoneOptions) -> Result<()> {
    let first_ms = options.first_frame_ms.unwrap_or(0.0);
    for (name, value, least) in [
        (
            "--frame-shift-ms",
            options.frame_shift_ms,
            f64::MIN_POSITIVE,
        ),
        ("--first-frame-ms", first_ms, 0.0),
    ] {
        if !(least..1e6).contains(&value) {
            let expected = "milliseconds from 0, a shift above it";
            return Err(Error::option(name, expected, value.to_string()));
        }
    }
    Ok(())
}

/// The frames of utterances.
enum Frames {
    Feats(Feats, usize),
    Units(PathBuf, HashMap<String, Vec<i32>>),
}

impl Frames {
    /// Opens them; the first of `ids` decides the number of values per frame.
    fn open(representation: &Representation, ids: &[String]) -> Result<Self> {
        Ok(match representation {
            Representation::Feats(scp) => {
                let feats = Feats::open(scp, ids)?;
                let bins = match ids.first() {
                    Some(first) => feats.shape(first)?.1,
                    None => 0,
                };
                Self::Feats(feats, bins)
            }
            Representation::Units(path) => {
                let units = read_units(&path.to_string_lossy())?;
                Self::Units(path.clone(), units.into_iter().collect())
            }
        })
    }

    /// `[frames, dim]` of an utterance; of units one number per frame.
    fn of(&self, id: &str) -> Result<Array2<f32>> {
        /// Greater numbers are not exact as f32.
        const GREATEST: i32 = 1 << 24;
        match self {
            Self::Feats(feats, bins) => {
                let frames = feats.checked(id, *bins)?;
                match frames.is_empty() {
                    true => Err(Error::key(feats.path(), id, "at least one frame", "none")),
                    false => Ok(frames),
                }
            }
            Self::Units(path, units) => {
                let own = units.get(id);
                let own =
                    own.ok_or_else(|| Error::key(path, id, "units of this utterance", "none"))?;
                if let Some(unit) = own.iter().find(|unit| **unit > GREATEST) {
                    let expected = format!("units up to {GREATEST}");
                    return Err(Error::key(path, id, expected, unit.to_string()));
                }
                Ok(Array2::from_shape_fn((own.len(), 1), |(frame, _)| {
                    own[frame] as f32
                }))
            }
        }
    }
}

fn of_utterances(representation: &Representation, dir: &DataDir) -> Result<Items> {
    let frames = Frames::open(representation, dir.utterances())?;
    let mut found = Items::default();
    for id in dir.utterances() {
        let feats = frames.of(id)?;
        let label = dir
            .text(id)
            .ok_or_else(|| Error::key(dir.path().join("text"), id, "its text", "none"))?;
        found.items.push(Item {
            label: label.to_string(),
            context: String::new(),
            speaker: dir.speaker_of(id).unwrap_or_default().to_string(),
            feats,
        });
    }
    Ok(found)
}

fn of_phones(
    representation: &Representation,
    dir: &DataDir,
    options: &PhoneOptions,
) -> Result<Items> {
    let frames = Frames::open(representation, dir.utterances())?;
    let phones: PhonesByUtterance<String> = read_alignment(&options.alignments, &options.tier)?;
    let (mut found, mut lengths) = (Items::default(), Lengths::default());
    for id in dir.utterances() {
        let Some(phones) = phones.get(id) else {
            found.without_phones.push(id.clone());
            continue;
        };
        let utterance = Utterance {
            id,
            frames: frames.of(id)?,
        };
        lengths.add(utterance.frames.nrows(), phones);
        found.add_phones(
            &utterance,
            dir.speaker_of(id).unwrap_or_default(),
            phones,
            options,
        )?;
    }
    let source = format!("the alignments of {}", options.alignments.display());
    lengths.check(times(options), &source)?;
    match found.without_phones.len() == dir.utterances().len() {
        true => {
            let expected = format!("phones of utterances of {}", dir.path().display());
            Err(Error::format(&options.alignments, expected, "none"))
        }
        false => Ok(found),
    }
}

fn listed(representation: &Representation, options: &PhoneOptions) -> Result<Items> {
    let mut by_utterance: BTreeMap<String, Vec<ListedItem>> = BTreeMap::new();
    for item in read_listed(&options.alignments)? {
        by_utterance
            .entry(item.utterance.clone())
            .or_default()
            .push(item);
    }
    let ids: Vec<String> = by_utterance.keys().cloned().collect();
    let frames = Frames::open(representation, &ids)?;
    let mut found = Items::default();
    for (id, items) in &by_utterance {
        let utterance = Utterance {
            id,
            frames: frames.of(id)?,
        };
        for item in items {
            let neighbours = item.neighbours.each_ref().map(String::as_str);
            found.add(&utterance, &item.speaker, &item.phone, neighbours, options)?;
        }
    }
    Ok(found)
}

struct Utterance<'a> {
    id: &'a str,
    frames: Array2<f32>,
}

impl Items {
    fn add_phones(
        &mut self,
        utterance: &Utterance,
        speaker: &str,
        phones: &[TimedPhone<String>],
        options: &PhoneOptions,
    ) -> Result<()> {
        let mut phones: Vec<&TimedPhone<String>> = phones.iter().collect();
        phones.sort_by(|a, b| a.start.total_cmp(&b.start));
        let name = |place: Option<usize>| {
            place
                .and_then(|place| phones.get(place))
                .map_or("", |phone| phone.phone.as_str())
        };
        for (place, phone) in phones.iter().enumerate() {
            if (options.skip.iter()).any(|skipped| is_phone(skipped, &phone.phone)) {
                continue;
            }
            let neighbours = [name(place.checked_sub(1)), name(place.checked_add(1))];
            self.add(utterance, speaker, phone, neighbours, options)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        utterance: &Utterance,
        speaker: &str,
        phone: &TimedPhone<String>,
        neighbours: [&str; 2],
        options: &PhoneOptions,
    ) -> Result<()> {
        let Some((first, last)) = frames_of(phone, utterance, options)? else {
            self.too_short += 1;
            return Ok(());
        };
        self.items.push(Item {
            label: phone.phone.clone(),
            context: match options.in_context {
                true => neighbours.join(" "),
                false => String::new(),
            },
            speaker: speaker.to_string(),
            feats: utterance.frames.slice(s![first..=last, ..]).to_owned(),
        });
        Ok(())
    }
}

fn times(options: &PhoneOptions) -> FrameTimes {
    FrameTimes {
        shift_ms: options.frame_shift_ms,
        first_ms: options
            .first_frame_ms
            .unwrap_or(options.frame_shift_ms / 2.0),
    }
}

/// First and last frame whose centres lie in a phone, borders included; none for a phone between two centres.
///
/// With the first centre at half a shift: from ceil(on / shift - 1/2) to floor(off / shift - 1/2).
fn frames_of(
    phone: &TimedPhone<String>,
    utterance: &Utterance,
    options: &PhoneOptions,
) -> Result<Option<(usize, usize)>> {
    let (times, frames) = (times(options), utterance.frames.nrows());
    times.refuse_beyond(
        phone,
        &phone.phone,
        frames,
        (&options.alignments, utterance.id),
    )?;
    let first = (times.frame_at(phone.start) - BORDER).ceil().max(0.0) as usize;
    let last = (times.frame_at(phone.start + phone.duration) + BORDER).floor();
    if last < 0.0 {
        return Ok(None);
    }
    let last = (last as usize).min(frames - 1);
    Ok((first <= last).then_some((first, last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(start: f64, duration: f64) -> TimedPhone<String> {
        TimedPhone {
            start,
            duration,
            phone: "a".into(),
        }
    }

    #[test]
    fn frames_whose_centres_lie_in_the_phone() {
        let utterance = Utterance {
            id: "u",
            frames: ndarray::Array2::zeros((10, 1)),
        };
        let options = PhoneOptions::default();
        // Centres at 5, 15, 25, ... ms; 0.015 s is 1.5 shifts, although in binary it is slightly more.
        for (start, duration, expected) in [
            (0.015, 0.02, Some((1, 3))),
            (0.016, 0.018, Some((2, 2))),
            (0.016, 0.008, None),
            (0.0, 0.004, None),
            (0.08, 0.04, Some((8, 9))),
            (0.11, 0.01, None),
        ] {
            let found = frames_of(&phone(start, duration), &utterance, &options).unwrap();
            assert_eq!(found, expected, "{start} {duration}");
        }
        let codes = PhoneOptions {
            frame_shift_ms: 40.0,
            first_frame_ms: Some(5.0),
            ..PhoneOptions::default()
        };
        let found = frames_of(&phone(0.04, 0.09), &utterance, &codes).unwrap();
        assert_eq!(found, Some((1, 3)));
        let error = frames_of(&phone(0.1, 0.05), &utterance, &options).unwrap_err();
        assert!(
            error.to_string().ends_with(
                "10 frames of 10 ms (if that is the frame shift), found 'a' from 0.100 to 0.150 s"
            ),
            "{error}"
        );
    }
}
