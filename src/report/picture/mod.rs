//! Pictures: shapes in pixels, written as SVG or as PNG with the same look. The font is DejaVu Sans; a viewer of the SVG
//! without it uses Verdana, which has the same widths.

mod colour_map;
mod font;
mod raster;
mod svg;

use std::path::Path;

pub use colour_map::{Image, LEVELS};

use crate::error::{Error, Result};
use crate::io::atomic;

/// Pixels from the left and from the top.
pub type Place = (f64, f64);

/// Red, green, blue and opacity, 0 to 255 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub [u8; 4]);

/// The alignment of a text at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins there.
    Start,
    /// The text is centred there.
    Middle,
    /// The text ends there.
    End,
}

/// The style of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextStyle {
    /// Height of the font in pixels.
    pub size: f64,
    /// Its alignment.
    pub anchor: Anchor,
    /// Whether it runs upwards.
    pub upwards: bool,
    /// Its colour.
    pub fill: Colour,
}

/// A part of a picture.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "their names and types say it")]
pub enum Shape {
    /// A filled rectangle from its upper left corner.
    Rectangle {
        at: Place,
        size: (f64, f64),
        fill: Colour,
    },
    /// A line through two points or more.
    Line {
        points: Vec<Place>,
        stroke: Colour,
        width: f64,
    },
    /// A filled polygon.
    Area { points: Vec<Place>, fill: Colour },
    /// Filled discs of one size.
    Dots {
        points: Vec<Place>,
        radius: f64,
        fill: Colour,
    },
    /// Text, with the position on its base line.
    Text {
        at: Place,
        words: String,
        style: TextStyle,
    },
    /// Shapes with a tooltip in SVG; in PNG without one.
    Hinted { hint: String, shapes: Vec<Shape> },
    /// A raster, one pixel per value, from its upper left corner.
    Raster { at: Place, image: Image },
}

/// Shapes on white, later ones above earlier ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Pixels; at least 1.
    pub width: usize,
    /// Pixels; at least 1.
    pub height: usize,
    /// A description for screen readers.
    pub title: String,
    /// Its shapes.
    pub shapes: Vec<Shape>,
}

/// The format of a picture, by a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureForm {
    /// Vectors, with tooltips.
    Svg,
    /// Pixels.
    Png,
}

impl PictureForm {
    /// The format for the ending of a file's name, given by an option.
    ///
    /// # Errors
    /// [`Error::Option`] naming the option for another ending.
    pub fn of(path: &Path, option: &str) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => {
                let found = format!("'{}'", path.display());
                Err(Error::option(
                    option,
                    "a name that ends in .svg or .png",
                    found,
                ))
            }
        }
    }
}

impl Picture {
    /// The whole file in a format.
    ///
    /// # Errors
    /// [`Error::Option`] `picture` for more pixels than allowed.
    pub fn encode(&self, form: PictureForm) -> Result<Vec<u8>> {
        match form {
            PictureForm::Svg => Ok(self.svg().into_bytes()),
            PictureForm::Png => self.png(),
        }
    }

    /// Writes it to a file in a format, atomically.
    ///
    /// # Errors
    /// As [`Picture::encode`]; [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: &Path, form: PictureForm) -> Result<()> {
        atomic::write(path, self.encode(form)?)
    }
}

/// Width of words in pixels.
pub fn text_width(words: &str, size: f64) -> f64 {
    font::width(words, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const BLACK: Colour = Colour([0, 0, 0, 255]);

    /// One shape of each kind.
    pub(super) fn one_of_each() -> Picture {
        let style = TextStyle {
            size: 20.0,
            anchor: Anchor::Middle,
            upwards: false,
            fill: BLACK,
        };
        let shapes = vec![
            Shape::Rectangle {
                at: (10.0, 10.0),
                size: (20.0, 10.0),
                fill: Colour([255, 0, 0, 255]),
            },
            Shape::Line {
                points: vec![(0.0, 99.5), (200.0, 99.5)],
                stroke: BLACK,
                width: 1.0,
            },
            Shape::Area {
                points: vec![(100.0, 10.0), (120.0, 10.0), (120.0, 30.0), (100.0, 30.0)],
                fill: Colour([0, 0, 255, 128]),
            },
            Shape::Dots {
                points: vec![(50.0, 50.0)],
                radius: 4.0,
                fill: BLACK,
            },
            Shape::Text {
                at: (100.0, 80.0),
                words: "a < \u{259}&".into(),
                style,
            },
            Shape::Raster {
                at: (150.0, 20.0),
                image: Image::new(3, 2, vec![0, 63, 0, 63, 0, 63]),
            },
            Shape::Hinted {
                hint: "b>".into(),
                shapes: vec![Shape::Rectangle {
                    at: (190.0, 90.0),
                    size: (5.0, 5.0),
                    fill: BLACK,
                }],
            },
        ];
        Picture {
            width: 200,
            height: 100,
            title: "t < u".into(),
            shapes,
        }
    }

    #[test]
    fn the_ending_decides_the_format() {
        for (name, form) in [("a.svg", PictureForm::Svg), ("b.x.PNG", PictureForm::Png)] {
            assert_eq!(PictureForm::of(Path::new(name), "--out").unwrap(), form);
        }
        for name in ["a", "a.pdf", "svg", ".png"] {
            let error = PictureForm::of(Path::new(name), "--out")
                .unwrap_err()
                .to_string();
            let expected =
                format!("--out: expected a name that ends in .svg or .png, found '{name}'");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let error = one_of_each()
            .write(Path::new("no/such/a.svg"), PictureForm::Svg)
            .unwrap_err();
        assert!(error.to_string().starts_with("no/such/a.svg: "), "{error}");
    }
}
