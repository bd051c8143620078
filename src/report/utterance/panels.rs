//! The panels from top to bottom; each one moves the sheet to the top of the next.

use super::super::picture::{Anchor, Image, LEVELS, Shape};
use super::axis::{round_up, ticks};
use super::spectrogram::{RANGE_DB, levels, top_hz};
use super::{
    BLUE, FeatureTrack, FrameTimes, GAP, GREY, INK, LEFT, NUMBERS, ORANGE, PALE, PitchTrack, Sheet,
    WORDS, frame_start,
};
use crate::io::audio::Waveform;
use crate::signal::pitch::probability_of_voicing;

const WAVEFORM: f64 = 100.0;
const SPECTROGRAM: f64 = 200.0;
const FEATURES: f64 = 150.0;
/// Of sounds side by side.
const BARE: f64 = 170.0;
const PITCH: f64 = 120.0;
/// A scale of colours beside a panel.
const SCALE_WIDTH: usize = 12;
/// The height of a number on an axis, in pixels.
const TICK: f64 = 34.0;

/// A vertical axis: its values at the bottom and the top of a panel.
struct Upright {
    values: (f64, f64),
    top: f64,
    height: f64,
}

impl Upright {
    fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        self.top + self.height * (1.0 - ((value - low) / (high - low)).clamp(0.0, 1.0))
    }

    /// Numbers beside the panel, and its name.
    fn draw(&self, sheet: &mut Sheet, name: &str) {
        let (low, high) = self.values;
        self.draw_ticks(sheet, name, &ticks(low, high, self.height / TICK));
    }

    /// [`Upright::draw`] with numbers of choice.
    fn draw_ticks(&self, sheet: &mut Sheet, name: &str, ticks: &[(f64, String)]) {
        for (value, text) in ticks {
            let y = self.at(*value);
            sheet.line(vec![(LEFT - 4.0, y), (LEFT, y)], GREY, 1.0);
            let at = (LEFT - 8.0, y + NUMBERS * 0.36);
            sheet.text(at, text, Anchor::End, NUMBERS, INK);
        }
        sheet.axis_name(self.top, self.height, name);
    }
}

/// Amplitude over time: of each pixel column the lowest and highest sample, or the samples where they are few.
pub(super) fn waveform(sheet: &mut Sheet, waveform: &Waveform) {
    let peak = waveform
        .samples
        .iter()
        .fold(0.0f32, |peak, x| peak.max(x.abs()));
    let limit = round_up(f64::from(peak).max(1e-6));
    let upright = Upright {
        values: (-limit, limit),
        top: sheet.top,
        height: WAVEFORM,
    };
    let (left, right) = sheet.time.pixels;
    sheet.line(
        vec![(left, upright.at(0.0)), (right, upright.at(0.0))],
        PALE,
        1.0,
    );
    let columns = sheet.time.width() as usize;
    let count = waveform.samples.len();
    if count <= 2 * columns {
        let rate = f64::from(waveform.sample_rate_hz);
        let samples = waveform.samples.iter().enumerate();
        let points = samples
            .map(|(at, x)| {
                (
                    sheet.time.at((at as f64 + 0.5) / rate),
                    upright.at(f64::from(*x)),
                )
            })
            .collect();
        sheet.line(points, BLUE, 1.0);
    } else {
        envelope(sheet, &upright, &waveform.samples, columns);
    }
    sheet.frame(upright.top, WAVEFORM);
    let marks = [-limit, 0.0, limit].map(|value| (value, significant(value)));
    upright.draw_ticks(sheet, "amplitude", &marks);
    sheet.top += WAVEFORM + GAP;
}

/// A number with one or two digits, without rounding errors of binary fractions.
fn significant(value: f64) -> String {
    match value == 0.0 || (1e-3..1e3).contains(&value.abs()) {
        true => format!("{}", (value * 1e5).round() / 1e5),
        false => format!("{value:.1e}"),
    }
}

fn envelope(sheet: &mut Sheet, upright: &Upright, samples: &[f32], columns: usize) {
    let (mut above, mut below) = (Vec::new(), Vec::new());
    for column in 0..columns {
        let from = column * samples.len() / columns;
        let to = (column + 1) * samples.len() / columns;
        let part = &samples[from..to];
        let low = part.iter().copied().fold(f32::INFINITY, f32::min);
        let high = part.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let x = sheet.time.pixels.0 + column as f64 + 0.5;
        // Half a pixel each way, so that silence is a line.
        above.push((x, upright.at(f64::from(high)) - 0.5));
        below.push((x, upright.at(f64::from(low)) + 0.5));
    }
    above.extend(below.into_iter().rev());
    sheet.shapes.push(Shape::Area {
        points: above,
        fill: BLUE,
    });
}

