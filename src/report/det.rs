//! The DET curve of a list of trials (Martin et al. 1997), on axes of normal deviates, on which normal scores make a straight
//! line. Both axes have the same scale, so that errors are equal on the diagonal.

use super::picture::{Anchor, Colour, Picture, Place, Shape, TextStyle};
use crate::eval::trials::{DetPoint, probit};

/// Width and height in pixels: small enough for the screens of phones.
const SIZE: (usize, usize) = (440, 460);
/// The plot area, from the left and from the bottom.
const FIELD: (f64, f64) = (66.0, 424.0);
const TOP: f64 = 56.0;
const INK: Colour = Colour([34, 34, 34, 255]);
const GREY: Colour = Colour([120, 120, 120, 255]);
const PALE: Colour = Colour([225, 225, 225, 255]);
const BLUE: Colour = Colour([0, 114, 178, 255]);
const ORANGE: Colour = Colour([213, 94, 0, 255]);

/// The width of a number below the plot area, in pixels.
const LABEL_WIDTH: f64 = 24.0;
/// Rates with tick marks, in percent.
const MARKS: [f64; 14] = [
    0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 95.0, 99.0,
];

/// Draws a curve, and the equal error rate on it.
pub fn det_picture(trials: &str, curve: &[DetPoint], eer: f64) -> Picture {
    let scale = Scale::of(curve, eer);
    let words = format!("EER {:.2} %", 100.0 * eer);
    let mut shapes = vec![
        text((FIELD.0, 24.0), trials.to_string(), Anchor::Start, INK),
        text((FIELD.0, 42.0), words, Anchor::Start, GREY),
    ];
    scale.axes(&mut shapes);
    let inside = |point: &&DetPoint| scale.holds(point.false_alarm) && scale.holds(point.miss);
    let points: Vec<Place> = (curve.iter().filter(inside))
        .map(|point| scale.place(point.false_alarm, point.miss))
        .collect();
    match points.len() {
        0 => {
            let middle = ((FIELD.0 + FIELD.1) / 2.0, TOP + 40.0);
            let words = "no threshold makes errors of both kinds".to_string();
            shapes.push(text(middle, words, Anchor::Middle, GREY));
        }
        1 => {}
        _ => shapes.push(line(points, BLUE, 2.0)),
    }
    if scale.holds(eer) {
        shapes.push(Shape::Dots {
            points: vec![scale.place(eer, eer)],
            radius: 4.0,
            fill: ORANGE,
        });
    }
    Picture {
        width: SIZE.0,
        height: SIZE.1,
        title: format!("DET curve of {trials}"),
        shapes,
    }
}

/// Rates to pixels, the same on both axes.
struct Scale {
    rates: (f64, f64),
    deviates: (f64, f64),
}

impl Scale {
    /// From the mark below the least rate to the mark above twice the equal error rate, and 40 % at least.
    fn of(curve: &[DetPoint], eer: f64) -> Self {
        let rates = curve.iter().flat_map(|p| [p.miss, p.false_alarm]);
        let least = 100.0 * rates.fold(eer.clamp(0.001, 0.5), f64::min);
        let below = MARKS.into_iter().rev().find(|mark| *mark <= least);
        let most = (200.0 * eer).max(40.0);
        let above = MARKS.into_iter().find(|mark| *mark >= most);
        let rates = (
            below.unwrap_or(MARKS[0]) / 100.0,
            above.unwrap_or(99.0) / 100.0,
        );
        Self {
            rates,
            deviates: (probit(rates.0), probit(rates.1)),
        }
    }

    fn holds(&self, rate: f64) -> bool {
        // The limits are tick marks themselves, so rounding must not exclude them.
        (self.rates.0 * 0.999_999..=self.rates.1 * 1.000_001).contains(&rate)
    }

    fn part(&self, rate: f64) -> f64 {
        (probit(rate) - self.deviates.0) / (self.deviates.1 - self.deviates.0)
    }

    fn place(&self, false_alarm: f64, miss: f64) -> Place {
        let side = FIELD.1 - FIELD.0;
        (
            FIELD.0 + side * self.part(false_alarm),
            TOP + side * (1.0 - self.part(miss)),
        )
    }

    fn axes(&self, shapes: &mut Vec<Shape>) {
        let (low, high) = self.rates;
        let mut last = f64::NEG_INFINITY;
        for mark in MARKS {
            let rate = mark / 100.0;
            if !self.holds(rate) {
                continue;
            }
            let (left, down) = self.place(rate, rate);
            let bottom = self.place(low, low).1;
            shapes.push(line(vec![(left, TOP), (left, bottom)], PALE, 1.0));
            shapes.push(line(vec![(FIELD.0, down), (FIELD.1, down)], PALE, 1.0));
            let words = mark.to_string();
            if left - last >= LABEL_WIDTH {
                let under = (left, bottom + 16.0);
                shapes.push(text(under, words.clone(), Anchor::Middle, GREY));
                last = left;
            }
            shapes.push(text((FIELD.0 - 6.0, down + 4.0), words, Anchor::End, GREY));
        }
        let diagonal = vec![self.place(low, low), self.place(high, high)];
        shapes.push(line(diagonal, PALE, 1.0));
        let frame = [(low, high), (low, low), (high, low)].map(|(x, y)| self.place(x, y));
        shapes.push(line(frame.to_vec(), INK, 1.0));
        let middle = (FIELD.0 + FIELD.1) / 2.0;
        let bottom = self.place(low, low).1;
        let words = "false alarms, % of nontarget trials".to_string();
        shapes.push(text((middle, bottom + 36.0), words, Anchor::Middle, INK));
        shapes.push(Shape::Text {
            at: (22.0, (TOP + bottom) / 2.0),
            words: "misses, % of target trials".to_string(),
            style: TextStyle {
                size: 12.0,
                anchor: Anchor::Middle,
                upwards: true,
                fill: INK,
            },
        });
    }
}

fn line(points: Vec<Place>, stroke: Colour, width: f64) -> Shape {
    Shape::Line {
        points,
        stroke,
        width,
    }
}

fn text(at: Place, words: String, anchor: Anchor, fill: Colour) -> Shape {
    Shape::Text {
        at,
        words,
        style: TextStyle {
            size: 12.0,
            anchor,
            upwards: false,
            fill,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::PictureForm;
    use super::*;

    fn svg(picture: &Picture) -> String {
        String::from_utf8(picture.encode(PictureForm::Svg).unwrap()).unwrap()
    }

    #[test]
    fn the_equal_error_rate_lies_on_the_diagonal() {
        let rates = |d: f64| DetPoint {
            false_alarm: 0.5 - 0.24 * d,
            miss: 0.01 + 0.24 * d,
        };
        let curve: Vec<DetPoint> = (0..=20).map(|step| rates(f64::from(step) / 10.0)).collect();
        let scale = Scale::of(&curve, 0.25);
        assert_eq!(scale.rates, (0.01, 0.6));
        let (x, y) = scale.place(0.25, 0.25);
        assert!((x - FIELD.0 - (TOP + FIELD.1 - FIELD.0 - y)).abs() < 1e-9);
        let picture = det_picture("t", &curve, 0.25);
        assert!(svg(&picture).contains("EER 25.00 %"));
    }

    #[test]
    fn any_curve_can_be_drawn() {
        for (curve, eer) in [
            (vec![], 0.0),
            (vec![], 0.5),
            (
                vec![DetPoint {
                    false_alarm: 1e-6,
                    miss: 0.9,
                }],
                1.0,
            ),
        ] {
            let svg = svg(&det_picture("a <b>", &curve, eer));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
