//! Patterns over the paths of recordings, as `{speaker}/{chapter}/{utterance}.flac`.

use crate::error::{Error, Result};

/// A pattern that a path below a folder matches as a whole. `{name}` is one or more characters of a file or folder name,
/// as few as possible, the same ones where the name occurs again; `*` is any characters of a name; `**/` is any number of
/// folders. Without a dot in its last name it is compared with the path without its extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    with_extension: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
    Any,
    Folders,
}

/// Names and what they stand for in a path, in the pattern's order.
pub(super) type Fields<'a> = Vec<(&'a str, &'a str)>;

impl Pattern {
    /// Parses a pattern; `option` is named in errors.
    ///
    /// # Errors
    /// [`Error::Option`] for an empty one, or braces without a name or an end.
    pub fn parse(option: &str, text: &str) -> Result<Self> {
        let wrong = || {
            let expected = "a path with {NAME}, * and **/, as {speaker}/{utterance}.wav";
            Error::option(option, expected, format!("'{text}'"))
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(['{', '}', '*']).unwrap_or(rest.len());
            if end > 0 {
                parts.push(Part::Text(rest[..end].to_string()));
                rest = &rest[end..];
            } else if let Some(after) = rest.strip_prefix("**/") {
                parts.push(Part::Folders);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('*') {
                parts.push(Part::Any);
                rest = after;
            } else {
                let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                let (name, after) = inside.ok_or_else(wrong)?;
                if name.is_empty() || name.contains(['{', '/', '*']) {
                    return Err(wrong());
                }
                parts.push(Part::Field(name.to_string()));
                rest = after;
            }
        }
        let last = text.rsplit('/').next().unwrap_or_default();
        match parts.is_empty() {
            true => Err(wrong()),
            false => Ok(Self {
                parts,
                with_extension: last.contains('.'),
            }),
        }
    }

    /// Whether it names this field.
    pub fn has(&self, field: &str) -> bool {
        self.parts.contains(&Part::Field(field.to_string()))
    }

    /// The fields of a path with `/`; none where it does not match.
    pub fn fields<'a>(&'a self, path: &'a str) -> Option<Fields<'a>> {
        let path = match self.with_extension {
            true => path,
            false => without_extension(path),
        };
        let mut fields = Vec::new();
        matches(&self.parts, path, &mut fields).then_some(fields)
    }
}

/// A path without the extension of its last name.
pub(super) fn without_extension(path: &str) -> &str {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].rfind('.') {
        Some(dot) if dot > 0 => &path[..name + dot],
        _ => path,
    }
}

fn matches<'a>(parts: &'a [Part], path: &'a str, fields: &mut Fields<'a>) -> bool {
    let Some((part, parts)) = parts.split_first() else {
        return path.is_empty();
    };
    match part {
        Part::Text(text) => path
            .strip_prefix(text.as_str())
            .is_some_and(|rest| matches(parts, rest, fields)),
        Part::Folders => {
            let starts = path.match_indices('/').map(|(slash, _)| slash + 1);
            std::iter::once(0)
                .chain(starts)
                .any(|start| matches(parts, &path[start..], fields))
        }
        Part::Any => ends(path).any(|end| matches(parts, &path[end..], fields)),
        Part::Field(name) => {
            if let Some(&(_, known)) = fields.iter().find(|(field, _)| field == name) {
                let rest = path.strip_prefix(known);
                return rest.is_some_and(|rest| matches(parts, rest, fields));
            }
            let depth = fields.len();
            ends(path).skip(1).any(|end| {
                fields.push((name, &path[..end]));
                let found = matches(parts, &path[end..], fields);
                if !found {
                    fields.truncate(depth);
                }
                found
            })
        }
    }
}

/// Where a part of the first name may end, from the start on.
fn ends(path: &str) -> impl Iterator<Item = usize> {
    let name = path.find('/').unwrap_or(path.len());
    (0..=name).filter(|&end| path.is_char_boundary(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, path: &str) -> Option<String> {
        let pattern = Pattern::parse("--pattern", pattern).unwrap();
        let fields = pattern.fields(path)?;
        let fields: Vec<String> = (fields.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Some(fields.join(" "))
    }

    #[test]
    fn paths_are_taken_apart() {
        for (pattern, path, expected) in [
            (
                "{speaker}/{chapter}/{utterance}.flac",
                "19/198/19-198-0000.flac",
                Some("speaker=19 chapter=198 utterance=19-198-0000"),
            ),
            ("{speaker}/{utterance}.flac", "19/198/x.flac", None),
            ("{speaker}/{utterance}.flac", "19/x.wav", None),
            (
                "{digit}_{speaker}_{take}.wav",
                "0_jörg_12.wav",
                Some("digit=0 speaker=jörg take=12"),
            ),
            ("{speaker}/*", "a/b.wav", Some("speaker=a")),
            (
                "{speaker}/{utterance}",
                "a/b.c.wav",
                Some("speaker=a utterance=b.c"),
            ),
            (
                "**/wav48/{speaker}/{speaker}_{utterance}.wav",
                "x/y/wav48/p1/p1_2.wav",
                Some("speaker=p1 utterance=2"),
            ),
            (
                "**/wav48/{speaker}/{speaker}_{utterance}.wav",
                "wav48/p1/p2_2.wav",
                None,
            ),
            (
                "**/{speaker}/{utterance}.wav",
                "a/b/c.wav",
                Some("speaker=b utterance=c"),
            ),
        ] {
            assert_eq!(
                found(pattern, path).as_deref(),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for pattern in ["", "{}", "{speaker", "speaker}", "{a{b}", "{a/b}"] {
            let error = Pattern::parse("--pattern", pattern)
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("--pattern: expected a path with {NAME}"),
                "{error}"
            );
        }
    }

    #[test]
    fn only_the_last_name_has_an_extension() {
        for (path, expected) in [("a.b/c", "a.b/c"), ("a/b.c.wav", "a/b.c"), (".x", ".x")] {
            assert_eq!(without_extension(path), expected);
        }
    }
}
