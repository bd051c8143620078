//! A builder of HTML: elements are closed by the call that opened them, and text is escaped.

use super::super::markup::escape;

/// A piece of HTML.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Text.
    pub fn text(&mut self, words: &str) {
        self.0.push_str(&escape(words));
    }

    /// A name, which may wrap after underscores and slashes only.
    pub fn name(&mut self, name: &str) {
        for part in name.split_inclusive(['_', '/']) {
            self.text(part);
            if part.ends_with(['_', '/']) {
                self.0.push_str("<wbr>");
            }
        }
    }

    /// An element with the content of `inside`.
    pub fn element(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.void(name, attributes);
        inside(self);
        self.0.push_str(&format!("</{name}>"));
        // No line break after inline elements, which would add a space.
        if !matches!(name, "a" | "b" | "code" | "span" | "td" | "th") {
            self.0.push('\n');
        }
    }

    /// An element without content or end, as `meta` and `img`.
    pub fn void(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push_str(&format!("<{name}"));
        for (key, value) in attributes {
            self.0.push_str(&format!(" {key}=\"{}\"", escape(value)));
        }
        self.0.push('>');
    }

    /// An element that contains only text.
    pub fn words(&mut self, name: &str, words: &str) {
        self.element(name, &[], |html| html.text(words));
    }

    /// Finished HTML: a picture, a style. It must not contain unescaped input.
    pub fn markup(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Another piece.
    pub fn push(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// The HTML.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_closed_and_escaped() {
        let mut html = Html::default();
        html.element("p", &[("title", "\"><x>")], |html| {
            html.text("a < b ");
            html.words("code", "&amp;");
        });
        assert_eq!(
            html.as_str(),
            "<p title=\"&quot;&gt;&lt;x&gt;\">a &lt; b <code>&amp;amp;</code></p>\n"
        );
    }
}
