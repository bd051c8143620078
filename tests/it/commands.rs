//! The commands: how they are grouped and shown, the names that they had, and the one style of their help.

use std::path::Path;

use clap::Command;

use unbraid::io::audio::FORMATS;

use crate::support::succeed;

/// Groups and what is in them.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "data",
        &[
            "make",
            "validate",
            "fix",
            "split",
            "subset",
            "combine",
            "augment",
            "shard",
            "trials",
            "alignment",
            "cluster-speakers",
        ],
    ),
    (
        "feats",
        &[
            "fbank",
            "mfcc",
            "spectrogram",
            "mel",
            "whisper",
            "ssl",
            "pitch",
            "copy",
            "cmvn-stats",
            "apply-cmvn",
            "apply-cmvn-sliding",
            "deltas",
            "splice",
            "subsample",
            "stretch",
            "vad",
            "select-voiced",
            "augment",
            "speaker-regression",
            "subtract-speaker",
            "waveform",
        ],
    ),
    ("units", &["train", "apply", "score"]),
    (
        "eval",
        &[
            "probe",
            "audit",
            "attack",
            "abx",
            "factors",
            "conversion",
            "results",
            "frontier",
        ],
    ),
    ("verify", &["score", "backend", "calibrate", "quality"]),
    ("asr", &["train", "decode", "align", "score"]),
    ("image", &["evaluate", "encode", "sample", "results"]),
    ("config", &["show", "reference", "schema"]),
    ("plot", &["utterance", "map"]),
];

/// Names from before there were groups, and what they stand for.
const OLD: &[(&str, &str)] = &[
    ("augment", "data augment"),
    ("ctm-to-ali", "data alignment"),
    ("fbank", "feats fbank"),
    ("mfcc", "feats mfcc"),
    ("spectrogram", "feats spectrogram"),
    ("mel", "feats mel"),
    ("whisper", "feats whisper"),
    ("pitch", "feats pitch"),
    ("copy-feats", "feats copy"),
    ("compute-cmvn", "feats cmvn-stats"),
    ("apply-cmvn", "feats apply-cmvn"),
    ("apply-cmvn-sliding", "feats apply-cmvn-sliding"),
    ("add-deltas", "feats deltas"),
    ("splice-feats", "feats splice"),
    ("subsample-feats", "feats subsample"),
    ("stretch-feats", "feats stretch"),
    ("compute-vad", "feats vad"),
    ("select-voiced-frames", "feats select-voiced"),
    ("augment-feats", "feats augment"),
    ("griffin-lim", "feats waveform"),
    ("probe", "eval probe"),
    ("attack", "eval attack"),
    ("abx", "eval abx"),
    ("factors", "eval factors"),
    ("swap", "eval conversion"),
    ("results", "eval results"),
    ("frontier", "eval frontier"),
    ("score", "verify score"),
    ("backend train", "verify backend train"),
    ("backend adapt", "verify backend adapt"),
    ("calibrate train", "verify calibrate train"),
    ("calibrate apply", "verify calibrate apply"),
    ("evaluate", "image evaluate"),
    ("encode", "image encode"),
    ("sample", "image sample"),
    ("scores", "image results"),
    ("map", "plot map"),
    // Kaldi's.
    ("compute-fbank-feats", "feats fbank"),
    ("compute-mfcc-feats", "feats mfcc"),
    ("compute-spectrogram-feats", "feats spectrogram"),
    ("compute-kaldi-pitch-feats", "feats pitch"),
    ("compute-cmvn-stats", "feats cmvn-stats"),
];

fn help(words: &str) -> String {
    let mut words: Vec<&str> = words.split_whitespace().collect();
    words.push("--help");
    String::from_utf8(succeed(Path::new("."), &words)).unwrap()
}

/// Headings of a help, each with the first words of the lines below it.
fn entries(help: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in help.lines() {
        match (line.strip_suffix(':'), found.last_mut()) {
            (Some(heading), _) if !line.starts_with(' ') => found.push((heading, Vec::new())),
            (_, Some((_, names))) if line.starts_with("  ") && !line.starts_with("   ") => {
                names.extend(line.split_whitespace().next());
            }
            _ => {}
        }
    }
    found
}

#[test]
fn few_commands_stand_under_headings() {
    let help = help("");
    let headings = entries(&help);
    let (options, _) = headings
        .iter()
        .enumerate()
        .find(|(_, (heading, _))| *heading == "Options")
        .unwrap();
    let shown: Vec<&str> = headings[..options]
        .iter()
        .flat_map(|(_, names)| names.clone())
        .collect();
    assert!((2..=6).contains(&options), "{help}");
    assert!(shown.len() <= 15, "{help}");
    // Every command that is not hidden, once.
    let command = unbraid::cli::command();
    let mut all: Vec<&str> = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .map(Command::get_name)
        .collect();
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    all.sort_unstable();
    assert_eq!(sorted, all, "{help}");
    assert!(
        help.lines().all(|line| line.chars().count() <= 80),
        "{help}"
    );
}

#[test]
fn a_group_lists_its_commands() {
    for (group, commands) in GROUPS {
        let help = help(group);
        let shown = entries(&help);
        let (_, names) = shown
            .iter()
            .find(|(heading, _)| *heading == "Commands")
            .unwrap();
        let names: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| *name != "help")
            .collect();
        assert_eq!(&names, commands, "{help}");
    }
}

