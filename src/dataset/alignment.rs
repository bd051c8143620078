//! From time-aligned phones to one class per frame.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

use crate::error::{Error, Result};
use crate::io::lines::{Entry, read_lines, read_table};

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

/// The phones of each utterance, in the order of the file.
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

/// Reads a CTM of phones, `utterance channel start duration phone` per line, as classes of a symbol table. Lines that
/// begin with `;;` are comments.
///
/// # Errors
/// [`Error::Line`] for a line of another form, or a phone without a class.
pub fn read_ctm(path: &Path, symbols: &HashMap<String, i32>) -> Result<PhonesByUtterance<i32>> {
    parse_ctm(path, |phone| symbols.get(phone).copied())
}

/// Reads a CTM of phones as [`read_ctm`], by their names.
///
/// # Errors
/// [`Error::Line`] for a line of another form.
pub fn read_ctm_names(path: &Path) -> Result<PhonesByUtterance<String>> {
    parse_ctm(path, |phone| Some(phone.to_string()))
}

fn parse_ctm<P>(path: &Path, known: impl Fn(&str) -> Option<P>) -> Result<PhonesByUtterance<P>> {
    let mut phones: PhonesByUtterance<P> = HashMap::new();
    let spoken = |entry: &Entry| !entry.key.starts_with(";;");
    for entry in read_lines(path)?.into_iter().filter(spoken) {
        let wrong = |expected: &str| {
            Err(Error::line(
                path,
                entry.line,
                expected,
                format!("'{}'", entry.value),
            ))
        };
        let fields: Vec<&str> = entry.value.split_ascii_whitespace().collect();
        let [_channel, start, duration, phone, ..] = fields[..] else {
            return wrong("'utterance channel start duration phone'");
        };
        let time = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|t| t.is_finite() && *t >= 0.0)
        };
        let (Some(start), Some(duration)) = (time(start), time(duration)) else {
            return wrong("start and duration in seconds, from 0");
        };
        let Some(phone) = known(phone) else {
            return wrong("a phone of the symbol table");
        };
        phones.entry(entry.key).or_default().push(TimedPhone {
            start,
            duration,
            phone,
        });
    }
    Ok(phones)
}

impl FrameTimes {
    /// Frames by which phones may end after the features: framing without reflection loses so many at the ends.
    const SLACK_FRAMES: f64 = 3.0;

    /// The frame, in fractions from 0, whose centre is at a time in seconds.
    pub fn frame_at(&self, seconds: f64) -> f64 {
        (1000.0 * seconds - self.first_ms) / self.shift_ms
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
pub fn classes(
    phones: &[TimedPhone<i32>],
    frames: usize,
    times: FrameTimes,
    outside: i32,
) -> Vec<i32> {
    (0..frames)
        .map(|frame| {
            let centre = (times.first_ms + frame as f64 * times.shift_ms) / 1000.0;
            phones
                .iter()
                .find(|phone| (phone.start..phone.start + phone.duration).contains(&centre))
                .map_or(outside, |phone| phone.phone)
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

    #[test]
    fn comments_are_ignored_and_phones_after_the_end_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctm");
        std::fs::write(
            &path,
            ";; made by hand\n;;\nu 1 0 0.1 a\nu 1 0.1 0.125 b\nu 1 9 0.1 c\n",
        )
        .unwrap();
        let phones = read_ctm_names(&path).unwrap();
        assert_eq!(phones.len(), 1);
        let times = FrameTimes {
            shift_ms: 10.0,
            first_ms: 5.0,
        };
        let check =
            |phone: &TimedPhone<String>| times.refuse_beyond(phone, &phone.phone, 20, (&path, "u"));
        let [a, b, c] = &phones["u"][..] else {
            panic!("{phones:?}");
        };
        // Framing may lose 25 ms at the ends.
        assert!(check(a).is_ok() && check(b).is_ok());
        let error = check(c).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "ctm: u: expected phones within its 0.200 s, 20 frames of 10 ms (if that is the frame shift), found 'c' from 9.000 to 9.100 s"
            ),
            "{error}"
        );
    }

    #[test]
    fn invalid_lines_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctm");
        let symbols = HashMap::from([("a".to_string(), 0)]);
        for (line, part) in [
            ("u 1 0.0 0.1", "start duration phone"),
            ("u 1 x 0.1 a", "in seconds"),
            ("u 1 0.0 -1 a", "in seconds"),
            ("u 1 0.0 0.1 b", "symbol table"),
        ] {
            std::fs::write(&path, format!("u 1 0 0.1 a\n{line}\n")).unwrap();
            let error = read_ctm(&path, &symbols).unwrap_err().to_string();
            assert!(
                error.contains("ctm:2: expected") && error.contains(part),
                "{error}"
            );
        }
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
