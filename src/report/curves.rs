//! A panel of training curves: one value over steps, on the training set and, where there is one, on the validation set.
//! Many small panels, each with its own scale, are easier to read than many lines in one panel.

use super::picture::{Anchor, Colour, Picture, Place, Shape, TextStyle, text_width};
use super::utterance::ticks;

/// The curve of one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The name of the value.
    pub title: String,
    /// The module that it belongs to.
    pub subtitle: String,
    /// Step and value on the training set.
    pub train: Vec<(f64, f64)>,
    /// The same on the validation set.
    pub valid: Vec<(f64, f64)>,
    /// The end of the axis of steps; above 0.
    pub steps: f64,
    /// The chance level, where there is one.
    pub chance: Option<f64>,
}

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 214.0;
/// The plot area: left, top, right, bottom.
const FIELD: (f64, f64, f64, f64) = (50.0, 44.0, 310.0, 180.0);
const INK: Colour = Colour([34, 34, 34, 255]);
const GREY: Colour = Colour([120, 120, 120, 255]);
const PALE: Colour = Colour([225, 225, 225, 255]);
const BLUE: Colour = Colour([0, 114, 178, 255]);
const ORANGE: Colour = Colour([213, 94, 0, 255]);
/// The most points of a line: about one per pixel.
const MOST_POINTS: usize = 260;
/// The largest values: sums of larger ones may overflow.
const BEYOND: f64 = 1e300;
/// The most marks along a line.
const MOST_MARKS: usize = 12;

impl Panel {
    /// Draws it, 320 pixels wide. Values that are not finite, or beyond 1e300, are left out.
    pub fn picture(&self) -> Picture {
        let lines = [&self.train, &self.valid].map(|line| finite(line));
        let chance = self
            .chance
            .map(|chance| [(0.0, chance), (self.steps, chance)]);
        let scale = Scale::of(
            lines.iter().flatten().chain(chance.iter().flatten()),
            self.steps,
        );
        let mut shapes = scale.axes();
        shapes.extend(chance.map(|ends| chance_line(ends.map(|end| scale.at(end)))));
        let title = shortened(&self.title);
        shapes.push(words((6.0, 15.0), &title, 14.0, Anchor::Start, INK));
        let subtitle = shortened(&self.subtitle);
        shapes.push(words((6.0, 31.0), &subtitle, 11.0, Anchor::Start, GREY));
        let [train, valid] = lines.map(|line| thinned(&line, MOST_POINTS));
        let [train, valid] =
            [train, valid].map(|line| line.into_iter().map(|point| scale.at(point)).collect());
        shapes.extend(train_line(train));
        shapes.extend(valid_line(valid));
        let last = |line: &[(f64, f64)]| line.last().map_or("none".into(), |(_, y)| short(*y));
        Picture {
            width: WIDTH as usize,
            height: HEIGHT as usize,
            title: format!(
                "{} of {} over {} steps; last in training: {}, in validation: {}{}",
                self.title,
                self.subtitle,
                self.steps,
                last(&finite(&self.train)),
                last(&finite(&self.valid)),
                (self.chance).map_or(String::new(), |chance| format!(
                    ", by chance: {}",
                    short(chance)
                ))
            ),
            shapes,
        }
    }
}

/// A sample of each line, for a legend: training, validation, chance.
pub fn keys() -> [Picture; 3] {
    let picture = |title: &str, shapes| Picture {
        width: 40,
        height: 14,
        title: title.into(),
        shapes,
    };
    let places = [2.0, 20.0, 38.0].map(|x| (x, 7.0)).to_vec();
    let middle = [2.0, 38.0].map(|x| (x, 7.0));
    let mut valid = vec![line(middle.to_vec(), ORANGE, 2.0)];
    valid.push(square(places[1]));
    [
        picture("a line", train_line(places)),
        picture("a line with squares", valid),
        picture("a thin line", vec![chance_line(middle)]),
    ]
}

fn chance_line(ends: [Place; 2]) -> Shape {
    line(ends.to_vec(), GREY, 1.2)
}

