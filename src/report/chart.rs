//! A chart of curves as SVG, for light and dark pages. Each curve has a colour that colour-blind readers can distinguish
//! (Okabe and Ito 2008), a marker's shape, and its name beside it.

use std::fmt::Write;

use super::labels::{Box2, Labels};
use super::markup::escape;

/// An axis of shares, shown in percent, or of named places.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Its label, without the unit.
    pub label: String,
    /// The chance level, drawn as a dashed line. Without meaning among places.
    pub chance: f64,
    /// Names of places at equal distances, from 0 to 1; none for shares.
    pub places: Vec<String>,
}

impl Axis {
    fn scale(&self, shares: impl Iterator<Item = f64>, pixels: (f64, f64)) -> Scale {
        match self.places[..] {
            [] => Scale::new(shares, self.chance, pixels),
            // Some room at both ends.
            _ => Scale {
                shares: (-0.06, 1.06),
                pixels,
                step: 1.0,
            },
        }
    }

    /// Where marks stand, and what they say.
    fn ticks(&self, scale: &Scale) -> Vec<(f64, String)> {
        let last = self.places.len().saturating_sub(1).max(1) as f64;
        match self.places[..] {
            [] => scale.ticks().map(|tick| (tick, percent(tick))).collect(),
            _ => {
                let places = self.places.iter().enumerate();
                places
                    .map(|(place, name)| (place as f64 / last, name.clone()))
                    .collect()
            }
        }
    }

    fn title(&self) -> String {
        match self.places[..] {
            [] => format!("{}, %", self.label),
            _ => self.label.clone(),
        }
    }
}

/// Mean and spread on both axes, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Means.
    pub at: (f64, f64),
    /// Standard deviations; 0 where there is one run.
    pub spread: (f64, f64),
    /// Its label.
    pub label: String,
}

/// Points in order, with a line through them.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name, written beside its last point.
    pub name: String,
    /// At least one point.
    pub points: Vec<Point>,
}

/// Curves over two axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Title.
    pub title: String,
    /// Lines below the title.
    pub subtitle: [String; 2],
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The curves.
    pub curves: Vec<Curve>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 560.0;
/// The plot area; names may stand to its right.
const FIELD: Box2 = Box2 {
    x: (74.0, 648.0),
    y: (92.0, 496.0),
};
const FIELD_AND_MARGIN: Box2 = Box2 {
    x: (FIELD.x.0, WIDTH - 8.0),
    y: (FIELD.y.0 - 14.0, FIELD.y.1),
};
/// Width of a letter and height of a line, of names and of labels of points.
const NAME: (f64, f64) = (8.4, 15.0);
const NOTE: (f64, f64) = (6.2, 12.0);

