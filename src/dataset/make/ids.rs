//! Ids of speakers and utterances: ASCII letters and digits with `_`, `.` and `-`. They are unique, and sorted by utterance
//! they are sorted by speaker too, as Kaldi's tools need it.

use std::collections::{BTreeMap, HashMap, HashSet};

/// The names of a recording in its corpus.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    /// The speaker, with the folders above as `a/b` where they are known; none makes each utterance its own speaker.
    pub speaker: Option<&'a str>,
    /// The utterance.
    pub utterance: &'a str,
}

/// Ids of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ids {
    pub speaker: String,
    pub utterance: String,
}

/// An id of a name: letters of any script in ASCII (`Jörg` is `Jorg`), and `_` for the rest.
pub fn valid(name: &str) -> String {
    let plain = deunicode::deunicode(name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let words = plain.split(|c| !allowed(c)).filter(|word| !word.is_empty());
    match words.collect::<Vec<_>>().join("_") {
        id if id.is_empty() => "unnamed".into(),
        id => id,
    }
}

/// An utterance's id, which begins with its speaker's. A name that begins so already stays.
pub fn prefixed(speaker: &str, utterance: &str) -> String {
    match without_prefix(speaker, utterance) {
        Some(_) => utterance.to_string(),
        None => format!("{speaker}-{utterance}"),
    }
}

/// What follows the speaker in a name.
fn without_prefix<'a>(speaker: &str, utterance: &'a str) -> Option<&'a str> {
    let rest = utterance.strip_prefix(speaker)?;
    rest.strip_prefix(['-', '_'])
        .filter(|rest| !rest.is_empty())
}

/// The ids of recordings, in their order. Where ids like those in the corpus would not be sorted by speaker, all get the
/// form `speaker-utterance` without `-` in the speaker.
pub(super) fn assign(names: &[Names]) -> Vec<Ids> {
    let natural = form(names, valid, prefixed);
    if is_sorted(&natural) {
        return natural;
    }
    form(
        names,
        |name| valid(name).replace('-', "_"),
        |speaker, utterance| {
            let rest = without_prefix(speaker, utterance).unwrap_or(utterance);
            format!("{speaker}-{rest}")
        },
    )
}

fn form(
    names: &[Names],
    speaker_id: impl Fn(&str) -> String,
    utterance_id: impl Fn(&str, &str) -> String,
) -> Vec<Ids> {
    let speakers = speakers(names, speaker_id);
    let mut taken = HashSet::new();
    let ids = names.iter().map(|name| {
        let utterance = valid(name.utterance);
        match name.speaker {
            Some(speaker) => {
                let speaker = speakers[speaker].clone();
                let utterance = unique(utterance_id(&speaker, &utterance), &mut taken);
                Ids { speaker, utterance }
            }
            None => {
                let utterance = unique(utterance, &mut taken);
                let speaker = utterance.clone();
                Ids { speaker, utterance }
            }
        }
    });
    ids.collect()
}

/// The id of each speaker: its last name where no other has it, else with the folders above.
fn speakers<'a>(names: &[Names<'a>], id: impl Fn(&str) -> String) -> HashMap<&'a str, String> {
    let mut by_last: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut all: Vec<&str> = names.iter().filter_map(|name| name.speaker).collect();
    all.sort_unstable();
    all.dedup();
    for speaker in all {
        let last = speaker.rsplit('/').next().unwrap_or(speaker);
        by_last.entry(id(last)).or_default().push(speaker);
    }
    let (mut found, mut taken) = (HashMap::new(), HashSet::new());
    let (alone, alike): (Vec<_>, Vec<_>) = by_last
        .into_iter()
        .partition(|(_, speakers)| speakers.len() == 1);
    for (last, speakers) in alone.into_iter().chain(alike) {
        for speaker in &speakers {
            let name = match speakers.len() {
                1 => last.clone(),
                _ => id(speaker),
            };
            found.insert(*speaker, unique(name, &mut taken));
        }
    }
    found
}

/// `id`, or the first of `id_2`, `id_3` and so on that is free.
fn unique(id: String, taken: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{id}_{number}"));
    let mut candidates = std::iter::once(id.clone()).chain(numbered);
    let free = candidates
        .find(|candidate| taken.insert(candidate.clone()))
        .expect("there are more numbers than ids");
    drop(candidates);
    free
}

fn is_sorted(ids: &[Ids]) -> bool {
    let mut pairs: Vec<(&str, &str)> = (ids.iter())
        .map(|id| (id.utterance.as_str(), id.speaker.as_str()))
        .collect();
    pairs.sort_unstable();
    pairs.is_sorted_by_key(|(_, speaker)| *speaker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(names: &[(&str, &str)]) -> Vec<String> {
        let names: Vec<Names> = (names.iter())
            .map(|&(speaker, utterance)| Names {
                speaker: Some(speaker).filter(|name| !name.is_empty()),
                utterance,
            })
            .collect();
        let ids = assign(&names);
        assert!(is_sorted(&ids), "{ids:?}");
        ids.into_iter()
            .map(|id| format!("{} {}", id.speaker, id.utterance))
            .collect()
    }

    #[test]
    fn names_become_ascii() {
        for (name, id) in [
            ("Jörg Müller", "Jorg_Muller"),
            // The same with combining marks, as one file system stores it.
            ("Jo\u{308}rg Mu\u{308}ller", "Jorg_Muller"),
            ("a/b\\c", "a_b_c"),
            (" ?x! ", "x"),
            ("北京", "Bei_Jing"),
            ("p225_001", "p225_001"),
            ("!", "unnamed"),
        ] {
            assert_eq!(valid(name), id);
        }
    }

    #[test]
    fn utterances_begin_with_their_speaker() {
        assert_eq!(
            assigned(&[("p225", "p225_001"), ("anna", "1"), ("b", "b")]),
            ["p225 p225_001", "anna anna-1", "b b-b"]
        );
        assert_eq!(
            assigned(&[("", "x y"), ("", "x_y")]),
            ["x_y x_y", "x_y_2 x_y_2"]
        );
    }

    #[test]
    fn equal_names_are_kept_apart() {
        assert_eq!(
            assigned(&[
                ("a/anna", "1"),
                ("b/anna", "1"),
                ("a/bo", "1"),
                ("a/bo", "1")
            ]),
            ["a_anna a_anna-1", "b_anna b_anna-1", "bo bo-1", "bo bo-1_2"]
        );
        assert_eq!(
            assigned(&[("Jorg", "1"), ("Jörg", "1")]),
            ["Jorg Jorg-1", "Jorg_2 Jorg_2-1"]
        );
    }

    #[test]
    fn order_by_utterance_is_order_by_speaker() {
        // p2250_1 is before p225_1, and a-b-1 before a-x.
        assert_eq!(
            assigned(&[("p225", "p225_1"), ("p2250", "p2250_1")]),
            ["p225 p225-1", "p2250 p2250-1"]
        );
        assert_eq!(
            assigned(&[("a", "x"), ("a-b", "1")]),
            ["a a-x", "a_b a_b-1"]
        );
    }
}
