//! The kinds of labels, label sequences as text, and class numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The character between two words.
pub const SPACE: &str = "<space>";

/// A target that is ignored: padding, or a name outside the inventory (libtorch's own `ignore_index`).
pub const NO_LABEL: i64 = -100;

/// Largest number of frame classes, above any set of phones or senones: an invalid number must not size a network.
pub(super) const MOST_CLASSES: i32 = 1 << 16;

/// The kind of labels, and the file of the data directory that holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// No labels.
    #[default]
    None,
    /// One class per utterance: its line in `text`.
    UtteranceClass,
    /// One class per frame: integers in `ali.scp`, an archive of int32 vectors.
    Alignment,
    /// A phone sequence per utterance, without times: its line in `utt2phones`.
    PhoneSequence,
    /// A word sequence per utterance: its line in `text`.
    WordSequence,
    /// A character sequence per utterance: its line in `text`, with [`SPACE`] between words.
    CharacterSequence,
}

impl Labels {
    /// Whether an utterance has a label sequence without times, for CTC.
    pub fn are_strings(self) -> bool {
        matches!(
            self,
            Self::PhoneSequence | Self::WordSequence | Self::CharacterSequence
        )
    }

    /// Their name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "labels",
            Self::UtteranceClass => "utterance_class",
            Self::Alignment => "alignment",
            Self::PhoneSequence => "phones",
            Self::WordSequence => "words",
            Self::CharacterSequence => "characters",
        }
    }

    /// The label sequence in a line of a data directory's table.
    pub fn split(self, line: &str) -> Vec<String> {
        let words = line.split_whitespace();
        if self != Self::CharacterSequence {
            return words.map(str::to_string).collect();
        }
        let mut string = Vec::new();
        for word in words {
            if !string.is_empty() {
                string.push(SPACE.to_string());
            }
            string.extend(word.chars().map(String::from));
        }
        string
    }

    /// A label sequence as a line: the inverse of [`Labels::split`].
    pub fn join(self, string: &[&str]) -> String {
        if self != Self::CharacterSequence {
            return string.join(" ");
        }
        let spaced = string.iter().map(|&c| if c == SPACE { " " } else { c });
        let line: String = spaced.collect();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Indices in a sorted inventory; [`NO_LABEL`] for names outside it.
pub(super) fn numbers<'a>(names: impl Iterator<Item = &'a str>, inventory: &[String]) -> Vec<i64> {
    names
        .map(|name| {
            inventory
                .binary_search_by(|known| known.as_str().cmp(name))
                .map_or(NO_LABEL, |place| place as i64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_and_joined() {
        let line = "to  be";
        assert_eq!(Labels::WordSequence.split(line), ["to", "be"]);
        let characters = Labels::CharacterSequence.split(line);
        assert_eq!(characters, ["t", "o", SPACE, "b", "e"]);
        let sequence: Vec<&str> = characters.iter().map(String::as_str).collect();
        assert_eq!(Labels::CharacterSequence.join(&sequence), "to be");
        // The output of a recogniser may begin with a space or contain two in a row.
        assert_eq!(
            Labels::CharacterSequence.join(&[SPACE, "a", SPACE, SPACE, "b"]),
            "a b"
        );
    }
}
