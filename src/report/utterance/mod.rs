//! A picture of an utterance: waveform and spectrogram, and optionally features, pitch, voice activity and phones, one above
//! the other over a common time axis.

mod axis;
mod panels;
mod spectrogram;
mod tier;

use ndarray::{Array1, Array2, ArrayView2};

use self::axis::TimeAxis;
pub(super) use self::axis::ticks;
use super::picture::{Anchor, Colour, Picture, Place, Shape, TextStyle, text_width};
use crate::dataset::alignment::{FrameTimes, TimedPhone};
use crate::error::{Error, Result};
use crate::io::audio::Waveform;

/// Margins: names and numbers of axes to the left, scales of colours to the right.
const LEFT: f64 = 76.0;
const RIGHT: f64 = 84.0;
const TOP: f64 = 40.0;
const GAP: f64 = 18.0;
/// Sizes of fonts in pixels.
const TITLE: f64 = 16.0;
const WORDS: f64 = 13.0;
const NUMBERS: f64 = 12.0;

const INK: Colour = Colour([34, 34, 34, 255]);
const GREY: Colour = Colour([120, 120, 120, 255]);
const PALE: Colour = Colour([225, 225, 225, 255]);
/// Colours of Okabe and Ito (2008), which colour-blind readers can distinguish.
const BLUE: Colour = Colour([0, 114, 178, 255]);
const ORANGE: Colour = Colour([213, 94, 0, 255]);
const GREEN: Colour = Colour([0, 158, 115, 255]);

/// The range of default widths, in pixels.
const WIDTHS: (f64, f64) = (900.0, 6000.0);
/// Pixels per second.
const PACE: f64 = 130.0;
/// The tolerance of lengths in seconds: features lose up to a frame at the end.
const SLACK_S: f64 = 0.06;

/// Features of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTrack {
    /// `[frames, dim]`.
    pub values: Array2<f32>,
    /// The name of the columns, the label of the axis: `mel bin`.
    pub label: String,
}

/// Pitch of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct PitchTrack {
    /// Correlation and Hz, `[frames, 2]`, as [`crate::signal::pitch`] gives them.
    pub values: Array2<f32>,
    /// The times of its frames.
    pub times: FrameTimes,
    /// Lowest and highest pitch of the axis, in Hz.
    pub range_hz: (f64, f64),
}

/// The contents of the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct UtterancePlot {
    /// Title.
    pub title: String,
    /// The audio.
    pub waveform: Waveform,
    /// The times of the frames of features and voice activity.
    pub times: FrameTimes,
    /// Features, if any.
    pub feats: Option<FeatureTrack>,
    /// 1 for each voiced frame, 0 for others, if any.
    pub voiced: Option<Array1<f32>>,
    /// Pitch, if any.
    pub pitch: Option<PitchTrack>,
    /// Phones in order of time, if any.
    pub phones: Option<Vec<TimedPhone<String>>>,
    /// Width in pixels; none: 900 to 6000, depending on duration and phones.
    pub width: Option<usize>,
}

impl UtterancePlot {
    /// Draws it.
    ///
    /// # Errors
    /// [`Error::Option`] naming `feats`, `vad`, `alignments` or `pitch` when its length is not that of the sound, or a
    /// value of it is not finite; `width` below 300 or above 20000 pixels.
    pub fn picture(&self) -> Result<Picture> {
        self.check()?;
        let width = match self.width {
            Some(width) => width as f64,
            None => self.natural_width(),
        };
        let seconds = self.waveform.duration_s();
        let time = TimeAxis::new(seconds, (LEFT, width - RIGHT));
        let mut sheet = Sheet::new(time);
        let headline = fitted(&self.headline(), width - LEFT - 4.0, TITLE);
        sheet.text((LEFT, 25.0), &headline, Anchor::Start, TITLE, INK);
        sheet.top = TOP;
        panels::waveform(&mut sheet, &self.waveform);
        panels::spectrogram(&mut sheet, &self.waveform);
        if let Some(feats) = &self.feats {
            panels::features(&mut sheet, feats, self.times);
        }
        if let Some(pitch) = &self.pitch {
            panels::pitch(&mut sheet, pitch);
        }
        if let Some(voiced) = &self.voiced {
            tier::voiced(&mut sheet, voiced.view(), self.times);
        }
        if let Some(phones) = &self.phones {
            tier::phones(&mut sheet, phones);
        }
        let height = panels::seconds(&mut sheet);
        Ok(Picture {
            width: width as usize,
            height: height.ceil() as usize,
            title: self.headline(),
            shapes: sheet.shapes,
        })
    }