fn train_line(places: Vec<Place>) -> Vec<Shape> {
    match places[..] {
        [] => Vec::new(),
        [at] => vec![Shape::Dots {
            points: vec![at],
            radius: 2.5,
            fill: BLUE,
        }],
        _ => vec![line(places, BLUE, 1.8)],
    }
}

fn valid_line(places: Vec<Place>) -> Vec<Shape> {
    let marks = thinned(&places, MOST_MARKS).into_iter().map(square);
    let marks: Vec<Shape> = marks.collect();
    let line = (places.len() > 1).then(|| line(places, ORANGE, 1.8));
    line.into_iter().chain(marks).collect()
}

fn square((x, y): Place) -> Shape {
    Shape::Rectangle {
        at: (x - 3.2, y - 3.2),
        size: (6.4, 6.4),
        fill: ORANGE,
    }
}

fn line(points: Vec<Place>, stroke: Colour, width: f64) -> Shape {
    Shape::Line {
        points,
        stroke,
        width,
    }
}

fn words(at: Place, words: &str, size: f64, anchor: Anchor, fill: Colour) -> Shape {
    Shape::Text {
        at,
        words: words.to_string(),
        style: TextStyle {
            size,
            anchor,
            upwards: false,
            fill,
        },
    }
}

/// A title that fits its panel.
fn shortened(title: &str) -> String {
    let mut kept: Vec<char> = title.chars().collect();
    let width = WIDTH - 12.0;
    while text_width(&kept.iter().collect::<String>(), 14.0) > width && kept.len() > 1 {
        kept.truncate(kept.len() - 2);
        kept.push('…');
    }
    kept.into_iter().collect()
}

fn finite(line: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let kept = line.iter().copied().filter(|(_, y)| y.abs() < BEYOND);
    kept.collect()
}

/// At most `most` of them, evenly spaced, including the last one.
fn thinned<T: Copy>(points: &[T], most: usize) -> Vec<T> {
    let step = points.len().div_ceil(most).max(1);
    let offset = (points.len() + step - 1) % step;
    points.iter().skip(offset).step_by(step).copied().collect()
}

/// With three significant digits.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (0.01..1e4).contains(&size) => {
            let decimals = (2.0 - size.log10().floor()).clamp(0.0, 4.0) as usize;
            format!("{value:.decimals$}")
        }
        _ => format!("{value:.1e}"),
    }
}

/// Steps and values to pixels.
struct Scale {
    steps: f64,
    values: (f64, f64),
}

impl Scale {
    fn of<'a>(points: impl Iterator<Item = &'a (f64, f64)>, steps: f64) -> Self {
        let (low, high) = points.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, y)| {
            (low.min(*y), high.max(*y))
        });
        let values = match high - low {
            span if span > 0.0 && span.is_finite() => (low - 0.04 * span, high + 0.04 * span),
            // One value, or none.
            _ if low.is_finite() => (low - 0.5 - 0.1 * low.abs(), low + 0.5 + 0.1 * low.abs()),
            _ => (0.0, 1.0),
        };
        Self {
            steps: steps.max(1.0),
            values,
        }
    }

    fn at(&self, (step, value): (f64, f64)) -> Place {
        let (left, top, right, bottom) = FIELD;
        let along = (step / self.steps).clamp(0.0, 1.0);
        let up = (value - self.values.0) / (self.values.1 - self.values.0);
        (
            left + along * (right - left),
            bottom - up.clamp(0.0, 1.0) * (bottom - top),
        )
    }

    fn axes(&self) -> Vec<Shape> {
        let (left, top, right, bottom) = FIELD;
        let mut shapes = Vec::new();
        for (value, _) in ticks(self.values.0, self.values.1, 4.0) {
            let y = self.at((0.0, value)).1;
            shapes.push(line(vec![(left, y), (right, y)], PALE, 1.0));
            let at = (left - 6.0, y + 4.0);
            shapes.push(words(at, &tick(value), 11.0, Anchor::End, GREY));
        }
        shapes.push(line(
            vec![(left, top), (left, bottom), (right, bottom)],
            GREY,
            1.0,
        ));
        for (step, _) in ticks(0.0, self.steps, 4.0) {
            let x = self.at((step, 0.0)).0;
            shapes.push(line(vec![(x, bottom), (x, bottom + 4.0)], GREY, 1.0));
            let at = (x, bottom + 16.0);
            let count = match step >= 10_000.0 {
                true => format!("{}k", step / 1000.0),
                false => step.to_string(),
            };
            let anchor = match x > right - 12.0 {
                true => Anchor::End,
                false => Anchor::Middle,
            };
            let at = if anchor == Anchor::End {
                (right + 6.0, at.1)
            } else {
                at
            };
            shapes.push(words(at, &count, 11.0, anchor, GREY));
        }
        let middle = ((left + right) / 2.0, HEIGHT - 4.0);
        shapes.push(words(middle, "step", 11.0, Anchor::Middle, GREY));
        shapes
    }
}

