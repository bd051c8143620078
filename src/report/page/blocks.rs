//! The parts of a section: paragraphs, tables, figures, audio, and the commands that reproduce them.

use super::super::markup::base64;
use super::super::picture::Picture;
use super::super::table::Table;
use super::Html;

/// A figure.
#[derive(Debug, Clone, Copy)]
pub struct Figure<'a> {
    /// The picture.
    pub picture: &'a Picture,
    /// The largest width in pixels.
    pub most: usize,
    /// The caption.
    pub caption: &'a str,
}

/// Audio with its picture.
#[derive(Debug, Clone, Copy)]
pub struct Clip<'a> {
    /// Its title.
    pub title: &'a str,
    /// Its picture.
    pub picture: &'a Picture,
    /// A WAV file.
    pub wav: &'a [u8],
}

/// Names of a legend that are always visible; the others are folded.
const LEGEND: usize = 16;

/// The number of figures side by side on a wide screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// Two of about 460 pixels.
    Two,
    /// As many as have 300 pixels each.
    Many,
}

/// A cell of a table.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// Text or a number.
    Text(&'a str),
    /// A small picture.
    Picture(&'a Picture),
}

impl Html {
    /// A paragraph.
    pub fn paragraph(&mut self, words: &str) {
        self.words("p", words);
    }

    /// A paragraph of small print.
    pub fn note(&mut self, words: &str) {
        self.element("p", &[("class", "note")], |note| note.text(words));
    }

    /// A list of names and values.
    pub fn facts(&mut self, facts: &[(String, String)]) {
        self.element("dl", &[], |list| {
            for (name, value) in facts {
                list.element("div", &[], |pair| {
                    pair.words("dt", name);
                    pair.element("dd", &[], |dd| dd.name(value));
                });
            }
        });
    }

    /// A table with its caption.
    pub fn table(&mut self, caption: &str, table: &Table) {
        let rows: Vec<Vec<Cell>> = (table.rows().iter())
            .map(|row| row.iter().map(|cell| Cell::Text(cell)).collect())
            .collect();
        let header: Vec<&str> = table.header().iter().map(String::as_str).collect();
        self.table_of(caption, &header, &rows);
    }

    /// A table of cells. It scrolls sideways where it is wider than the screen; columns of numbers are right-aligned.
    pub fn table_of(&mut self, caption: &str, header: &[&str], rows: &[Vec<Cell>]) {
        let numbers: Vec<bool> = (0..header.len())
            .map(|column| {
                rows.iter()
                    .all(|row| row.get(column).is_some_and(is_number))
            })
            .collect();
        let class = |column: usize| match numbers.get(column) {
            Some(true) => vec![("class", "number")],
            _ => Vec::new(),
        };
        let region = [
            ("class", "scroll"),
            ("role", "region"),
            ("tabindex", "0"),
            ("aria-label", caption),
        ];
        self.element("p", &[("class", "note caption")], |note| note.text(caption));
        self.element("div", &region, |region| {
            region.element("table", &[("aria-label", caption)], |table| {
                table.element("thead", &[], |head| {
                    head.element("tr", &[], |row| {
                        for (column, name) in header.iter().enumerate() {
                            let scope = [&class(column)[..], &[("scope", "col")]].concat();
                            row.element("th", &scope, |cell| cell.text(name));
                        }
                    });
                });
                table.element("tbody", &[], |body| {
                    for cells in rows {
                        body.element("tr", &[], |row| {
                            for (column, content) in cells.iter().enumerate() {
                                row.element("td", &class(column), |cell| match content {
                                    Cell::Text(words) => cell.text(words),
                                    Cell::Picture(picture) => {
                                        cell.markup(&picture.inline_svg(picture.width));
                                    }
                                });
                            }
                        });
                    }
                });
            });
        });
    }

    /// Figures side by side.
    pub fn grid(&mut self, grid: Grid, inside: impl FnOnce(&mut Self)) {
        let class = match grid {
            Grid::Two => "grid two",
            Grid::Many => "grid many",
        };
        self.element("div", &[("class", class)], inside);
    }

    /// A picture with a caption.
    pub fn figure(&mut self, figure: Figure) {
        self.element("figure", &[], |html| {
            html.markup(&figure.picture.inline_svg(figure.most));
            if !figure.caption.is_empty() {
                html.words("figcaption", figure.caption);
            }
        });
    }

    /// A map of points with a legend. The tooltip of the point under the pointer, or chosen by the keyboard, is shown below.
    pub fn map(&mut self, figure: Figure, legend: &[(Picture, &str)]) {
        self.element("figure", &[("class", "map")], |html| {
            html.words("figcaption", figure.caption);
            html.markup(&figure.picture.inline_svg(figure.most));
            html.element("output", &[("aria-live", "polite")], |_| {});
            let (shown, folded) = match legend.len() > LEGEND + 1 {
                true => legend.split_at(LEGEND),
                false => (legend, &legend[..0]),
            };
            html.legend(shown);
            if !folded.is_empty() {
                html.element("details", &[], |details| {
                    details.words("summary", &format!("and {} more", folded.len()));
                    details.legend(folded);
                });
            }
        });
    }

    fn legend(&mut self, marks: &[(Picture, &str)]) {
        let attributes = [("class", "legend"), ("aria-label", "Legend")];
        self.element("ul", &attributes, |list| {
            for (mark, name) in marks {
                list.element("li", &[], |item| {
                    item.markup(&mark.inline_svg(mark.width));
                    item.element("span", &[], |text| text.name(name));
                });
            }
        });
    }

    /// A chart that scrolls sideways on narrow screens. `svg` is a whole SVG element.
    pub fn chart(&mut self, svg: &str, caption: &str) {
        self.element("figure", &[("class", "wide")], |html| {
            let region = [
                ("class", "scroll"),
                ("role", "region"),
                ("tabindex", "0"),
                ("aria-label", caption),
            ];
            html.element("div", &region, |scroll| scroll.markup(svg));
            html.words("figcaption", caption);
        });
    }

    /// A PNG file as a figure.
    pub fn png(&mut self, png: &[u8], alt: &str, caption: &str) {
        self.element("figure", &[], |html| {
            let source = format!("data:image/png;base64,{}", base64(png));
            html.void("img", &[("alt", alt), ("src", &source)]);
            html.words("figcaption", caption);
        });
    }

    /// Audio below its picture.
    pub fn clip(&mut self, clip: Clip) {
        self.element("figure", &[("class", "clip")], |html| {
            html.words("figcaption", clip.title);
            html.markup(&clip.picture.inline_svg(3 * clip.picture.width / 2));
            let source = format!("data:audio/wav;base64,{}", base64(clip.wav));
            let attributes = [
                ("controls", ""),
                ("preload", "metadata"),
                ("aria-label", clip.title),
                ("src", &source),
            ];
            html.element("audio", &attributes, |_| {});
        });
    }

    /// The command that reproduces the part above, folded.
    pub fn command(&mut self, command: &str) {
        self.element("details", &[("class", "command")], |html| {
            html.words("summary", "Command");
            html.element("pre", &[], |pre| pre.words("code", command));
        });
    }

    /// A file's text, folded.
    pub fn file(&mut self, name: &str, content: &str) {
        self.element("details", &[], |html| {
            html.words("summary", name);
            html.element("pre", &[], |pre| pre.words("code", content));
        });
    }
}

/// Whether a cell is a number, a range of numbers, or empty.
fn is_number(cell: &Cell) -> bool {
    match cell {
        Cell::Picture(_) => false,
        Cell::Text(words) => {
            let of_numbers = |c: char| c.is_ascii_digit() || " .,%±-/".contains(c);
            !words.is_empty() && words.chars().all(of_numbers)
        }
    }
}

/// A command line for a POSIX shell: words with special characters are quoted.
pub fn command_line<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    let quoted = words.into_iter().map(|word| match word.as_ref() {
        word if !word.is_empty() && word.chars().all(plain) => word.to_string(),
        word => format!("'{}'", word.replace('\'', "'\\''")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_special_characters_are_quoted() {
        let words = [
            "unbraid",
            "plot",
            "map",
            "a b.scp",
            "it's",
            "",
            "scp:x/y.scp",
        ];
        assert_eq!(
            command_line(words),
            "unbraid plot map 'a b.scp' 'it'\\''s' '' scp:x/y.scp"
        );
    }

    #[test]
    fn a_long_legend_is_folded_and_names_break_between_their_parts() {
        let picture = super::super::super::scatter::key(0);
        let figure = Figure {
            picture: &picture,
            most: 10,
            caption: "c",
        };
        let of = |count: usize| {
            let mut html = Html::default();
            html.map(figure, &vec![(picture.clone(), "a_b"); count]);
            html
        };
        assert!(!of(LEGEND + 1).as_str().contains("more"));
        let html = of(40);
        let (shown, folded) = html
            .as_str()
            .split_once("<summary>and 24 more</summary>")
            .unwrap();
        assert_eq!(
            (
                shown.matches("<li>").count(),
                folded.matches("<li>").count()
            ),
            (16, 24)
        );
        assert!(folded.contains("<span>a_<wbr>b</span>"), "{folded}");
    }

    #[test]
    fn columns_of_numbers_are_known() {
        let mut table = Table::new(&["name", "value"]);
        table.row(vec!["1".into(), "0.5".into()]);
        table.row(vec!["b".into(), "0.2 - 0.7".into()]);
        let mut html = Html::default();
        html.table("c", &table);
        let html = html.as_str();
        assert!(html.contains("<td class=\"number\">0.5</td>"), "{html}");
        assert!(html.contains("<td>1</td>"), "{html}");
    }
}