    fn headline(&self) -> String {
        let rate_hz = self.waveform.sample_rate_hz;
        format!(
            "{}  ({:.2} s, {rate_hz} Hz)",
            self.title,
            self.waveform.duration_s()
        )
    }

    fn natural_width(&self) -> f64 {
        let seconds = self.waveform.duration_s();
        let pace = self
            .phones
            .as_deref()
            .map_or(PACE, |phones| tier::pace(phones).max(PACE));
        let title = LEFT + text_width(&self.headline(), TITLE) + 10.0;
        (LEFT + RIGHT + pace * seconds)
            .max(title)
            .clamp(WIDTHS.0, WIDTHS.1)
            .round()
    }

    fn check(&self) -> Result<()> {
        if let Some(width) = self.width.filter(|width| !(300..=20_000).contains(width)) {
            return Err(Error::option(
                "width",
                "300 to 20000 pixels",
                width.to_string(),
            ));
        }
        let seconds = self.waveform.duration_s();
        if let Some(FeatureTrack { values, .. }) = &self.feats {
            check_track("feats", values.view(), self.times, seconds)?;
        }
        if let Some(voiced) = &self.voiced {
            let column = voiced.view().insert_axis(ndarray::Axis(1));
            check_track("vad", column, self.times, seconds)?;
        }
        if let (Some(feats), Some(voiced)) = (&self.feats, &self.voiced)
            && feats.values.nrows() != voiced.len()
        {
            let expected = format!(
                "{} entries, one for each frame of feats",
                feats.values.nrows()
            );
            return Err(Error::option("vad", expected, voiced.len().to_string()));
        }
        if let Some(pitch) = &self.pitch {
            check_track("pitch", pitch.values.view(), pitch.times, seconds)?;
        }
        let ends = self
            .phones
            .iter()
            .flatten()
            .map(|phone| phone.start + phone.duration);
        let end = ends.fold(0.0, f64::max);
        if end > seconds + SLACK_S {
            let expected = format!("phones within the {seconds:.3} s of the audio");
            return Err(Error::option(
                "alignments",
                expected,
                format!("an end at {end:.3} s"),
            ));
        }
        Ok(())
    }
}

/// A spectrogram alone, 360 pixels wide, on an axis of `seconds`: for clips side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrogramPlot<'a> {
    /// A description for screen readers.
    pub title: &'a str,
    /// The audio.
    pub waveform: &'a Waveform,
    /// The end of the axis, at least the length of the audio.
    pub seconds: f64,
}

impl SpectrogramPlot<'_> {
    /// Draws it. Colours are levels relative to the maximum, over 70 dB.
    pub fn picture(&self) -> Picture {
        const WIDTH: f64 = 360.0;
        let seconds = self.seconds.max(self.waveform.duration_s()).max(1e-3);
        let mut sheet = Sheet::new(TimeAxis::new(seconds, (LEFT - 22.0, WIDTH - 10.0)));
        sheet.top = 8.0;
        panels::bare_spectrogram(&mut sheet, self.waveform);
        let height = panels::seconds(&mut sheet);
        Picture {
            width: WIDTH as usize,
            height: height.ceil() as usize,
            title: self.title.to_string(),
            shapes: sheet.shapes,
        }
    }
}

/// Checks the number of frames against the length of the audio.
fn check_track(
    name: &str,
    values: ArrayView2<'_, f32>,
    times: FrameTimes,
    seconds: f64,
) -> Result<()> {
    let end = frame_start(values.nrows(), times);
    let slack = SLACK_S + times.shift_ms / 1000.0;
    if values.is_empty() || (end - seconds).abs() > slack {
        let frames = (seconds / times.shift_ms * 1000.0).round();
        let expected = format!(
            "about {frames} frames, one each {} ms of {seconds:.3} s",
            times.shift_ms
        );
        return Err(Error::option(name, expected, values.nrows().to_string()));
    }
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(Error::option(name, "finite values", value.to_string())),
    }
}

