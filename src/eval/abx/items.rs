//! Items out of a data directory and a feature archive: whole utterances under their text, or phones under the
//! times of a CTM.

use std::path::{Path, PathBuf};

use ndarray::s;
use serde::{Deserialize, Serialize};

use super::Item;
use crate::dataset::DataDir;
use crate::dataset::alignment::{FrameTimes, SILENCE, TimedPhone, is_phone, read_ctm_names};
use crate::dataset::feats::Feats;
use crate::error::{Error, Result};

/// Phones as items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhoneOptions {
    /// CTM of phones, one `utterance channel start duration phone` per line.
    pub ctm: PathBuf,
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
            ctm: PathBuf::new(),
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
    Utterances,
    /// Phones.
    Phones(&'a PhoneOptions),
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

/// Reads the items of a data directory with the features of `feats_scp` (matrices, or vectors as one frame).
///
/// # Errors
/// Errors of reading the files; [`Error::Key`] for an utterance without features or text, NaN in features, another
/// number of values per frame, or phones that end after the features; [`Error::Format`] when no utterance has phones.
pub fn read_items(data: &Path, feats_scp: &Path, units: Units) -> Result<Items> {
    let dir = DataDir::open(data)?;
    let feats = Feats::open(feats_scp, dir.utterances())?;
    let bins = match dir.utterances().first() {
        Some(first) => feats.shape(first)?.1,
        None => 0,
    };
    let phones = match units {
        Units::Phones(options) => {
            check(options)?;
            Some((options, read_ctm_names(&options.ctm)?))
        }
        Units::Utterances => None,
    };
    let mut found = Items::default();
    for id in dir.utterances() {
        if let Some((_, phones)) = &phones
            && !phones.contains_key(id)
        {
            found.without_phones.push(id.clone());
            continue;
        }
        let frames = feats.checked(id, bins)?;
        if frames.is_empty() {
            return Err(Error::key(feats_scp, id, "at least one frame", "none"));
        }
        let speaker = dir.speaker_of(id).unwrap_or_default();
        let utterance = Utterance {
            id,
            speaker,
            frames,
        };
        match &phones {
            None => found.items.push(whole(utterance, &dir)?),
            Some((options, phones)) => found.add_phones(&utterance, &phones[id], options)?,
        }
    }
    match units {
        Units::Phones(options) if found.without_phones.len() == dir.utterances().len() => {
            let expected = format!("phones of utterances of {}", data.display());
            Err(Error::format(&options.ctm, expected, "none"))
        }
        _ => Ok(found),
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

struct Utterance<'a> {
    id: &'a str,
    speaker: &'a str,
    frames: ndarray::Array2<f32>,
}

fn whole(utterance: Utterance, dir: &DataDir) -> Result<Item> {
    let label = dir
        .text(utterance.id)
        .ok_or_else(|| Error::key(dir.path().join("text"), utterance.id, "its text", "none"))?;
    Ok(Item {
        label: label.to_string(),
        context: String::new(),
        speaker: utterance.speaker.to_string(),
        feats: utterance.frames,
    })
}

impl Items {
    fn add_phones(
        &mut self,
        utterance: &Utterance,
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
            let Some((first, last)) = frames_of(phone, utterance, options)? else {
                self.too_short += 1;
                continue;
            };
            let neighbours = [name(place.checked_sub(1)), name(place.checked_add(1))];
            self.items.push(Item {
                label: phone.phone.clone(),
                context: match options.in_context {
                    true => neighbours.join(" "),
                    false => String::new(),
                },
                speaker: utterance.speaker.to_string(),
                feats: utterance.frames.slice(s![first..=last, ..]).to_owned(),
            });
        }
        Ok(())
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
    let times = FrameTimes {
        shift_ms: options.frame_shift_ms,
        first_ms: options
            .first_frame_ms
            .unwrap_or(options.frame_shift_ms / 2.0),
    };
    let frames = utterance.frames.nrows();
    times.refuse_beyond(phone, &phone.phone, frames, (&options.ctm, utterance.id))?;
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
            speaker: "s",
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
