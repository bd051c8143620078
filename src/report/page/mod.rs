//! A self-contained HTML page with its style, script, pictures and audio. Nothing is fetched, and a content security policy
//! forbids it. The page works on phones, on paper, in light and dark mode, with and without its script.

mod blocks;
mod html;

pub use blocks::{Cell, Clip, Figure, Grid, command_line};
pub use html::Html;

/// The content security policy: nothing is loaded from outside the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
                      media-src data:";

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Title.
    pub title: String,
    /// The line below the title.
    pub lead: String,
    /// Its chapters, in order.
    pub chapters: Vec<Chapter>,
    /// The missing sections, and what they need.
    pub left_out: Vec<String>,
    /// The program that wrote it.
    pub written_by: String,
}

/// Sections that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Its title; none where the page has one chapter.
    pub title: Option<String>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// Its content.
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
            // Without an icon a browser requests one from the server.
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

/// An id made of numbers, independent of titles.
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
