//! Which part of an MPEG-4 track is presented. AAC begins with its encoder's delay and ends with what fills the last frame;
//! the edit list, or else Apple's `iTunSMPB`, states how much of both. Its demuxer reads neither.
//!
//! Source: ISO 14496-12, sections 8.2.2 (`mvhd`), 8.3.2 (`tkhd`), 8.4.2 (`mdhd`) and 8.6.6 (`elst`).

use std::ops::Range;
use std::path::Path;

use super::input::Bytes;
use crate::error::{Error, Result};

/// What is kept of a track's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Presented {
    /// Samples that are left out before the first.
    pub(super) skip: u64,
    /// How many follow, at most.
    pub(super) samples: u64,
}

impl Presented {
    pub(super) const ALL: Self = Self {
        skip: 0,
        samples: u64::MAX,
    };
}

/// A time in ticks, of which a second has `scale`.
#[derive(Debug, Clone, Copy)]
struct Time {
    ticks: u64,
    scale: u32,
}

impl Time {
    fn samples(self, rate_hz: u32) -> u64 {
        let samples = u128::from(self.ticks) * u128::from(rate_hz);
        u64::try_from(samples.div_ceil(u128::from(self.scale))).unwrap_or(u64::MAX)
    }
}

/// A piece of a track that is presented.
#[derive(Debug, Clone, Copy)]
struct Edit {
    begin: Time,
    /// Of 0 ticks where it reaches to the track's end.
    length: Time,
}

/// A file's statements on the presentation of its tracks.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// By the track's id, its edits that are not empty: a pause before a track is passed by, as ffmpeg does.
    tracks: Vec<(u32, Vec<Edit>)>,
    itunes: Option<Presented>,
}

impl Edits {
    /// Reads them as far as the boxes are valid, and leaves the position at the beginning.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn read(bytes: &mut Bytes, name: &Path) -> Result<Self> {
        let mut boxes = Boxes { bytes, name };
        let mut edits = Self::default();
        if let Some(movie) = boxes.find(0..u64::MAX, b"moov")? {
            let scale = boxes.word_behind_times(movie.clone(), &[b"mvhd"])?;
            for (id, track) in boxes.children(movie.clone())? {
                if &id == b"trak"
                    && let Some(id) = boxes.word_behind_times(track.clone(), &[b"tkhd"])?
                {
                    edits.tracks.push((id, boxes.edits(track, scale)?));
                }
            }
            edits.itunes = boxes.itunes(movie)?;
        }
        bytes.go_to(0, name)?;
        Ok(edits)
    }

    /// The part of a track of `frames` samples of `rate_hz` that is presented.
    ///
    /// # Errors
    /// [`Error::Format`] for a track that is presented in several pieces.
    pub(super) fn of(
        &self,
        track: u32,
        frames: Option<u64>,
        rate_hz: u32,
        name: &Path,
    ) -> Result<Presented> {
        let edits = self.tracks.iter().find(|(id, _)| *id == track);
        match edits.map_or(&[][..], |(_, edits)| edits) {
            [] => Ok(self.itunes.unwrap_or(Presented::ALL)),
            [edit] => Ok(edit.presented(frames, rate_hz)),
            _ => {
                let expected = "a track that is presented in one piece";
                Err(Error::format(name, expected, "an edit list of several"))
            }
        }
    }
}

impl Edit {
    fn presented(self, frames: Option<u64>, rate_hz: u32) -> Presented {
        let skip = self.begin.samples(rate_hz);
        let left = frames.map_or(u64::MAX, |frames| frames.saturating_sub(skip));
        // A length is rounded to ticks of the movie, often to milliseconds: what ends within one more ends with the
        // track, so that no sample of a lossless one is lost.
        let longest = Time {
            ticks: self.length.ticks.saturating_add(1),
            ..self.length
        };
        let samples = match self.length.ticks {
            0 => left,
            _ if left <= longest.samples(rate_hz) => left,
            _ => self.length.samples(rate_hz),
        };
        Presented { skip, samples }
    }
}

/// A box: its name, and where its content lies.
type Part = ([u8; 4], Range<u64>);

struct Boxes<'a> {
    bytes: &'a mut Bytes,
    name: &'a Path,
}

