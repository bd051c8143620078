//! Time-aligned phones, of files in several forms, and from them one class per frame.

mod ctm;
pub mod item;
pub mod rate;
mod textgrid;

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

use crate::error::{Error, Result};
use crate::io::lines::{read_table, read_text};

/// A phone (its class, or its name) and its time, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedPhone<P> {
    /// Start.
    pub start: f64,
    /// Duration.
    pub duration: f64,
    /// Class or name.
    pub phone: P,
}

/// The phones of each utterance, in the order of their times or of the file.
pub type PhonesByUtterance<P> = HashMap<String, Vec<TimedPhone<P>>>;

/// Centres of the frames of a feature matrix, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameTimes {
    /// From one frame to the next.
    pub shift_ms: f64,
    /// Centre of the first frame: half a shift without `snip_edges`, half a frame length with it.
    pub first_ms: f64,
}

/// The default name of silence; names that differ only in case are the same silence.
pub const SILENCE: &str = "sil";

/// Whether a phone that an option names is this one: exactly, but for [`SILENCE`], whose case does not matter.
pub fn is_phone(named: &str, phone: &str) -> bool {
    let silence = |name: &str| name.eq_ignore_ascii_case(SILENCE);
    named == phone || (silence(named) && silence(phone))
}

/// Reads `phones.txt` lines `phone class`.
///
/// # Errors
/// [`Error::Line`] for a class that is no integer from 0, or a phone that occurs twice.
pub fn read_symbols(path: &Path) -> Result<HashMap<String, i32>> {
    read_table(path)?
        .into_iter()
        .map(|entry| match entry.value.parse() {
            Ok(class) if class >= 0 => Ok((entry.key, class)),
            _ => Err(Error::line(
                path,
                entry.line,
                "'phone class', the class from 0",
                format!("'{}'", entry.value),
            )),
        })
        .collect()
}

/// The default tier of a TextGrid.
pub const TIER: &str = "phones";

/// Reads aligned phones, by their names: a CTM with `;;` comments, a TextGrid (whose utterance is the file's name) or a
/// folder of them, a libri-light `.item` file or discophon's alignment. The content decides which. `tier` is that of a
/// TextGrid.
///
/// # Errors
/// [`Error::Io`]; [`Error::Line`] for what is none of these forms; [`Error::Key`] for a TextGrid without the tier, or
/// overlapping phones of an `.item` file.
pub fn read_alignment(path: &Path, tier: &str) -> Result<PhonesByUtterance<String>> {
    if path.is_dir() {
        return textgrid::read_folder(path, tier);
    }
    let text = read_text(path)?;
    if textgrid::is_textgrid(&text) {
        let id = path.file_stem().unwrap_or_default().to_string_lossy();
        let phones = textgrid::parse(path, &text, tier)?;
        Ok(HashMap::from([(id.into_owned(), phones)]))
    } else if item::is_item(&text) {
        item::parse_alignment(path, &text)
    } else {
        ctm::parse(path, &text)
    }
}

/// A time of a file, in seconds from 0.
fn seconds(text: &str) -> Option<f64> {
    let time = text.parse::<f64>().ok();
    time.filter(|time| time.is_finite() && *time >= 0.0)
}

impl FrameTimes {
    /// Frames by which phones may end after the features: framing without reflection loses so many at the ends.
    const SLACK_FRAMES: f64 = 3.0;

    /// The frame, in fractions from 0, whose centre is at a time in seconds.
    pub fn frame_at(&self, seconds: f64) -> f64 {
        (1000.0 * seconds - self.first_ms) / self.shift_ms
    }

    /// The length of so many frames in seconds, with as much after the last centre as before the first.
    pub fn seconds(&self, frames: usize) -> f64 {
        let shifts = frames.saturating_sub(1) as f64;
        (2.0 * self.first_ms + shifts * self.shift_ms) / 1000.0
    }

    /// Refuses a phone, called `name` by the utterance `id` of `ctm`, that ends well after `frames` frames.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn refuse_beyond<P>(
        &self,
        phone: &TimedPhone<P>,
        name: impl Display,
        frames: usize,
        (ctm, id): (&Path, &str),
    ) -> Result<()> {
        let end = phone.start + phone.duration;
        if self.frame_at(end) < frames as f64 + Self::SLACK_FRAMES {
            return Ok(());
        }
        let (shift, length) = (self.shift_ms, frames as f64 * self.shift_ms / 1000.0);
        let expected = format!(
            "phones within its {length:.3} s, {frames} frames of {shift} ms (if that is the frame shift)"
        );
        let found = format!("'{name}' from {:.3} to {end:.3} s", phone.start);
        Err(Error::key(ctm, id, expected, found))
    }
}

