//! A map of points, each marked by its class: a class has a colour and a shape.

use std::collections::BTreeSet;
use std::f64::consts::TAU;

use super::picture::{Anchor, Colour, Picture, Place, Shape, TextStyle, text_width};
use crate::error::{Error, Result};

/// Points in the plane and their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    /// Title.
    pub title: String,
    /// A line below the title.
    pub subtitle: String,
    /// Names of the horizontal and the vertical axis; may be empty.
    pub axes: [String; 2],
    /// Coordinates; both axes have the same scale.
    pub points: Vec<(f64, f64)>,
    /// A tooltip per point, shown in SVG and HTML; may be empty.
    pub hints: Vec<String>,
    /// The index in `names` of each point's class.
    pub classes: Vec<usize>,
    /// Names of the classes.
    pub names: Vec<String>,
}

/// The square plot area: its upper left corner and its side.
#[derive(Debug, Clone, Copy)]
struct Field {
    corner: Place,
    side: f64,
}

/// The plot area of a whole picture, below its title.
const FIELD: Field = Field {
    corner: (40.0, 76.0),
    side: 620.0,
};
/// The plot area of a picture without title and legend, small enough for the screens of phones.
const BARE: Field = Field {
    corner: (22.0, 4.0),
    side: 414.0,
};
/// The distance from the edge of the square to the outermost point.
const INSET: f64 = 14.0;
const BELOW: f64 = 36.0;

/// The height of a line of the legend, and the lines per column.
const LINE: f64 = 20.0;
const LINES: usize = 31;
/// Columns of the legend; of further classes only the number is shown.
const COLUMNS: usize = 4;
/// The most letters of a name.
const LETTERS: usize = 24;

const INK: Colour = Colour([0x22, 0x22, 0x22, 255]);
const FAINT: Colour = Colour([0x55, 0x55, 0x55, 255]);
const EDGE: Colour = Colour([0xcc, 0xcc, 0xcc, 255]);
const PAPER: Colour = Colour([255, 255, 255, 255]);

/// Those of Okabe and Ito (2008) in the order of our charts, without yellow, which is invisible on white, then wine,
/// indigo and olive of Tol's muted scheme (2021).
const COLOURS: [[u8; 3]; 10] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
    [0x22, 0x22, 0x22],
    [0x88, 0x22, 0x55],
    [0x33, 0x22, 0x88],
    [0x99, 0x99, 0x33],
];
/// The number of shapes, so that 70 classes differ in colour or shape.
const MARKS: usize = 7;
/// The most classes that differ in colour or shape.
pub const MOST_CLASSES: usize = COLOURS.len() * MARKS;
/// The side of a mark in a legend of a page.
const KEY: f64 = 16.0;

/// The class of each point, and the names of the classes in order, from the points' labels.
pub fn classes(labels: &[&str]) -> (Vec<usize>, Vec<String>) {
    let names: BTreeSet<&str> = labels.iter().copied().collect();
    let names: Vec<String> = names.into_iter().map(String::from).collect();
    let class = |label: &&str| names.partition_point(|name| name.as_str() < *label);
    (labels.iter().map(class).collect(), names)
}

/// The mark of a class, for a legend of a page.
pub fn key(class: usize) -> Picture {
    Picture {
        width: KEY as usize,
        height: KEY as usize,
        title: String::new(),
        shapes: marker((KEY / 2.0, KEY / 2.0), class, 5.0).into(),
    }
}

impl Scatter {
    /// The picture. Points are drawn in shuffled order, so that no class hides another.
    ///
    /// # Errors
    /// [`Error::Option`] `points` for none, ones that are not finite, or another number of classes than of points;
    /// `names` for a class without one.
    pub fn picture(&self) -> Result<Picture> {
        self.check()?;
        let mut shapes = self.field(FIELD);
        self.words(&mut shapes);
        let right = self.legend(&mut shapes);
        let titles = [(&self.title, 17.0), (&self.subtitle, 12.0)];
        let titled = titles.map(|(words, size)| FIELD.corner.0 + text_width(words, size));
        let width = titled.into_iter().fold(right, f64::max) + 20.0;
        Ok(Picture {
            width: width.ceil() as usize,
            height: (FIELD.corner.1 + FIELD.side + BELOW) as usize,
            title: self.title.clone(),
            shapes,
        })
    }

