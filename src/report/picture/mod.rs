//! One drawing, two forms: shapes in pixels become an SVG file or a PNG file that look alike. The font is DejaVu
//! Sans in both; a viewer of the SVG that lacks it takes Verdana, which has the same widths.

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

/// Red, green, blue and how opaque, of 255 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub [u8; 4]);

/// Where a text stands at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// It lies around it.
    Middle,
    /// It ends there.
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextStyle {
    /// Height of the font in pixels.
    pub size: f64,
    /// Where it stands.
    pub anchor: Anchor,
    /// Whether it runs upwards.
    pub upwards: bool,
    /// Its colour.
    pub fill: Colour,
}

/// What a picture is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A filled rectangle from its upper left corner.
    Rectangle {
        at: Place,
        size: (f64, f64),
        fill: Colour,
    },
    /// A line through two places or more.
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
    /// Words, whose base line goes through the place.
    Text {
        at: Place,
        words: String,
        style: TextStyle,
    },
    /// Shapes that tell something to those who point at them; of a PNG nobody asks.
    Hinted { hint: String, shapes: Vec<Shape> },
    /// A raster, a pixel a value, from its upper left corner.
    Raster { at: Place, image: Image },
}

/// Shapes on white paper, the later ones above.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Pixels; at least 1.
    pub width: usize,
    /// Pixels; at least 1.
    pub height: usize,
    /// What it shows, for those who cannot see it.
    pub title: String,
    /// What is drawn.
    pub shapes: Vec<Shape>,
}

/// The two forms, by a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureForm {
    Svg,
    Png,
}

impl PictureForm {
    /// Reads the form off the ending of a file's name, which an option gave.
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
    /// The whole file in one of its forms.
    ///
    /// # Errors
    /// [`Error::Option`] `picture` for more pixels than a PNG of ours may have.
    pub fn encode(&self, form: PictureForm) -> Result<Vec<u8>> {
        match form {
            PictureForm::Svg => Ok(self.svg().into_bytes()),
            PictureForm::Png => self.png(),
        }
    }

    /// Writes it to a file in one of its forms, whole or not at all.
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
    fn the_ending_tells_the_form() {
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