/// Colours that colour-blind readers can distinguish, without yellow, which is invisible on white. On dark pages the two
/// darkest change to lighter ones. Every rule begins with the chart's class, since within a page of HTML a style is the
/// whole page's.
const STYLE: &str = "
.chart text{font:13px system-ui,sans-serif;fill:#222}
.chart .title{font-size:16px;font-weight:600}.chart .name{font-weight:600}.chart .note{font-size:11px;fill:#555}
.chart .page{fill:#fff}.chart .grid{stroke:#e4e4e4}.chart .axis{stroke:#888;fill:none}
.chart .chance{stroke:#777;stroke-dasharray:5 4}
.chart .line{fill:none;stroke-width:2}.chart .spread{stroke-width:1;opacity:.6}
.chart .c0{stroke:#0072b2}.chart .c1{stroke:#d55e00}.chart .c2{stroke:#009e73}.chart .c3{stroke:#cc79a7}
.chart .c4{stroke:#e69f00}.chart .c5{stroke:#56b4e9}.chart .c6{stroke:#222}
.chart .m0{fill:#0072b2}.chart .m1{fill:#d55e00}.chart .m2{fill:#009e73}.chart .m3{fill:#cc79a7}
.chart .m4{fill:#e69f00}.chart .m5{fill:#56b4e9}.chart .m6{fill:#222}
@media screen and (prefers-color-scheme:dark){
.chart text{fill:#eee}.chart .note{fill:#aaa}.chart .page{fill:#1b1b1b}.chart .grid{stroke:#333}
.chart .c0{stroke:#56b4e9}.chart .c5{stroke:#f0e442}.chart .c6{stroke:#eee}
.chart .m0{fill:#56b4e9}.chart .m5{fill:#f0e442}.chart .m6{fill:#eee}}
";
const COLOURS: usize = 7;

impl Chart {
    /// The picture, a whole SVG file.
    pub fn svg(&self) -> String {
        let x = (self.x).scale(self.shares(|p| (p.at.0, p.spread.0)), FIELD.x);
        // Larger values are higher.
        let up = (FIELD.y.1, FIELD.y.0);
        let y = (self.y).scale(self.shares(|p| (p.at.1, p.spread.1)), up);
        let title = escape(&self.title);
        let mut svg = format!(
            "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
        );
        text(&mut svg, "title", (FIELD.x.0, 28.0), "start", &self.title);
        for (words, down) in self.subtitle.iter().zip([46.0, 62.0]) {
            text(&mut svg, "note", (FIELD.x.0, down), "start", words);
        }
        self.axes(&mut svg, &x, &y);
        for (index, curve) in self.curves.iter().enumerate() {
            draw_curve(&mut svg, index, curve, &x, &y);
        }
        self.labels(&mut svg, &x, &y);
        svg + "</svg>\n"
    }

    fn shares(&self, of: fn(&Point) -> (f64, f64)) -> impl Iterator<Item = f64> {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        points
            .map(of)
            .flat_map(|(mean, spread)| [mean - spread, mean + spread])
    }

    fn axes(&self, svg: &mut String, x: &Scale, y: &Scale) {
        let (left, right) = FIELD.x;
        let (top, bottom) = FIELD.y;
        for (tick, name) in self.x.ticks(x) {
            let at = x.at(tick);
            line(svg, "grid", (at, top), (at, bottom));
            text(svg, "note", (at, bottom + 18.0), "middle", &name);
        }
        for (tick, name) in self.y.ticks(y) {
            let at = y.at(tick);
            line(svg, "grid", (left, at), (right, at));
            text(svg, "note", (left - 8.0, at + 4.0), "end", &name);
        }
        let chance = |axis: &Axis| format!("chance {}", percent(axis.chance));
        if self.x.places.is_empty() {
            let at = x.at(self.x.chance);
            line(svg, "chance", (at, top), (at, bottom));
            let place = (at + 4.0, top + 12.0);
            text(svg, "note", place, "start", &chance(&self.x));
        }
        if self.y.places.is_empty() {
            let at = y.at(self.y.chance);
            line(svg, "chance", (left, at), (right, at));
            let place = (right - 4.0, at - 5.0);
            text(svg, "note", place, "end", &chance(&self.y));
        }
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{left} {top}V{bottom}H{right}\"/>"
        );
        let middle = ((left + right) / 2.0, bottom + 44.0);
        text(svg, "", middle, "middle", &self.x.title());
        let _ = writeln!(
            svg,
            "<text text-anchor=\"middle\" transform=\"translate(22 {}) rotate(-90)\">{}</text>",
            (top + bottom) / 2.0,
            escape(&self.y.title())
        );
    }

    /// Names are placed first, since they matter more; then the labels of points.
    fn labels(&self, svg: &mut String, x: &Scale, y: &Scale) {
        let place = |point: &Point| (x.at(point.at.0), y.at(point.at.1));
        let taken = self.curves.iter().flat_map(|curve| {
            let places: Vec<(f64, f64)> = curve.points.iter().map(place).collect();
            let markers = places
                .iter()
                .map(|&(x, y)| Box2::around(x, y, 6.0))
                .collect::<Vec<_>>();
            let lines = places.windows(2).flat_map(|ends| along(ends[0], ends[1]));
            lines.chain(markers).collect::<Vec<_>>()
        });
        let mut labels = Labels::new(FIELD_AND_MARGIN, taken.collect());
        let mut put = |class: &str, (letter, height): (f64, f64), at: (f64, f64), words: &str| {
            if words.is_empty() {
                return;
            }
            let width = letter * words.chars().count() as f64;
            let found = labels.place(at.0, at.1, width, height);
            let centre = (found.x.0 + found.x.1) / 2.0;
            text(svg, class, (centre, found.y.1 - 3.0), "middle", words);
        };
        for curve in &self.curves {
            if let Some(last) = curve.points.last() {
                put("name", NAME, place(last), &curve.name);
            }
        }
        for point in self.curves.iter().flat_map(|curve| &curve.points) {
            put("note", NOTE, place(point), &point.label);
        }
    }
}

/// A line as small boxes, which labels avoid.
fn along(from: (f64, f64), to: (f64, f64)) -> impl Iterator<Item = Box2> {
    let steps = ((to.0 - from.0).hypot(to.1 - from.1) / 6.0).ceil().max(1.0);
    (0..=steps as usize).map(move |step| {
        let part = step as f64 / steps;
        let between = |a: f64, b: f64| a + part * (b - a);
        Box2::around(between(from.0, to.0), between(from.1, to.1), 2.0)
    })
}

fn draw_curve(svg: &mut String, index: usize, curve: &Curve, x: &Scale, y: &Scale) {
    let colour = index % COLOURS;
    let places: Vec<(f64, f64)> = curve
        .points
        .iter()
        .map(|point| (x.at(point.at.0), y.at(point.at.1)))
        .collect();
    let path: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let path = path.join(" ");
    let _ = writeln!(
        svg,
        "<polyline class=\"line c{colour}\" points=\"{path}\"/>"
    );
    for (point, &(px, py)) in curve.points.iter().zip(&places) {
        let (mean, spread) = (point.at, point.spread);
        let class = format!("spread c{colour}");
        if spread.0 > 0.0 {
            let ends = (x.at(mean.0 - spread.0), x.at(mean.0 + spread.0));
            line(svg, &class, (ends.0, py), (ends.1, py));
        }
        if spread.1 > 0.0 {
            let ends = (y.at(mean.1 - spread.1), y.at(mean.1 + spread.1));
            line(svg, &class, (px, ends.0), (px, ends.1));
        }
        let _ = writeln!(
            svg,
            "<path class=\"m{colour}\" transform=\"translate({px:.1} {py:.1})\" d=\"{}\"/>",
            MARKERS[index % MARKERS.len()]
        );
    }
}

/// Circle, square, triangle, diamond, inverted triangle, cross.
const MARKERS: [&str; 6] = [
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z",
    "M-4.5 -4.5h9v9h-9Z",
    "M0 -6L5.5 4.5H-5.5Z",
    "M0 -6.5L6.5 0L0 6.5L-6.5 0Z",
    "M0 6L5.5 -4.5H-5.5Z",
    "M-2 -6h4v4h4v4h-4v4h-4v-4h-4v-4h4Z",
];

/// Shares to pixels.
struct Scale {
    shares: (f64, f64),
    pixels: (f64, f64),
    step: f64,
}

impl Scale {
    /// A scale that includes `values` and `chance`, extended to the next round shares.
    fn new(values: impl Iterator<Item = f64>, chance: f64, pixels: (f64, f64)) -> Self {
        let (least, most) = values.fold((chance, chance), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        let step = [0.01, 0.02, 0.05, 0.1]
            .into_iter()
            .find(|step| (most - least) / step <= 9.0)
            .unwrap_or(0.2);
        let first = ((least - step / 4.0) / step).floor() * step;
        let last = ((most + step / 4.0) / step).ceil() * step;
        Self {
            shares: (first.max(0.0), last.min(1.0).max(first + step)),
            pixels,
            step,
        }
    }

    fn at(&self, share: f64) -> f64 {
        let (first, last) = self.shares;
        let part = ((share - first) / (last - first)).clamp(0.0, 1.0);
        self.pixels.0 + part * (self.pixels.1 - self.pixels.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (first, last) = self.shares;
        let count = ((last - first) / self.step).round() as usize;
        (0..=count).map(move |index| first + index as f64 * self.step)
    }
}

fn percent(share: f64) -> String {
    let percent = format!("{:.1}", 100.0 * share);
    percent.strip_suffix(".0").unwrap_or(&percent).to_string()
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, class: &str, at: (f64, f64), anchor: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
        at.0,
        at.1,
        escape(words)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(label: &str, chance: f64) -> Axis {
        Axis {
            label: label.into(),
            chance,
            places: Vec::new(),
        }
    }

    fn chart(points: &[(f64, f64)]) -> Chart {
        let point = |&at: &(f64, f64)| Point {
            at,
            spread: (0.02, 0.0),
            label: "0.1".into(),
        };
        Chart {
            title: "a < b".into(),
            subtitle: [String::new(), String::new()],
            x: axis("speaker", 0.125),
            y: axis("word", 0.1),
            curves: vec![Curve {
                name: "alternating & more".into(),
                points: points.iter().map(point).collect(),
            }],
        }
    }

    #[test]
    fn everything_is_named_and_escaped() {
        let svg = chart(&[(0.4, 0.9), (0.6, 0.95)]).svg();
        for part in [
            "a &lt; b",
            "alternating &amp; more",
            "speaker, %",
            "word, %",
            "chance 12.5",
            "chance 10<",
            "prefers-color-scheme:dark",
            "<svg class=\"chart\"",
        ] {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(svg.matches("class=\"m0\"").count(), 2);
        assert_eq!(svg.matches("class=\"spread c0\"").count(), 2);
    }

    #[test]
    fn places_have_names_and_no_chance() {
        let mut chart = chart(&[(0.0, 0.9), (0.5, 0.95), (1.0, 1.0)]);
        chart.x.places = ["1", "3", "all"].map(String::from).into();
        let svg = chart.svg();
        for part in [">all</text>", ">speaker</text>", "word, %", "chance 10<"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("chance 12.5"));
        // The middle one stands in the middle of the field.
        let middle = (FIELD.x.0 + FIELD.x.1) / 2.0;
        assert!(svg.contains(&format!("translate({middle:.1} ")));
    }

    #[test]
    fn a_scale_ends_on_round_shares_and_holds_its_values() {
        let scale = Scale::new([0.31, 0.87].into_iter(), 0.167, (0.0, 100.0));
        assert_eq!(scale.ticks().map(percent).next().as_deref(), Some("10"));
        assert_eq!(scale.ticks().map(percent).last().as_deref(), Some("90"));
        assert_eq!(scale.at(0.1).round(), 0.0);
        assert_eq!(scale.at(0.9).round(), 100.0);
        assert_eq!(scale.at(0.5).round(), 50.0);
        // A single value at chance still has a range.
        let narrow = Scale::new([1.0].into_iter(), 1.0, (0.0, 100.0));
        assert!(narrow.ticks().count() > 1 && narrow.at(1.0).is_finite());
    }
}