/// The class at the centre of each of `frames` frames; `outside` where there is no phone.
pub fn classes<P: Clone>(
    phones: &[TimedPhone<P>],
    frames: usize,
    times: FrameTimes,
    outside: P,
) -> Vec<P> {
    (0..frames)
        .map(|frame| {
            let centre = (times.first_ms + frame as f64 * times.shift_ms) / 1000.0;
            phones
                .iter()
                .find(|phone| (phone.start..phone.start + phone.duration).contains(&centre))
                .map_or(outside.clone(), |phone| phone.phone.clone())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_phone_at_its_centre() {
        let phones = [
            TimedPhone {
                start: 0.01,
                duration: 0.02,
                phone: 3,
            },
            TimedPhone {
                start: 0.03,
                duration: 0.015,
                phone: 5,
            },
        ];
        let times = FrameTimes {
            shift_ms: 10.0,
            first_ms: 5.0,
        };
        assert_eq!(classes(&phones, 6, times, 0), [0, 3, 3, 5, 0, 0]);
    }

    fn read(name: &str, content: &[u8], tier: &str) -> Result<Vec<(String, String)>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        let found = read_alignment(&path, tier)?;
        let mut found: Vec<(String, String)> = (found.into_iter())
            .map(|(id, phones)| (id, told(&phones)))
            .collect();
        found.sort();
        Ok(found)
    }

    fn told(phones: &[TimedPhone<String>]) -> String {
        let one = |p: &TimedPhone<String>| {
            format!("{} {:.3}-{:.3}", p.phone, p.start, p.start + p.duration)
        };
        phones.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    const LONG: &str = r#"File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "say ""a"""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 1.5
        points: size = 1
        points [1]:
            number = 0.25
            mark = "7"
    item [3]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 0.75
            text = "ɑː"
        intervals [3]:
            xmin = 0.75
            xmax = 1.5
            text = """"
"#;
    const SHORT: &str = "\"ooTextFile\"\n\"TextGrid\"\n0\n1.5\n<exists>\n2\n\"IntervalTier\"\n\"bo - words\"\n0\n1.5\n1\n0\n1.5\n\"x\"\n\
        \"IntervalTier\"\n\"bo - phones\"\n0\n1.5\n2\n0\n0.5\n\"a\"\n0.5\n1.5\n\"b\"\n";

    #[test]
    fn the_content_decides_the_form() {
        let utf16: Vec<u8> = format!("\u{feff}{LONG}")
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        let little: Vec<u8> = format!("\u{feff}{SHORT}")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for (name, content, tier, expected) in [
            (
                "u.TextGrid",
                LONG.as_bytes(),
                "phones",
                [("u", "ɑː 0.500-0.750, \" 0.750-1.500")].to_vec(),
            ),
            (
                "u.TextGrid",
                &utf16,
                "Phones",
                vec![("u", "ɑː 0.500-0.750, \" 0.750-1.500")],
            ),
            (
                "u.txt",
                LONG.as_bytes(),
                "words",
                vec![("u", "say \"a\" 0.000-1.500")],
            ),
            (
                "u.a.TextGrid",
                SHORT.as_bytes(),
                "phones",
                vec![("u.a", "a 0.000-0.500, b 0.500-1.500")],
            ),
            (
                "u.TextGrid",
                &little,
                "phones",
                vec![("u", "a 0.000-0.500, b 0.500-1.500")],
            ),
            (
                "x",
                b";; made\n;;\nu 1 0 0.1 a\nv A 0.1 0.2 b 0.9\n",
                "phones",
                vec![("u", "a 0.000-0.100"), ("v", "b 0.100-0.300")],
            ),
            (
                "gold.txt",
                b"#file onset offset #phone\nu 0.10 0.30 b\nu 0.00 0.10 a\nv 0 0.01 SIL\n",
                "phones",
                vec![
                    ("u", "a 0.000-0.100, b 0.100-0.300"),
                    ("v", "SIL 0.000-0.010"),
                ],
            ),
            (
                "x.item",
                b"#file onset offset #phone prev-phone next-phone speaker\nu 0.1 0.3 b a c s\n",
                "phones",
                vec![("u", "b 0.100-0.300")],
            ),
        ] {
            let found = read(name, content, tier).unwrap();
            let found: Vec<(&str, &str)> = found
                .iter()
                .map(|(id, told)| (&id[..], &told[..]))
                .collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn invalid_files_are_named() {
        let cut = |text: &str| text[..text.len() - 6].to_string();
        for (name, content, expected) in [
            (
                "ctm",
                "u 1 0 0.1 a\nu 1 0.0 0.1",
                "ctm:2: expected 'utterance channel start duration phone', found '1 0.0 0.1'",
            ),
            (
                "ctm",
                "u 1 x 0.1 a\n",
                "ctm:1: expected start and duration in seconds, from 0",
            ),
            ("ctm", "u 1 0.0 -1 a\n", "in seconds"),
            (
                "t",
                &cut(SHORT),
                "t:24: expected text in quotes, found the end of the file",
            ),
            (
                "t",
                &LONG.replace("xmax = 0.75", "xmax = 0.4"),
                "t:40: expected an end after 0.5, found 0.4",
            ),
            (
                "t",
                &LONG.replace("\"phones\"", "\"phone\""),
                "t: phones: expected a tier of this name, found words, clicks, phone",
            ),
            (
                "t",
                &LONG.replace("TextTier", "Tier"),
                "t:20: expected IntervalTier or TextTier, found 'Tier'",
            ),
            (
                "t",
                &LONG.replace("clicks", "phones"),
                "t: phones: expected a tier of intervals, found one of points",
            ),
            (
                "t",
                "\"ooTextFile\"\n\"PitchTier\"\n0\n",
                "t:2: expected TextGrid, found 'PitchTier'",
            ),
            (
                "t",
                "ooBinaryFile\u{8}TextGrid",
                "t: expected a TextGrid in text form, found the binary form",
            ),
            (
                "i",
                "#file onset offset\nu 0 1\n",
                "i:1: expected columns #file, onset, offset and #phone, found '#file onset offset'",
            ),
            (
                "i",
                "#file onset offset #phone\nu 0 1\n",
                "i:2: expected 4 columns, found 3",
            ),
            (
                "i",
                "#file onset offset #phone\nu 0.5 0.4 a\n",
                "i:2: expected onset and offset in seconds, the onset first, found '0.5' and '0.4'",
            ),
            (
                "i",
                "#file onset offset #phone\nu 0 1 a\nu 0.5 2 b\n",
                "i: u: expected phones one after another, as items of triphones are not, found 'a' to 1.000 and 'b' from 0.500",
            ),
        ] {
            let error = read(name, content.as_bytes(), "phones")
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn a_folder_has_textgrids_by_name_or_by_speaker_and_name() {
        let dir = tempfile::tempdir().unwrap();
        for (file, phone) in [
            ("anna/1.TextGrid", "a"),
            ("bo/1.TextGrid", "b"),
            ("bo/bo-2.textgrid", "c"),
            ("x.txt", "d"),
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, SHORT.replace("\"a\"", &format!("\"{phone}\""))).unwrap();
        }
        let found = read_alignment(dir.path(), "phones").unwrap();
        let mut ids: Vec<(&str, &str)> = (found.iter())
            .map(|(id, phones)| (&id[..], &phones[0].phone[..]))
            .collect();
        ids.sort();
        assert_eq!(ids, [("anna-1", "a"), ("bo-1", "b"), ("bo-2", "c")]);
        let empty = tempfile::tempdir().unwrap();
        let error = read_alignment(empty.path(), "phones")
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with(": expected TextGrid files, found none"),
            "{error}"
        );
    }

    #[test]
    fn phones_after_the_end_are_refused() {
        let path = Path::new("ctm");
        let times = FrameTimes {
            shift_ms: 10.0,
            first_ms: 5.0,
        };
        let check = |start: f64, duration: f64| {
            let phone = TimedPhone {
                start,
                duration,
                phone: "c",
            };
            times.refuse_beyond(&phone, phone.phone, 20, (path, "u"))
        };
        // Framing may lose 25 ms at the ends.
        assert!(check(0.0, 0.1).is_ok() && check(0.1, 0.125).is_ok());
        let error = check(9.0, 0.1).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "ctm: u: expected phones within its 0.200 s, 20 frames of 10 ms (if that is the frame shift), found 'c' from 9.000 to 9.100 s"
            ),
            "{error}"
        );
    }

    #[test]
    fn silence_has_any_case_and_other_phones_their_own() {
        for (named, phone, same) in [
            ("sil", "SIL", true),
            ("Sil", "sil", true),
            ("AH", "AH", true),
            ("AH", "ah", false),
            ("sil", "SP", false),
        ] {
            assert_eq!(is_phone(named, phone), same, "{named} {phone}");
        }
    }
}
