//! Names that commands had before they were in groups, and Kaldi's names for them. They stay readable and are shown nowhere.

use std::ffi::OsString;

/// An old name, and the words that stand for it now. One that has become a group's keeps its own first word.
const OLD: &[(&str, &[&str])] = &[
    ("augment", &["data", "augment"]),
    ("ctm-to-ali", &["data", "alignment"]),
    ("fbank", &["feats", "fbank"]),
    ("mfcc", &["feats", "mfcc"]),
    ("spectrogram", &["feats", "spectrogram"]),
    ("mel", &["feats", "mel"]),
    ("whisper", &["feats", "whisper"]),
    ("pitch", &["feats", "pitch"]),
    ("copy-feats", &["feats", "copy"]),
    ("compute-cmvn", &["feats", "cmvn-stats"]),
    ("apply-cmvn", &["feats", "apply-cmvn"]),
    ("apply-cmvn-sliding", &["feats", "apply-cmvn-sliding"]),
    ("add-deltas", &["feats", "deltas"]),
    ("splice-feats", &["feats", "splice"]),
    ("subsample-feats", &["feats", "subsample"]),
    ("stretch-feats", &["feats", "stretch"]),
    ("compute-vad", &["feats", "vad"]),
    ("select-voiced-frames", &["feats", "select-voiced"]),
    ("augment-feats", &["feats", "augment"]),
    ("griffin-lim", &["feats", "waveform"]),
    ("probe", &["eval", "probe"]),
    ("attack", &["eval", "attack"]),
    ("audit", &["eval", "audit"]),
    ("abx", &["eval", "abx"]),
    ("factors", &["eval", "factors"]),
    ("swap", &["eval", "conversion"]),
    ("results", &["eval", "results"]),
    ("frontier", &["eval", "frontier"]),
    ("score", &["verify", "score"]),
    ("backend", &["verify", "backend"]),
    ("calibrate", &["verify", "calibrate"]),
    ("evaluate", &["image", "evaluate"]),
    ("encode", &["image", "encode"]),
    ("sample", &["image", "sample"]),
    ("scores", &["image", "results"]),
    ("plot", &["plot", "utterance"]),
    ("map", &["plot", "map"]),
    // Kaldi's, where they were not ours.
    ("compute-fbank-feats", &["feats", "fbank"]),
    ("compute-mfcc-feats", &["feats", "mfcc"]),
    ("compute-spectrogram-feats", &["feats", "spectrogram"]),
    ("compute-kaldi-pitch-feats", &["feats", "pitch"]),
    ("compute-cmvn-stats", &["feats", "cmvn-stats"]),
];

/// The words of a command line, an old name at their head (behind the program, or behind `help`) by today's words.
///
/// `plot` is both: a group of `groups`, and what `plot utterance` was called. It is the group where one of the group's
/// own words follows, or nothing.
pub(super) fn renew(mut words: Vec<OsString>, groups: &clap::Command) -> Vec<OsString> {
    let at = 1 + usize::from(words.get(1).is_some_and(|word| word == "help"));
    let named = |(old, _): &&(&str, _)| words.get(at).is_some_and(|word| word == old);
    let Some((old, new)) = OLD.iter().find(named) else {
        return words;
    };
    let is_the_groups = groups.find_subcommand(old).is_some_and(|group| {
        let next = words.get(at + 1);
        next.is_none_or(|word| {
            ["help", "--help", "-h"].iter().any(|own| word == own)
                || group.find_subcommand(word).is_some()
        })
    });
    if !is_the_groups {
        words.splice(at..=at, new.iter().map(OsString::from));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    #[test]
    fn every_old_name_stands_for_a_command() {
        let command = command();
        for (old, new) in OLD {
            let named = (new.iter()).try_fold(&command, |at, word| at.find_subcommand(word));
            assert!(named.is_some(), "{old}");
        }
    }

    #[test]
    fn only_the_head_is_renewed() {
        let renewed = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            let words: Vec<String> = renew(words, &command())
                .into_iter()
                .map(|word| word.into_string().unwrap())
                .collect();
            words.join(" ")
        };
        for (given, expected) in [
            ("unbraid", "unbraid"),
            ("unbraid train fbank", "unbraid train fbank"),
            ("unbraid fbank fbank", "unbraid feats fbank fbank"),
            ("unbraid help copy-feats", "unbraid help feats copy"),
            (
                "unbraid score --trials x",
                "unbraid verify score --trials x",
            ),
            ("unbraid units score x", "unbraid units score x"),
            ("unbraid plot", "unbraid plot"),
            ("unbraid plot --help", "unbraid plot --help"),
            ("unbraid plot map x", "unbraid plot map x"),
            ("unbraid plot utterance x", "unbraid plot utterance x"),
            ("unbraid plot a.wav map", "unbraid plot utterance a.wav map"),
            ("unbraid plot --wav map", "unbraid plot utterance --wav map"),
            ("unbraid help plot", "unbraid help plot"),
            ("unbraid help map", "unbraid help plot map"),
        ] {
            assert_eq!(renewed(given), expected);
        }
    }
}