/// The start of a frame's part of the time axis, in seconds: half a shift before its centre.
fn frame_start(frame: usize, times: FrameTimes) -> f64 {
    (times.first_ms + (frame as f64 - 0.5) * times.shift_ms) / 1000.0
}

/// A text, shortened to at most `width` pixels.
fn fitted(words: &str, width: f64, size: f64) -> String {
    let mut kept = words.to_string();
    while !kept.is_empty() && text_width(&kept, size) > width {
        let mut letters: Vec<char> = kept.chars().collect();
        letters.truncate(letters.len().saturating_sub(2));
        kept = letters.into_iter().collect();
        if !kept.is_empty() {
            kept.push('\u{2026}');
        }
    }
    kept
}

/// The picture under construction, from top to bottom.
struct Sheet {
    time: TimeAxis,
    /// The top of the next panel.
    top: f64,
    /// Panels of colours, where boundaries of phones are drawn: top and height.
    rasters: Vec<(f64, f64)>,
    shapes: Vec<Shape>,
}

impl Sheet {
    fn new(time: TimeAxis) -> Self {
        Self {
            time,
            top: TOP,
            rasters: Vec::new(),
            shapes: Vec::new(),
        }
    }

    fn text(&mut self, at: Place, words: &str, anchor: Anchor, size: f64, fill: Colour) {
        let style = TextStyle {
            size,
            anchor,
            upwards: false,
            fill,
        };
        let words = words.to_string();
        self.shapes.push(Shape::Text { at, words, style });
    }

    fn line(&mut self, points: Vec<Place>, stroke: Colour, width: f64) {
        self.shapes.push(Shape::Line {
            points,
            stroke,
            width,
        });
    }

    fn rectangle(&mut self, at: Place, size: (f64, f64), fill: Colour) {
        self.shapes.push(Shape::Rectangle { at, size, fill });
    }

    /// A panel's outline.
    fn frame(&mut self, top: f64, height: f64) {
        let (left, right) = self.time.pixels;
        let bottom = top + height;
        let corners = vec![
            (left, top),
            (right, top),
            (right, bottom),
            (left, bottom),
            (left, top),
        ];
        self.line(corners, GREY, 1.0);
    }

