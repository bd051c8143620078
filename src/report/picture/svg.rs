//! A picture as SVG.

use std::fmt::Write;

use super::super::markup::{base64, escape};
use super::{Anchor, Colour, Picture, Place, Shape, TextStyle};

impl Picture {
    /// The picture as an SVG file; rasters are embedded as PNG.
    pub(super) fn svg(&self) -> String {
        let Self { width, height, .. } = self;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" font-family=\"DejaVu Sans,Verdana,sans-serif\">\n\
             <title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n",
            escape(&self.title)
        );
        self.draw(&mut svg);
        svg + "</svg>\n"
    }

    /// The picture as an SVG element of a page: as wide as its place but no wider than `most` pixels, on the page's own
    /// paper. Its colours are attributes, so that a page's style can change each into another.
    pub fn inline_svg(&self, most: usize) -> String {
        let Self { width, height, .. } = self;
        let mut svg = format!(
            "<svg class=\"picture\" viewBox=\"0 0 {width} {height}\" style=\"max-width:{most}px\" role=\"img\" \
             aria-label=\"{}\" font-family=\"DejaVu Sans,Verdana,sans-serif\">\n",
            escape(&self.title)
        );
        self.draw(&mut svg);
        svg + "</svg>\n"
    }

    fn draw(&self, svg: &mut String) {
        for shape in &self.shapes {
            // Writing to a string cannot fail.
            let _ = draw(svg, shape);
        }
    }
}

fn draw(svg: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape {
        Shape::Rectangle { at, size, fill } => writeln!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}/>",
            short(at.0),
            short(at.1),
            short(size.0),
            short(size.1),
            painted("fill", *fill)
        ),
        Shape::Line {
            points,
            stroke,
            width,
        } => writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke-width=\"{}\" stroke-linejoin=\"round\"{}/>",
            listed(points),
            short(*width),
            painted("stroke", *stroke)
        ),
        Shape::Area { points, fill } => writeln!(
            svg,
            "<polygon points=\"{}\"{}/>",
            listed(points),
            painted("fill", *fill)
        ),
        Shape::Dots {
            points,
            radius,
            fill,
        } => {
            writeln!(svg, "<g{}>", painted("fill", *fill))?;
            for (x, y) in points {
                writeln!(
                    svg,
                    "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
                    short(*x),
                    short(*y),
                    short(*radius)
                )?;
            }
            writeln!(svg, "</g>")
        }
        Shape::Text { at, words, style } => text(svg, *at, words, style),
        Shape::Hinted { hint, shapes } => {
            writeln!(svg, "<g class=\"hinted\"><title>{}</title>", escape(hint))?;
            shapes.iter().try_for_each(|shape| draw(svg, shape))?;
            writeln!(svg, "</g>")
        }
        Shape::Raster { at, image } => writeln!(
            svg,
            "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" href=\"data:image/png;base64,{}\"/>",
            short(at.0),
            short(at.1),
            image.width,
            image.height,
            base64(&image.png())
        ),
    }
}

fn text(svg: &mut String, at: Place, words: &str, style: &TextStyle) -> std::fmt::Result {
    let anchor = match style.anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let turned = match style.upwards {
        true => format!(" transform=\"rotate(-90 {} {})\"", short(at.0), short(at.1)),
        false => String::new(),
    };
    writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"{anchor}\"{turned}{}>{}</text>",
        short(at.0),
        short(at.1),
        short(style.size),
        painted("fill", style.fill),
        escape(words)
    )
}

fn listed(points: &[Place]) -> String {
    let pairs = points
        .iter()
        .map(|(x, y)| format!("{},{}", short(*x), short(*y)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// A number with at most two decimals.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn painted(what: &str, Colour([r, g, b, opacity]): Colour) -> String {
    let colour = format!(" {what}=\"#{r:02x}{g:02x}{b:02x}\"");
    match opacity {
        255 => colour,
        opacity => {
            let part = short(f64::from(opacity) / 255.0);
            format!("{colour} {what}-opacity=\"{part}\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::one_of_each;

    #[test]
    fn shapes_are_there_and_words_escaped() {
        let svg = one_of_each().svg();
        for part in [
            "<title>t &lt; u</title>",
            "<rect x=\"10\" y=\"10\" width=\"20\" height=\"10\" fill=\"#ff0000\"/>",
            "points=\"0,99.5 200,99.5\"",
            "fill=\"#0000ff\" fill-opacity=\"0.5\"",
            "<circle cx=\"50\" cy=\"50\" r=\"4\"/>",
            ">a &lt; \u{259}&amp;</text>",
            "href=\"data:image/png;base64,iVBORw0KGgo",
            "<g class=\"hinted\"><title>b&gt;</title>\n<rect",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
    }
}
