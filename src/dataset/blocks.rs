//! One utterance's samples in blocks: a whole recording or a segment of one, at a given sample rate.

use std::path::Path;
use std::sync::Arc;

use super::segments::Segment;
use crate::error::{Error, Result};
use crate::io::audio::{AudioReader, MOST_RESERVED, MOST_SAMPLES, Waveform};
use crate::io::kaldi::{RowShelf, RowSpool};
use crate::signal::FrontEnd;
use crate::signal::resample::StreamResampler;

/// As in Kaldi, a segment may end this many seconds after its recording; the rest is cut off.
pub(super) const OVERSHOOT_S: f64 = 0.5;

/// One pass through a recording, which keeps what later segments need.
pub(super) struct Track {
    reader: AudioReader,
    held: Vec<f32>,
    /// The index of the first sample in memory.
    held_at: u64,
    keep_from: u64,
    over: bool,
    /// Whether reading failed, so that the recording gives nothing more.
    pub(super) broken: bool,
    shelf: Arc<RowShelf>,
}

impl Track {
    pub(super) fn new(reader: AudioReader) -> Self {
        Self {
            reader,
            held: Vec::new(),
            held_at: 0,
            keep_from: u64::MAX,
            over: false,
            broken: false,
            shelf: Arc::default(),
        }
    }

    /// Begins at this time, in seconds, as far as that is quicker than to read on; false where the recording has to be opened
    /// anew for that.
    pub(super) fn skip_to(&mut self, start: f64) -> Result<bool> {
        let position = self.reader.skip_to(self.sample_at(start))?;
        self.held_at = position.unwrap_or(0);
        Ok(position.is_some())
    }

    /// Whether nothing before this time, in seconds, is to be read.
    pub(super) fn begins_at(&self, start: f64) -> bool {
        self.held_at == self.sample_at(start)
    }

    /// Keeps samples from this time on, in seconds.
    pub(super) fn keep_from(&mut self, start: f64) {
        self.keep_from = self.sample_at(start);
    }

    /// Reads the rest, which shows whether the recording is complete.
    pub(super) fn read_to_end(&mut self) -> Result<()> {
        while !self.over {
            self.keep_from = u64::MAX;
            self.read_on(u64::MAX)?;
        }
        Ok(())
    }

    /// The index of the sample at a time in seconds; the largest index for a time beyond all.
    fn sample_at(&self, seconds: f64) -> u64 {
        (seconds * f64::from(self.reader.sample_rate_hz())).round() as u64
    }

    fn end(&self) -> u64 {
        self.held_at + self.held.len() as u64
    }