/// Power over time and frequency.
pub(super) fn spectrogram(sheet: &mut Sheet, waveform: &Waveform) {
    let (top, rows) = (sheet.top, SPECTROGRAM as usize);
    let columns = sheet.time.width() as usize;
    let image = Image::new(columns, rows, levels(waveform, columns, rows));
    let at = (sheet.time.pixels.0, top);
    sheet.shapes.push(Shape::Raster { at, image });
    sheet.frame(top, SPECTROGRAM);
    sheet.rasters.push((top, SPECTROGRAM));
    let upright = Upright {
        values: (0.0, top_hz(waveform) / 1000.0),
        top,
        height: SPECTROGRAM,
    };
    upright.draw(sheet, "frequency, kHz");
    scale(sheet, SPECTROGRAM, (-RANGE_DB, 0.0), "dB");
    sheet.top += SPECTROGRAM + GAP;
}

/// The same over the audio's part of the axis, without a colour scale.
pub(super) fn bare_spectrogram(sheet: &mut Sheet, waveform: &Waveform) {
    let (top, rows) = (sheet.top, BARE as usize);
    let left = sheet.time.pixels.0;
    let columns = (sheet.time.at(waveform.duration_s()) - left).max(1.0) as usize;
    let image = Image::new(columns, rows, levels(waveform, columns, rows));
    sheet.shapes.push(Shape::Raster {
        at: (left, top),
        image,
    });
    sheet.frame(top, BARE);
    let upright = Upright {
        values: (0.0, top_hz(waveform) / 1000.0),
        top,
        height: BARE,
    };
    let marks = ticks(0.0, upright.values.1, BARE / TICK);
    for (value, text) in &marks {
        let y = upright.at(*value);
        sheet.line(vec![(left - 4.0, y), (left, y)], GREY, 1.0);
        let at = (left - 8.0, y + NUMBERS * 0.36);
        sheet.text(at, text, Anchor::End, NUMBERS, INK);
    }
    sheet.axis_name(top, BARE, "frequency, kHz");
    sheet.top += BARE + GAP;
}

/// Features as a raster, one block per value. The lowest and the highest percent of values are clipped.
pub(super) fn features(sheet: &mut Sheet, feats: &FeatureTrack, times: FrameTimes) {
    let (top, rows) = (sheet.top, FEATURES as usize);
    let (frames, dim) = feats.values.dim();
    let mut sorted: Vec<f32> = feats.values.iter().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let share = |part: usize| f64::from(sorted[(sorted.len() - 1) * part / 100]);
    let (low, high) = (share(1), share(99));
    let level = |value: f32| {
        let part = match high > low {
            true => (f64::from(value) - low) / (high - low),
            false => 0.5,
        };
        (part.clamp(0.0, 1.0) * (LEVELS - 1) as f64).round() as u8
    };
    let first = sheet.time.at(frame_start(0, times)).round();
    let last = sheet.time.at(frame_start(frames, times)).round();
    let columns = ((last - first) as usize).max(1);
    let shift = times.shift_ms / 1000.0;
    let mut values = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        let bin = (rows - 1 - row) * dim / rows;
        for column in 0..columns {
            let moment = sheet.time.moment(first + column as f64 + 0.5);
            let frame = ((moment - frame_start(0, times)) / shift) as usize;
            values.push(level(feats.values[[frame.min(frames - 1), bin]]));
        }
    }
    let image = Image::new(columns, rows, values);
    sheet.shapes.push(Shape::Raster {
        at: (first, top),
        image,
    });
    sheet.frame(top, FEATURES);
    sheet.rasters.push((top, FEATURES));
    let upright = Upright {
        values: (-0.5, dim as f64 - 0.5),
        top,
        height: FEATURES,
    };
    upright.draw_ticks(sheet, &feats.label, &columns_to_mark(dim));
    scale(sheet, FEATURES, (low, high), "");
    sheet.top += FEATURES + GAP;
}

/// The columns with ticks: round whole numbers.
fn columns_to_mark(dim: usize) -> Vec<(f64, String)> {
    let round = ticks(0.0, dim as f64 - 1.0, FEATURES / TICK);
    let whole = round.into_iter().map(|(value, _)| value);
    let marks = whole.filter(|value| value.fract() == 0.0);
    // One column has no span.
    let marks = marks.chain((dim == 1).then_some(0.0));
    marks.map(|value| (value, format!("{value}"))).collect()
}

