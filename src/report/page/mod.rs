//! One page of HTML that holds everything it shows: style, script, pictures and sound. Nothing is fetched, and a policy in
//! its head forbids it. It is read on phones, on paper, in light and in dark, with and without its script.

mod blocks;
mod html;

pub use blocks::{Cell, Clip, Figure, Grid, command_line};
pub use html::Html;

/// Nothing is loaded but what lies in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
                      media-src data:";

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Headline.
    pub title: String,
    /// Words below it.
    pub lead: String,
    /// What it shows, in order.
    pub chapters: Vec<Chapter>,
    /// The last words: what is not there, and why.
    pub left_out: Vec<String>,
    /// What wrote it.
    pub written_by: String,
}

/// Sections that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Its headline; none where a page has one subject.
    pub title: Option<String>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its headline.
    pub title: String,
    /// What it shows.
    pub body: Html,
}

impl Page {
    /// The whole file.
    pub fn html(&self) -> String {
        let mut head = Html::default();
        head.element("head", &[], |head| {
            head.void("meta", &[("charset", "utf-8")]);
            let viewport = "width=device-width, initial-scale=1";
            head.void("meta", &[("name", "viewport"), ("content", viewport)]);
            head.void(
                "meta",
                &[("name", "color-scheme"), ("content", "light dark")],
            );
            let policy = [
                ("http-equiv", "Content-Security-Policy"),
                ("content", POLICY),
            ];
            head.void("meta", &policy);
            head.words("title", &self.title);
            // Without an icon of its own a browser asks the server for one.
            head.void("link", &[("rel", "icon"), ("href", "data:,")]);
            head.element("style", &[], |style| {
                style.markup(include_str!("style.css"))
            });
        });
        let mut body = Html::default();
        body.element("body", &[], |body| {
            let skip = [("class", "skip"), ("href", "#main")];
            body.element("a", &skip, |link| link.text("Skip to content"));
            body.element("header", &[], |header| {
                header.words("h1", &self.title);
                header.element("p", &[("class", "lead")], |lead| lead.text(&self.lead));
            });
            self.contents(body);
            body.element("main", &[("id", "main")], |main| self.main(main));
            body.element("footer", &[], |footer| footer.words("p", &self.written_by));
            body.element("script", &[], |script| {
                script.markup(include_str!("script.js"))
            });
        });
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n{}{}</html>\n",
            head.as_str(),
            body.as_str()
        )
    }

    fn contents(&self, body: &mut Html) {
        body.element("nav", &[("aria-label", "Contents")], |nav| {
            for (number, chapter) in self.chapters.iter().enumerate() {
                if let Some(title) = &chapter.title {
                    nav.words("b", title);
                }
                nav.element("ul", &[], |list| {
                    for (index, section) in chapter.sections.iter().enumerate() {
                        list.element("li", &[], |item| {
                            let to = format!("#{}", id(number, index));
                            item.element("a", &[("href", &to)], |link| link.text(&section.title));
                        });
                    }
                });
            }
        });
    }

    fn main(&self, main: &mut Html) {
        for (number, chapter) in self.chapters.iter().enumerate() {
            let level = match &chapter.title {
                None => "h2",
                Some(title) => {
                    main.element("h2", &[("class", "chapter")], |head| head.text(title));
                    "h3"
                }
            };
            for (index, section) in chapter.sections.iter().enumerate() {
                let id = id(number, index);
                let head = format!("{id}-title");
                let attributes = [("id", &*id), ("aria-labelledby", &*head)];
                main.element("section", &attributes, |html| {
                    html.element(level, &[("id", &head)], |html| html.text(&section.title));
                    html.push(&section.body);
                });
            }
        }
        if !self.left_out.is_empty() {
            main.element("section", &[("class", "left-out")], |html| {
                html.words("h2", "Left out");
                html.element("ul", &[], |list| {
                    for reason in &self.left_out {
                        list.words("li", reason);
                    }
                });
            });
        }
    }
}

/// Made of numbers, so that no title can spoil it.
fn id(chapter: usize, section: usize) -> String {
    format!("s{chapter}-{section}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_its_sections_and_loads_nothing() {
        let mut body = Html::default();
        body.words("p", "<b>");
        let section = Section {
            title: "a & b".into(),
            body,
        };
        let page = Page {
            title: "</title><script>".into(),
            lead: String::new(),
            chapters: vec![Chapter {
                title: None,
                sections: vec![section],
            }],
            left_out: vec!["x needs y".into()],
            written_by: "z".into(),
        };
        let html = page.html();
        for part in [
            "<title>&lt;/title&gt;&lt;script&gt;</title>",
            "<a href=\"#s0-0\">a &amp; b</a>",
            "<section id=\"s0-0\" aria-labelledby=\"s0-0-title\"><h2 id=\"s0-0-title\">a &amp; b</h2>",
            "<p>&lt;b&gt;</p>",
            "<li>x needs y</li>",
            "default-src 'none'",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("@import"));
    }
}