#[test]
fn old_names_go_on_and_are_not_shown() {
    let top = help("");
    let shown: Vec<&str> = entries(&top)
        .into_iter()
        .flat_map(|(_, names)| names)
        .collect();
    for (old, new) in OLD {
        let message = help(old);
        assert!(
            message.contains(&format!("Usage: unbraid {new} ")),
            "{message}"
        );
        assert!(!shown.contains(&old.split(' ').next().unwrap()), "{top}");
    }
    let message = succeed(Path::new("."), &["help", "copy-feats"]);
    assert_eq!(String::from_utf8(message).unwrap(), help("feats copy"));
}

#[test]
fn plot_is_a_group_and_what_draws_an_utterance() {
    let dir = tempfile::tempdir().unwrap();
    let audio = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mini/audio/f01-s01.flac");
    succeed(dir.path(), &["plot", audio, "--out", "old.svg"]);
    succeed(dir.path(), &["plot", "--out", "options.svg", audio]);
    succeed(
        dir.path(),
        &["plot", "utterance", audio, "--out", "new.svg"],
    );
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert_eq!(read("old.svg"), read("new.svg"));
    assert_eq!(read("options.svg"), read("new.svg"));
}
/// What commands do.
const VERBS: &[&str] = &[
    "Add",
    "Adapt",
    "Align",
    "Augment",
    "Calibrate",
    "Check",
    "Cluster",
    "Combine",
    "Compare",
    "Compute",
    "Concatenate",
    "Convert",
    "Copy",
    "Decode",
    "Disentangle",
    "Draw",
    "Encode",
    "Evaluate",
    "Fit",
    "Keep",
    "Make",
    "Mark",
    "Measure",
    "Normalise",
    "Plot",
    "Print",
    "Put",
    "Score",
    "Show",
    "Sort",
    "Split",
    "Stretch",
    "Subtract",
    "Take",
    "Train",
    "Turn",
    "Verify",
    "Write",
];

/// Words that no help uses: a private language.
const RETIRED: &[&str] = &[
    "critic", "heard", "hears", "knows", "lent", "opponent", "said", "says", "strand", "strands",
    "swap", "tell", "tells", "told", "voices",
];

#[test]
fn help_has_no_private_words() {
    let mut left = vec![("unbraid".to_string(), unbraid::cli::command())];
    let mut found = Vec::new();
    while let Some((name, mut command)) = left.pop() {
        let help = command.render_long_help().to_string().to_lowercase();
        let words = help.split(|c: char| !c.is_alphabetic());
        found.extend(
            words
                .filter(|word| RETIRED.contains(word))
                .map(|word| format!("{name}: {word}")),
        );
        left.extend(
            (command.get_subcommands()).map(|c| (format!("{name} {}", c.get_name()), c.clone())),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Everything that is wrong with the help of a command and of those below it.
fn faults(command: &Command, name: &str, found: &mut Vec<String>) {
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let first = about.split([' ', ',']).next().unwrap_or_default();
    let long = command
        .get_long_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    if !VERBS.contains(&first) || about.ends_with('.') || long.contains("MP3") {
        found.push(format!("{name}: {about}"));
    }
    let wide = |text: &str| text.lines().any(|line| line.chars().count() > 80);
    let examples = command.get_after_long_help().map(ToString::to_string);
    let is_group = command.has_subcommands();
    if command.get_after_help().is_some()
        || examples.as_deref().is_some_and(wide)
        || !(is_group || examples.is_some_and(|text| text.starts_with("Examples")))
    {
        found.push(format!(
            "{name}: no examples in --help, or some in -h, or wide ones"
        ));
    }
    for arg in command.get_arguments() {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let first = help.split([' ', ',']).next().unwrap_or_default();
        let upper = help.starts_with(|c: char| c.is_uppercase() || !c.is_alphabetic());
        let of_others = first
            .strip_suffix('s')
            .is_some_and(|verb| VERBS.contains(&verb));
        let long = arg.get_value_names().unwrap_or_default();
        if long
            .iter()
            .any(|name| ["RSPEC", "WSPEC"].contains(&name.as_str()))
        {
            found.push(format!("{name}: {}: {long:?}", arg.get_id()));
        }
        if help.is_empty() || !upper || help.ends_with('.') || of_others {
            found.push(format!("{name}: {}: {help}", arg.get_id()));
        }
        let names_formats = ["FLAC", "MP3"].iter().any(|format| help.contains(format));
        if names_formats && !help.contains(FORMATS) {
            found.push(format!("{name}: {}: {help}", arg.get_id()));
        }
        for value in arg.get_possible_values() {
            let help = value
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            if help.ends_with('.') {
                found.push(format!(
                    "{name}: {}: {}: {help}",
                    arg.get_id(),
                    value.get_name()
                ));
            }
        }
    }
    for below in command.get_subcommands() {
        faults(below, &format!("{name} {}", below.get_name()), found);
    }
}

#[test]
fn help_has_one_style() {
    let mut found = Vec::new();
    faults(&unbraid::cli::command(), "unbraid", &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["help", "data"],
        &["data", "make", "--help"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_unbraid"))
            .args(args)
            .stdout(full.unwrap())
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert_eq!(
            error, "unbraid: standard output: No space left on device (os error 28)\n",
            "{args:?}"
        );
    }
}