/// Pitch: dots where the frame is more likely voiced than not.
pub(super) fn pitch(sheet: &mut Sheet, pitch: &PitchTrack) {
    let upright = Upright {
        values: pitch.range_hz,
        top: sheet.top,
        height: PITCH,
    };
    let (left, right) = sheet.time.pixels;
    for (value, _) in ticks(pitch.range_hz.0, pitch.range_hz.1, PITCH / TICK) {
        let y = upright.at(value);
        sheet.line(vec![(left, y), (right, y)], PALE, 1.0);
    }
    let place = |frame: usize| {
        let moment = (pitch.times.first_ms + frame as f64 * pitch.times.shift_ms) / 1000.0;
        (
            sheet.time.at(moment),
            upright.at(f64::from(pitch.values[[frame, 1]])),
        )
    };
    let voiced = |frame: &usize| probability_of_voicing(f64::from(pitch.values[[*frame, 0]])) > 0.5;
    let frames = pitch.values.nrows();
    let all: Vec<_> = (0..frames).map(place).collect();
    let points = (0..frames).filter(voiced).map(place).collect();
    sheet.line(all, GREY, 0.7);
    sheet.shapes.push(Shape::Dots {
        points,
        radius: 2.2,
        fill: ORANGE,
    });
    sheet.frame(upright.top, PITCH);
    upright.draw(sheet, "pitch, Hz");
    let beside = right + 10.0;
    let middle = upright.top + PITCH / 2.0;
    sheet.shapes.push(Shape::Dots {
        points: vec![(beside + 5.0, middle - 10.0)],
        radius: 2.2,
        fill: ORANGE,
    });
    sheet.line(
        vec![(beside, middle + 10.0), (beside + 10.0, middle + 10.0)],
        GREY,
        0.7,
    );
    for (words, y) in [("voiced", middle - 6.0), ("other", middle + 14.0)] {
        sheet.text((beside + 16.0, y), words, Anchor::Start, NUMBERS, INK);
    }
    sheet.top += PITCH + GAP;
}

/// The colour scale beside the panel that begins at the sheet's top.
fn scale(sheet: &mut Sheet, height: f64, values: (f64, f64), unit: &str) {
    let (top, rows) = (sheet.top, height as usize);
    let left = (sheet.time.pixels.1 + 10.0).round();
    let level = |row: usize| ((rows - 1 - row) * (LEVELS - 1) / (rows - 1)) as u8;
    let levels = (0..rows)
        .flat_map(|row| [level(row); SCALE_WIDTH])
        .collect();
    sheet.shapes.push(Shape::Raster {
        at: (left, top),
        image: Image::new(SCALE_WIDTH, rows, levels),
    });
    let upright = Upright {
        values,
        top,
        height,
    };
    let beside = left + SCALE_WIDTH as f64;
    for (value, text) in ticks(values.0, values.1, height / TICK) {
        // No number next to the unit in the upper corner.
        let y = (upright.at(value) + NUMBERS * 0.36).min(top + height);
        if unit.is_empty() || y > top + NUMBERS * 2.0 {
            let y = y.max(top + NUMBERS * 0.8);
            sheet.text((beside + 4.0, y), &text, Anchor::Start, NUMBERS, INK);
        }
    }
    let corner = (beside + 4.0, top + NUMBERS * 0.8);
    if !unit.is_empty() {
        sheet.text(corner, unit, Anchor::Start, NUMBERS, INK);
    }
}

/// Draws the time axis below all panels; returns the bottom of the picture.
pub(super) fn seconds(sheet: &mut Sheet) -> f64 {
    let y = sheet.top - GAP + 6.0;
    let time = sheet.time;
    let (left, right) = time.pixels;
    sheet.line(vec![(left, y), (right, y)], GREY, 1.0);
    for (moment, text) in ticks(0.0, time.seconds, time.width() / 80.0) {
        let x = time.at(moment);
        sheet.line(vec![(x, y), (x, y + 5.0)], GREY, 1.0);
        sheet.text((x, y + 19.0), &text, Anchor::Middle, NUMBERS, INK);
    }
    let middle = (left + right) / 2.0;
    sheet.text((middle, y + 38.0), "time, s", Anchor::Middle, WORDS, INK);
    y + 48.0
}