impl Boxes<'_> {
    /// The boxes in a range, as far as they make sense.
    fn children(&mut self, within: Range<u64>) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        let mut at = within.start;
        while at < within.end {
            self.bytes.go_to(at, self.name)?;
            let Some([a, b, c, d, id @ ..]) = self.bytes.array::<8>(self.name)? else {
                break;
            };
            let (header, size) = match u32::from_be_bytes([a, b, c, d]) {
                0 => (8, within.end - at),
                1 => match self.bytes.array::<8>(self.name)? {
                    Some(size) => (16, u64::from_be_bytes(size)),
                    None => break,
                },
                size => (8, u64::from(size)),
            };
            if size < header {
                break;
            }
            let end = at.saturating_add(size).min(within.end);
            parts.push((id, (at + header).min(end)..end));
            at = end;
        }
        Ok(parts)
    }

    fn find(&mut self, within: Range<u64>, name: &[u8; 4]) -> Result<Option<Range<u64>>> {
        let mut parts = self.children(within)?.into_iter();
        Ok(parts.find(|(id, _)| id == name).map(|(_, content)| content))
    }

    fn path(&mut self, mut within: Range<u64>, names: &[&[u8; 4]]) -> Result<Option<Range<u64>>> {
        for name in names {
            match self.find(within, name)? {
                Some(content) => within = content,
                None => return Ok(None),
            }
        }
        Ok(Some(within))
    }

    /// The `at`-th byte of a content and what follows, `N` in all.
    fn field<const N: usize>(&mut self, content: &Range<u64>, at: u64) -> Result<Option<[u8; N]>> {
        if content.start + at + N as u64 > content.end {
            return Ok(None);
        }
        self.bytes.go_to(content.start + at, self.name)?;
        self.bytes.array::<N>(self.name)
    }

    /// A word after two times in a full box, which version 1 makes longer.
    fn word_behind_times(&mut self, within: Range<u64>, path: &[&[u8; 4]]) -> Result<Option<u32>> {
        let Some(content) = self.path(within, path)? else {
            return Ok(None);
        };
        let at = match self.field::<1>(&content, 0)? {
            Some([1]) => 20,
            _ => 12,
        };
        Ok(self.field(&content, at)?.map(u32::from_be_bytes))
    }

    /// The edits of a track that are not empty, no more than two.
    fn edits(&mut self, track: Range<u64>, movie_scale: Option<u32>) -> Result<Vec<Edit>> {
        let scale = self.word_behind_times(track.clone(), &[b"mdia", b"mdhd"])?;
        let list = self.path(track, &[b"edts", b"elst"])?;
        let (Some(list), Some(scale @ 1..), Some(movie_scale @ 1..)) = (list, scale, movie_scale)
        else {
            return Ok(Vec::new());
        };
        let Some([version, _, _, _, count @ ..]) = self.field::<8>(&list, 0)? else {
            return Ok(Vec::new());
        };
        let mut edits = Vec::new();
        for number in 0..u64::from(u32::from_be_bytes(count)) {
            let Some((ticks, begin)) = self.edit(&list, version, number)? else {
                break;
            };
            edits.extend(u64::try_from(begin).ok().map(|begin| Edit {
                begin: Time {
                    ticks: begin,
                    scale,
                },
                length: Time {
                    ticks,
                    scale: movie_scale,
                },
            }));
            if edits.len() > 1 {
                break;
            }
        }
        Ok(edits)
    }

    /// An entry of an edit list: its length in the movie's ticks, and where it begins in the track's; -1 for none.
    fn edit(&mut self, list: &Range<u64>, version: u8, number: u64) -> Result<Option<(u64, i64)>> {
        Ok(match version {
            1 => (self.field(list, 8 + 20 * number)?).map(|entry: [u8; 16]| {
                let [length @ .., _, _, _, _, _, _, _, _] = entry;
                let [_, _, _, _, _, _, _, _, begin @ ..] = entry;
                (u64::from_be_bytes(length), i64::from_be_bytes(begin))
            }),
            _ => (self.field(list, 8 + 12 * number)?).map(|[a, b, c, d, begin @ ..]: [u8; 8]| {
                let length = u32::from_be_bytes([a, b, c, d]);
                (length.into(), i32::from_be_bytes(begin).into())
            }),
        })
    }

    /// `iTunSMPB`, text of hexadecimal words: nothing, the delay, the padding, the samples between.
    fn itunes(&mut self, movie: Range<u64>) -> Result<Option<Presented>> {
        const FULL_BOX: u64 = 4;
        const LONGEST: usize = 1 << 12;
        let Some(meta) = self.path(movie, &[b"udta", b"meta"])? else {
            return Ok(None);
        };
        let Some(list) = self.find(meta.start + FULL_BOX..meta.end, b"ilst")? else {
            return Ok(None);
        };
        for (_, content) in self
            .children(list)?
            .into_iter()
            .filter(|(id, _)| id == b"----")
        {
            self.bytes.go_to(content.start, self.name)?;
            let length = (content.end - content.start).min(LONGEST as u64) as usize;
            let item = self.bytes.next(length).map_err(Error::io(self.name))?;
            let item = String::from_utf8_lossy(&item);
            if let Some((_, text)) = item.split_once("iTunSMPB") {
                return Ok(gapless(text));
            }
        }
        Ok(None)
    }
}

/// The words after a `data` box's header.
fn gapless(text: &str) -> Option<Presented> {
    let (_, text) = text.split_once("data")?;
    let words = text
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter(|word| word.len() >= 8);
    let mut words = words.map(|word| u64::from_str_radix(word, 16).ok());
    let (skip, samples) = (words.nth(1)??, words.nth(1)??);
    Some(Presented {
        skip,
        samples: if samples == 0 { u64::MAX } else { samples },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gapless_words_are_delay_and_samples() {
        let text =
            "\0\0\0\x40data\0\0\0\x01\0\0\0\0 00000000 00000840 000001CA 000000000000FFFF 00000000";
        let expected = Presented {
            skip: 0x840,
            samples: 0xffff,
        };
        assert_eq!(gapless(text), Some(expected));
        assert_eq!(gapless("data 00000000 00000840"), None);
    }
}