    /// The points and their axes alone, 440 pixels wide: the page has title and legend ([`key`]).
    ///
    /// # Errors
    /// As [`Scatter::picture`].
    pub fn bare(&self) -> Result<Picture> {
        self.check()?;
        let mut shapes = self.field(BARE);
        self.axis_names(&mut shapes, BARE);
        let named = self.axes.iter().any(|name| !name.is_empty());
        let below = if named { BELOW - 10.0 } else { 4.0 };
        Ok(Picture {
            width: (BARE.corner.0 + BARE.side + 4.0) as usize,
            height: (BARE.corner.1 + BARE.side + below) as usize,
            title: self.title.clone(),
            shapes,
        })
    }

    /// The plot area and its points.
    fn field(&self, field: Field) -> Vec<Shape> {
        let mut shapes = vec![Shape::Line {
            points: corners(field.corner, field.side),
            stroke: EDGE,
            width: 1.0,
        }];
        let places = self.places(field);
        for point in shuffled(places.len()) {
            let mark = marker(places[point], self.classes[point], size(places.len()));
            match self.hints.get(point) {
                None => shapes.extend(mark),
                Some(hint) => shapes.push(Shape::Hinted {
                    hint: hint.clone(),
                    shapes: mark.into(),
                }),
            }
        }
        shapes
    }

    fn check(&self) -> Result<()> {
        let count = self.points.len();
        if count == 0 || self.classes.len() != count {
            let found = format!("{count} with {} classes", self.classes.len());
            return Err(Error::option("points", "some, with a class each", found));
        }
        if let Some((x, y)) = self
            .points
            .iter()
            .find(|(x, y)| !(x.is_finite() && y.is_finite()))
        {
            return Err(Error::option(
                "points",
                "finite places",
                format!("({x}, {y})"),
            ));
        }
        match self
            .classes
            .iter()
            .find(|&&class| class >= self.names.len())
        {
            Some(class) => {
                let expected = format!("a name for class {class}");
                Err(Error::option(
                    "names",
                    expected,
                    format!("{} names", self.names.len()),
                ))
            }
            None => Ok(()),
        }
    }

    /// Pixels of the points, centred, with the same scale on both axes. Larger values are higher.
    fn places(&self, field: Field) -> Vec<Place> {
        let range = |of: fn(&(f64, f64)) -> f64| {
            let values = self.points.iter().map(of);
            values.fold(
                (f64::INFINITY, f64::NEG_INFINITY),
                |(least, most), value| (least.min(value), most.max(value)),
            )
        };
        let (x, y) = (range(|point| point.0), range(|point| point.1));
        // Halves, so that the greatest numbers do not overflow.
        let half = (x.1 / 2.0 - x.0 / 2.0).max(y.1 / 2.0 - y.0 / 2.0);
        let half = if half > 0.0 { half } else { 1.0 };
        let place = |value: f64, (least, most): (f64, f64)| {
            (value - (least / 2.0 + most / 2.0)) / half * (field.side / 2.0 - INSET)
        };
        let Field {
            corner: (left, top),
            side,
        } = field;
        let middle = (left + side / 2.0, top + side / 2.0);
        let pixels =
            |point: &(f64, f64)| (middle.0 + place(point.0, x), middle.1 - place(point.1, y));
        self.points.iter().map(pixels).collect()
    }

    fn words(&self, shapes: &mut Vec<Shape>) {
        let mut put = |at: Place, words: &str, style: TextStyle| {
            if !words.is_empty() {
                let words = words.to_string();
                shapes.push(Shape::Text { at, words, style });
            }
        };
        let left = FIELD.corner.0;
        put((left, 34.0), &self.title, style(17.0, INK));
        put((left, 58.0), &self.subtitle, style(12.0, FAINT));
        self.axis_names(shapes, FIELD);
    }

    fn axis_names(&self, shapes: &mut Vec<Shape>, field: Field) {
        let Field {
            corner: (left, top),
            side,
        } = field;
        let [right, up] = [
            ((left + side / 2.0, top + side + 20.0), false),
            ((left - 10.0, top + side / 2.0), true),
        ]
        .map(|(at, upwards)| {
            let anchor = Anchor::Middle;
            let style = style(12.0, FAINT);
            (
                at,
                TextStyle {
                    anchor,
                    upwards,
                    ..style
                },
            )
        });
        for ((at, style), words) in [right, up].into_iter().zip(&self.axes) {
            if !words.is_empty() {
                let words = words.clone();
                shapes.push(Shape::Text { at, words, style });
            }
        }
    }