    /// The name of a panel's axis, written upwards beside it.
    fn axis_name(&mut self, top: f64, height: f64, name: &str) {
        self.shapes.push(Shape::Text {
            at: (18.0, top + height / 2.0),
            words: fitted(name, height + GAP, WORDS),
            style: TextStyle {
                size: WORDS,
                anchor: Anchor::Middle,
                upwards: true,
                fill: INK,
            },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array;

    fn phone(start: f64, duration: f64, phone: &str) -> TimedPhone<String> {
        TimedPhone {
            start,
            duration,
            phone: phone.into(),
        }
    }

    fn plot() -> UtterancePlot {
        let tone = |i: usize| (i as f32 * 0.08).sin() * 0.4;
        let times = FrameTimes {
            shift_ms: 10.0,
            first_ms: 5.0,
        };
        UtterancePlot {
            title: "a<b".into(),
            waveform: Waveform {
                samples: (0..16000).map(tone).collect(),
                sample_rate_hz: 16000,
            },
            times,
            feats: Some(FeatureTrack {
                values: Array::from_shape_fn((100, 4), |(t, d)| (t * d) as f32),
                label: "mel bin".into(),
            }),
            voiced: Some(Array::from_shape_fn(100, |t| f32::from(u8::from(t > 30)))),
            pitch: Some(PitchTrack {
                values: Array::from_shape_fn((98, 2), |(_, d)| [0.9, 203.7][d]),
                times,
                range_hz: (50.0, 400.0),
            }),
            phones: Some(vec![phone(0.1, 0.2, "sil"), phone(0.3, 0.5, "\u{259}")]),
            width: None,
        }
    }

    fn words(picture: &Picture) -> Vec<&str> {
        picture
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Text { words, .. } => Some(words.as_str()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn everything_has_its_name_and_unit() {
        let picture = plot().picture().unwrap();
        let words = words(&picture);
        for part in [
            "a<b  (1.00 s, 16000 Hz)",
            "amplitude",
            "frequency, kHz",
            "mel bin",
            "pitch, Hz",
            "voiced",
            "phones",
            "\u{259}",
            "time, s",
            "dB",
        ] {
            assert!(words.contains(&part), "{part}: {words:?}");
        }
    }

    #[test]
    fn no_word_leaves_the_paper() {
        let long = "a very long name of an utterance ".repeat(9);
        for (width, name) in [(None, "u"), (Some(300), &*long), (Some(2000), "u")] {
            let mut plot = UtterancePlot { width, ..plot() };
            plot.title = name.into();
            plot.feats.as_mut().unwrap().label = name.into();
            let picture = plot.picture().unwrap();
            for shape in &picture.shapes {
                let Shape::Text { at, words, style } = shape else {
                    continue;
                };
                let length = text_width(words, style.size);
                let before = match style.anchor {
                    Anchor::Start => 0.0,
                    Anchor::Middle => length / 2.0,
                    Anchor::End => length,
                };
                let (along, space) = match style.upwards {
                    true => (picture.height as f64 - at.1, picture.height as f64),
                    false => (at.0, picture.width as f64),
                };
                assert!(along - before >= 0.0, "{words} begins outside");
                assert!(along - before + length <= space, "{words} ends outside");
            }
        }
    }

    #[test]
    fn clips_side_by_side_have_one_axis() {
        let waveform = plot().waveform;
        let plot = SpectrogramPlot {
            title: "a",
            waveform: &waveform,
            seconds: 2.0,
        };
        let picture = plot.picture();
        let rasters = picture.shapes.iter().filter_map(|shape| match shape {
            Shape::Raster { at, image } => Some((at.0, image.clone())),
            _ => None,
        });
        let rasters: Vec<_> = rasters.collect();
        assert_eq!(rasters.len(), 1);
        // Half of the axis, since the sound is half as long.
        let whole = 360.0 - 10.0 - rasters[0].0;
        let image = picture.inline_svg(400);
        assert!(
            image.contains(&format!("width=\"{}\"", (whole / 2.0) as usize)),
            "{whole}"
        );
        assert!(words(&picture).contains(&"frequency, kHz"));
    }

    #[test]
    fn tracks_of_another_length_are_refused() {
        let feats = |frames: usize| {
            Some(FeatureTrack {
                values: Array2::zeros((frames, 2)),
                label: "bin".into(),
            })
        };
        let whole = plot();
        for (plot, message) in [
            (
                UtterancePlot {
                    feats: feats(50),
                    ..whole.clone()
                },
                "feats: expected about 100 frames, one each 10 ms of 1.000 s, found 50",
            ),
            (
                UtterancePlot {
                    feats: feats(0),
                    ..whole.clone()
                },
                "feats: expected about 100 frames",
            ),
            (
                UtterancePlot {
                    feats: feats(99),
                    ..whole.clone()
                },
                "vad: expected 99 entries, one for each frame of feats, found 100",
            ),
            (
                UtterancePlot {
                    voiced: Some(Array1::zeros(200)),
                    ..whole.clone()
                },
                "vad: expected about 100 frames",
            ),
            (
                UtterancePlot {
                    phones: Some(vec![phone(0.9, 0.3, "a")]),
                    ..whole.clone()
                },
                "alignments: expected phones within the 1.000 s of the audio, found an end at 1.200 s",
            ),
            (
                UtterancePlot {
                    width: Some(10),
                    ..whole.clone()
                },
                "width: expected 300 to 20000 pixels, found 10",
            ),
        ] {
            let error = plot.picture().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let mut odd = whole;
        odd.feats.as_mut().unwrap().values[[3, 1]] = f32::NAN;
        let error = odd.picture().unwrap_err().to_string();
        assert_eq!(error, "feats: expected finite values, found NaN");
    }

    #[test]
    fn extreme_sounds_are_drawn() {
        for samples in [
            vec![0.0],
            vec![0.0; 100_000],
            vec![2.5; 3],
            vec![1e-30, -1e-30],
        ] {
            let bare = UtterancePlot {
                waveform: Waveform {
                    samples,
                    sample_rate_hz: 16000,
                },
                feats: None,
                voiced: None,
                pitch: None,
                phones: None,
                ..plot()
            };
            let picture = bare.picture().unwrap();
            assert!(picture.height > 300);
            for form in [
                super::super::picture::PictureForm::Svg,
                super::super::picture::PictureForm::Png,
            ] {
                let file = picture.encode(form).unwrap();
                assert!(!String::from_utf8_lossy(&file).contains("NaN"));
            }
        }
    }
}