    /// Reads one block, after dropping what lies before `position` and is not needed any more.
    fn read_on(&mut self, position: u64) -> Result<()> {
        let surplus = position.min(self.keep_from).saturating_sub(self.held_at);
        let surplus = surplus.min(self.held.len() as u64);
        self.held.drain(..surplus as usize);
        self.held_at += surplus;
        match self.reader.next_block() {
            Ok(Some(block)) => self.held.extend_from_slice(block),
            Ok(None) => self.over = true,
            Err(error) => {
                (self.over, self.broken) = (true, true);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The samples from `position` to `end` at most, as far as they are in memory; none after the recording's end.
    fn part(&mut self, position: u64, end: u64) -> Result<&[f32]> {
        while self.end() <= position && !self.over {
            self.read_on(position)?;
        }
        let at = |sample: u64| (sample.clamp(self.held_at, self.end()) - self.held_at) as usize;
        Ok(&self.held[at(position)..at(end)])
    }
}

/// Returns the samples of one utterance.
pub struct UtteranceBlocks<'a> {
    track: &'a mut Track,
    utterance: &'a str,
    /// A segment, and the list that it is in.
    cut: Option<(&'a Segment, &'a Path)>,
    position: u64,
    end: u64,
    over: bool,
    resampler: Option<StreamResampler>,
    sample_rate_hz: u32,
    block: Vec<f32>,
}

impl<'a> UtteranceBlocks<'a> {
    pub(super) fn new(
        track: &'a mut Track,
        utterance: &'a str,
        cut: Option<(&'a Segment, &'a Path)>,
        resample_hz: Option<u32>,
    ) -> Result<Self> {
        let from_hz = track.reader.sample_rate_hz();
        let to_hz = resample_hz.unwrap_or(from_hz);
        let (begin, end) = match cut {
            None => (0, u64::MAX),
            Some((segment, _)) => (track.sample_at(segment.start), track.sample_at(segment.end)),
        };
        Ok(Self {
            track,
            utterance,
            cut,
            position: begin,
            end,
            over: false,
            resampler: match to_hz == from_hz {
                true => None,
                false => Some(StreamResampler::new(from_hz, to_hz)?),
            },
            sample_rate_hz: to_hz,
            block: Vec::new(),
        })
    }

    /// Its key in the list.
    pub fn utterance(&self) -> &str {
        self.utterance
    }

    /// The features of the utterance, `[frames, columns]`, as its blocks settle them.
    ///
    /// # Errors
    /// [`Error::Option`] for another sample rate than the front-end's, or fewer samples than a frame; errors of reading.
    pub fn features(mut self, front_end: &FrontEnd) -> Result<RowSpool> {
        front_end.check_rate(self.sample_rate_hz())?;
        let (mut stream, mut samples) = (front_end.stream(), 0);
        let mut rows = RowSpool::on(self.shelf());
        while let Some(block) = self.next_block()? {
            samples += block.len();
            rows.push_rows(stream.accept(block)?.view())?;
        }
        front_end.check_length(samples)?;
        rows.push_rows(stream.finish()?.view())?;
        Ok(rows)
    }

    /// Where matrices of this recording's utterances are kept until the recording has proved complete.
    pub fn shelf(&self) -> &Arc<RowShelf> {
        &self.track.shelf
    }

    /// Sample rate of the result, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// The sample rate of the recording itself, in Hz.
    pub fn recorded_hz(&self) -> u32 {
        self.track.reader.sample_rate_hz()
    }

    /// The next samples, never an empty block; `None` at the end. All blocks together are the result of
    /// [`UtteranceBlocks::read_to_end`].
    ///
    /// # Errors
    /// As [`AudioReader::next_block`]; [`Error::Key`] for a segment without samples, or one that ends more than half a
    /// second after its recording, which shows only there.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>> {
        self.block.clear();
        while self.block.is_empty() && !self.over {
            let part = self.track.part(self.position, self.end)?;
            self.position += part.len() as u64;
            self.over = part.is_empty();
            match &mut self.resampler {
                Some(resampler) => resampler.push(part, &mut self.block)?,
                None => self.block.extend_from_slice(part),
            }
            if self.over {
                self.check_end()?;
                if let Some(resampler) = self.resampler.take() {
                    resampler.finish(&mut self.block)?;
                }
            }
        }
        Ok((!self.block.is_empty()).then_some(&self.block))
    }

    /// The rest of the utterance.
    ///
    /// # Errors
    /// As [`UtteranceBlocks::next_block`]; and [`Error::Option`] for more than 2^30 samples.
    pub fn read_to_end(mut self) -> Result<Waveform> {
        let mut samples = Vec::with_capacity(self.stated_samples().min(MOST_RESERVED) as usize);
        while let Some(block) = self.next_block()? {
            if samples.len() + block.len() > MOST_SAMPLES {
                let expected = format!("at most {MOST_SAMPLES} samples");
                return Err(Error::option("utterance", expected, "more"));
            }
            samples.extend_from_slice(block);
        }
        Ok(Waveform {
            samples,
            sample_rate_hz: self.sample_rate_hz,
        })
    }

    /// The samples that are left if the recording is as long as it states; 0 where it does not.
    fn stated_samples(&self) -> u64 {
        let all = self.track.reader.stated_samples().unwrap_or(0);
        let left = all.min(self.end).saturating_sub(self.position);
        left.saturating_mul(self.sample_rate_hz.into())
            .div_ceil(self.recorded_hz().into())
    }

    /// The error of a segment without further samples.
    fn check_end(&self) -> Result<()> {
        let Some((segment, list)) = self.cut else {
            return Ok(());
        };
        let rate = f64::from(self.track.reader.sample_rate_hz());
        let duration = self.track.end() as f64 / rate;
        let to_the_end = segment.end.is_infinite();
        if self.position < self.end && segment.end > duration + OVERSHOOT_S && !to_the_end {
            let recording = &segment.recording;
            let expected = format!("a segment within the {duration:.3} s of '{recording}'");
            let found = format!("an end at {} s", segment.end);
            return Err(Error::key(list, self.utterance, expected, found));
        }
        if self.position == self.track.sample_at(segment.start) {
            let end = if to_the_end { duration } else { segment.end };
            let found = format!("none from {} to {end} s", segment.start);
            return Err(Error::key(
                list,
                self.utterance,
                "samples in the segment",
                found,
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::audio::{AudioOptions, write_wav};

    #[test]
    fn a_long_recording_is_not_kept_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let waveform = Waveform {
            samples: vec![0.25; 1_000_000],
            sample_rate_hz: 1000,
        };
        write_wav(&path, &waveform).unwrap();
        let mut track = Track::new(AudioReader::open(&path, &AudioOptions::default()).unwrap());
        let mut most = 0;
        for start in 0..9 {
            let segment = Segment {
                recording: "a".into(),
                start: 100.0 * f64::from(start),
                end: 100.0 * f64::from(start) + 150.0,
            };
            track.keep_from(segment.start + 100.0);
            let cut = Some((&segment, Path::new("segments")));
            let mut blocks = UtteranceBlocks::new(&mut track, "u", cut, None).unwrap();
            let mut count = 0;
            while let Some(block) = blocks.next_block().unwrap() {
                count += block.len();
                most = most.max(blocks.track.held.len());
            }
            assert_eq!(count, 150_000);
        }
        // Two blocks of 64 KiB belong to the reader; an overlap of 50 s is 50,000 samples.
        assert!(most < 50_000 + 2 * 32_768, "{most}");
        track.read_to_end().unwrap();
    }
}