    /// Draws names beside their marks, right of the plot area; returns where the last column ends.
    fn legend(&self, shapes: &mut Vec<Shape>) -> f64 {
        let shown = match self.names.len() {
            all if all <= LINES * COLUMNS => all,
            _ => LINES * COLUMNS - 1,
        };
        let mut names: Vec<String> = self.names[..shown]
            .iter()
            .map(|name| shortened(name))
            .collect();
        if shown < self.names.len() {
            names.push(format!("and {} more", self.names.len() - shown));
        }
        let mut left = FIELD.corner.0 + FIELD.side + 24.0;
        for (column, names) in names.chunks(LINES).enumerate() {
            for (line, name) in names.iter().enumerate() {
                let (class, middle) = (
                    column * LINES + line,
                    FIELD.corner.1 + 8.0 + line as f64 * LINE,
                );
                if class < shown {
                    shapes.extend(marker((left, middle), class, 5.5));
                }
                let at = (left + 14.0, middle + 4.5);
                let (words, style) = (name.clone(), style(13.0, INK));
                shapes.push(Shape::Text { at, words, style });
            }
            let widest = names.iter().map(|name| text_width(name, 13.0));
            left += 14.0 + widest.fold(0.0, f64::max) + 26.0;
        }
        left - 26.0
    }
}

fn style(size: f64, fill: Colour) -> TextStyle {
    TextStyle {
        size,
        anchor: Anchor::Start,
        upwards: false,
        fill,
    }
}

fn shortened(name: &str) -> String {
    match name.chars().count() <= LETTERS {
        true => name.to_string(),
        false => name.chars().take(LETTERS - 1).chain(['…']).collect(),
    }
}

/// Half a mark's width: smaller for many points.
fn size(points: usize) -> f64 {
    (90.0 / (points as f64).sqrt()).clamp(3.0, 5.5)
}

fn corners((x, y): Place, side: f64) -> Vec<Place> {
    vec![
        (x, y),
        (x + side, y),
        (x + side, y + side),
        (x, y + side),
        (x, y),
    ]
}

/// All numbers below `count` in a fixed shuffled order, in which neighbours are far from each other.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    // Knuth's multiplicative hash.
    order.sort_by_key(|&number| (number as u32).wrapping_mul(2_654_435_761));
    order
}

/// A class's shape in its colour, with a thin white edge that separates it from shapes below.
fn marker(at: Place, class: usize, size: f64) -> [Shape; 2] {
    let [r, g, b] = COLOURS[class % COLOURS.len()];
    let fill = Colour([r, g, b, 255]);
    [(size + 0.7, PAPER), (size, fill)].map(|(size, fill)| outline(at, class % MARKS, size, fill))
}

/// Disc, square, triangle, diamond, inverted triangle, cross and star, of about equal area.
fn outline((x, y): Place, mark: usize, size: f64, fill: Colour) -> Shape {
    let around = |count: usize, turn: f64, far: f64, near: f64| -> Vec<Place> {
        (0..count)
            .map(|corner| {
                let angle = TAU * (corner as f64 / count as f64 + turn);
                let radius = size * if corner % 2 == 0 { far } else { near };
                (x + radius * angle.sin(), y - radius * angle.cos())
            })
            .collect()
    };
    let points = match mark {
        0 => {
            let points = vec![(x, y)];
            return Shape::Dots {
                points,
                radius: size,
                fill,
            };
        }
        1 => around(4, 0.125, 1.25, 1.25),
        2 => around(3, 0.0, 1.4, 1.4),
        3 => around(4, 0.0, 1.3, 1.3),
        4 => around(3, 0.5, 1.4, 1.4),
        5 => cross((x, y), 1.25 * size, 0.42 * size),
        _ => around(10, 0.0, 1.5, 0.65),
    };
    Shape::Area { points, fill }
}