/// A round value, short enough for the margin.
fn tick(value: f64) -> String {
    match value == 0.0 || (1e-4..1e5).contains(&value.abs()) {
        true => format!("{}", (value * 1e6).round() / 1e6),
        false => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(points: usize) -> Panel {
        let value = |step: usize| (step as f64, 1.0 / (1.0 + step as f64));
        Panel {
            title: "reconstruction <l1>".into(),
            subtitle: "decoder".into(),
            train: (0..points).map(value).collect(),
            valid: (0..points).step_by(10).map(value).collect(),
            steps: points as f64,
            chance: None,
        }
    }

    #[test]
    fn lines_stay_in_their_field_and_small() {
        for points in [0, 1, 2, 100, 100_000] {
            let picture = panel(points).picture();
            for shape in &picture.shapes {
                if let Shape::Line { points, .. } = shape {
                    assert!(points.len() <= MOST_POINTS);
                    for (x, y) in points {
                        assert!((0.0..=WIDTH).contains(x) && (0.0..=HEIGHT).contains(y));
                    }
                }
            }
            let svg = picture.inline_svg(400);
            assert!(
                svg.contains("reconstruction &lt;l1&gt;") && svg.len() < 20_000,
                "{svg}"
            );
        }
    }

    #[test]
    fn odd_values_have_a_panel() {
        for value in [f64::NAN, f64::INFINITY, f64::MAX, -1e300, 0.0] {
            let mut odd = panel(3);
            odd.train[1].1 = value;
            odd.valid[0].1 = value;
            assert!(!odd.picture().inline_svg(400).contains("NaN"), "{value}");
        }
    }

    #[test]
    fn chance_is_drawn_even_where_no_value_is_near() {
        let mut far = panel(30);
        far.chance = Some(4.0);
        let picture = far.picture();
        let across = |shape: &&Shape| match shape {
            Shape::Line { points, stroke, .. } => {
                *stroke == GREY
                    && points.len() == 2
                    && points[0].1 == points[1].1
                    && points[0].0 == FIELD.0
                    && points[1].0 == FIELD.2
            }
            _ => false,
        };
        let found: Vec<&Shape> = picture.shapes.iter().filter(across).collect();
        let [Shape::Line { points, .. }] = found[..] else {
            panic!("{found:?}");
        };
        assert!(
            points[0].1 >= FIELD.1 && points[0].1 < FIELD.1 + 20.0,
            "{points:?}"
        );
        assert!(
            picture.title.ends_with("by chance: 4.00"),
            "{}",
            picture.title
        );
        assert!(!panel(30).picture().title.contains("chance"));
    }

    #[test]
    fn thinning_keeps_the_last() {
        assert_eq!(thinned(&[1, 2, 3, 4, 5], 2), [2, 5]);
        assert_eq!(thinned(&[1, 2, 3], 9), [1, 2, 3]);
        assert!(thinned::<u8>(&[], 9).is_empty());
    }
}