/// An upright cross with arms of length `long` and width twice `thick`.
fn cross((x, y): Place, long: f64, thick: f64) -> Vec<Place> {
    let quarter = [(thick, thick), (long, thick), (long, -thick)];
    let mut points = Vec::with_capacity(12);
    let mut turned = quarter;
    for _ in 0..4 {
        points.extend(turned.map(|(right, down)| (x + right, y + down)));
        turned = turned.map(|(right, down)| (down, -right));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::super::picture::PictureForm;
    use super::*;

    /// `classes` clusters of 40 points each around a circle.
    pub(super) fn scatter(classes: usize) -> Scatter {
        let place = |item: usize| {
            let (class, hash) = (item % classes, |by: usize| {
                (item * by % 1009) as f64 / 1009.0 - 0.5
            });
            let angle = TAU * class as f64 / classes as f64;
            (
                10.0 * angle.cos() + 4.0 * hash(7919),
                10.0 * angle.sin() + 4.0 * hash(104_729),
            )
        };
        Scatter {
            title: "Speakers in embeds.scp".into(),
            subtitle: format!("{} utterances, t-SNE", 40 * classes),
            axes: ["first principal component".into(), "second".into()],
            points: (0..40 * classes).map(place).collect(),
            hints: Vec::new(),
            classes: (0..40 * classes).map(|item| item % classes).collect(),
            names: (0..classes)
                .map(|class| format!("speaker {class}"))
                .collect(),
        }
    }

    #[test]
    fn every_point_lies_in_the_field_and_every_class_has_a_name() {
        for classes in [1, 3, 10, 200] {
            let scatter = scatter(classes);
            for field in [FIELD, BARE] {
                let (left, top) = field.corner;
                for (x, y) in scatter.places(field) {
                    assert!(x > left && x < left + field.side);
                    assert!(y > top && y < top + field.side);
                }
            }
            let picture = scatter.picture().unwrap();
            let texts = picture.shapes.iter().filter_map(|shape| match shape {
                Shape::Text { words, at, .. } => Some((words.as_str(), at)),
                _ => None,
            });
            let texts: Vec<_> = texts.collect();
            assert!(texts.iter().any(|(words, _)| *words == "speaker 0"));
            assert_eq!(
                texts.iter().any(|(words, _)| *words == "and 77 more"),
                classes == 200
            );
            assert!(
                texts
                    .iter()
                    .all(|(_, at)| at.0 < picture.width as f64 && at.1 < picture.height as f64)
            );
            assert!(picture.encode(PictureForm::Svg).is_ok());
        }
    }

    #[test]
    fn a_bare_picture_has_tooltips_and_no_legend() {
        let labels = ["b", "a", "b"];
        let (classes, names) = classes(&labels);
        assert_eq!((classes.as_slice(), names.len()), (&[1, 0, 1][..], 2));
        let mut one = scatter(1);
        one.hints = (0..40).map(|item| format!("<u{item}>")).collect();
        let svg = one.bare().unwrap().inline_svg(400);
        assert_eq!(svg.matches("<title>&lt;u").count(), 40);
        assert!(
            !svg.contains(">speaker 0<") && svg.contains(">second<"),
            "{svg}"
        );
        assert_ne!(key(0).inline_svg(16), key(1).inline_svg(16));
    }

    #[test]
    fn one_place_and_the_greatest_numbers_are_drawn() {
        for points in [vec![(3.0, 3.0); 2], vec![(f64::MIN, 0.0), (f64::MAX, 1.0)]] {
            let scatter = Scatter {
                points,
                classes: vec![0, 0],
                ..scatter(1)
            };
            assert!(
                scatter
                    .places(FIELD)
                    .iter()
                    .all(|(x, y)| x.is_finite() && y.is_finite())
            );
        }
    }

    #[test]
    fn colours_differ_from_white_and_marks_from_each_other() {
        // Contrast with white of 2 or more, by relative luminance (WCAG 2).
        let light = |[r, g, b]: [u8; 3]| {
            let linear = |value: u8| (f64::from(value) / 255.0).powf(2.2);
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
        };
        assert!(
            COLOURS
                .iter()
                .all(|&colour| 1.05 / (light(colour) + 0.05) > 2.0)
        );
        let marks: std::collections::BTreeSet<String> =
            (0..70).map(|class| key(class).inline_svg(16)).collect();
        assert_eq!(marks.len(), 70);
    }

    #[test]
    fn invalid_points_are_refused() {
        let mut broken = scatter(2);
        broken.points[7].1 = f64::NAN;
        let error = broken.picture().unwrap_err().to_string();
        assert!(
            error.starts_with("points: expected finite places, found ("),
            "{error}"
        );
        let mut unnamed = scatter(2);
        unnamed.names.pop();
        let error = unnamed.picture().unwrap_err().to_string();
        assert_eq!(error, "names: expected a name for class 1, found 1 names");
        let mut short = scatter(2);
        short.classes.pop();
        let error = short.picture().unwrap_err().to_string();
        assert_eq!(
            error,
            "points: expected some, with a class each, found 80 with 79 classes"
        );
    }
}
