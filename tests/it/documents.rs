//! Commands in README.md and in the guide run, as they stand there, on a few utterances of the bundled speech.
//!
//! Blocks of the kind `sh` run in order, those of the guide in the folder that its first page makes. Trainings, probes and
//! reports are cut short by [`PREAMBLE`]. Blocks of the kind `sh,no-run` (GPU, downloads, microphones) and the examples of
//! `--help` do not run; their `unbraid` lines must parse.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::Array2;
use unbraid::io::audio::{AudioOptions, Waveform, read_audio, write_wav};
use unbraid::io::kaldi::TableReader;

use crate::support::{names, npy, put, root};

/// Options that make a command short come last, in place of those that a document gives.
const PREAMBLE: &str = r#"
set -Eeuo pipefail
trap 'echo "in the block at $block" >&2' ERR
unbraid() {
  local short=() words=()
  case "$1 ${2-}" in
    train\ * | asr\ train) short=(--steps 4) ;;
    eval\ probe) short=(--epochs 1 --min-steps 5 --seeds 1) ;;
    eval\ audit) short=(--folds 2 --epochs 1 --min-steps 5 --encoder-steps 2 --draws 2 --clusters 10) ;;
    report\ *) short=(--utterances 0) ;;
  esac
  while [ $# -gt 0 ]; do
    case " ${short[*]-} $1" in
      *" $1 "*" $1")
        case $1 in --*) shift 2 && continue ;; esac
        ;;
    esac
    words+=("$1")
    shift
  done
  command unbraid "${words[@]}" "${short[@]}"
}
"#;

/// A fenced block of a document.
struct Block {
    kind: String,
    /// Where it begins, as `FILE:LINE`.
    place: String,
    text: String,
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|e| panic!("{document}: {e}"))
}

fn blocks(document: &str) -> Vec<Block> {
    let text = read(document);
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => {
                open = Some(Block {
                    kind: kind.trim().to_string(),
                    place: format!("{document}:{}", number + 1),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{document}: a block without an end");
    found
}

/// The pages of the guide, in its order.
fn pages() -> Vec<String> {
    let summary = read("docs/guide/SUMMARY.md");
    let links = summary.lines().filter_map(|line| {
        let (_, link) = line.split_once("](")?;
        Some(link.split_once(')')?.0.to_string())
    });
    let own = links.filter(|link| !link.contains('/'));
    own.map(|link| format!("docs/guide/{link}")).collect()
}

/// A document as a script; none where nothing in it runs.
fn script(document: &str) -> Option<String> {
    let runs = blocks(document)
        .into_iter()
        .filter(|block| block.kind == "sh");
    let mut text = String::new();
    for block in runs {
        let _ = write!(text, "block={}\n{}", block.place, block.text);
    }
    (!text.is_empty()).then(|| format!("{PREAMBLE}{text}"))
}

fn run(folder: &Path, document: &str) {
    let Some(script) = script(document) else {
        return;
    };
    let program = Path::new(env!("CARGO_BIN_EXE_unbraid")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", program.display()))
        .env("OMP_NUM_THREADS", "1")
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{document}: {error}");
}

/// The bundled speech in a folder as the repository's, of a few speakers, with what documents expect beside it.
fn repository(folder: &Path) {
    for (set, speakers) in [("train", 8), ("test", 3)] {
        let from = root().join("data/mini").join(set);
        let utt2spk = fs::read_to_string(from.join("utt2spk")).unwrap();
        let mut kept: Vec<&str> = Vec::new();
        for line in utt2spk.lines() {
            let speaker = line.split(' ').nth(1).unwrap();
            if !kept.contains(&speaker) && kept.len() < speakers {
                kept.push(speaker);
            }
        }
        for name in names(&from) {
            let text = fs::read_to_string(from.join(&name)).unwrap();
            let of_kept = |line: &&str| kept.contains(&line.split([' ', '-']).next().unwrap());
            let lines: Vec<&str> = text.lines().filter(of_kept).collect();
            let to = folder.join("data/mini").join(set).join(&name);
            put(&to, lines.join("\n") + "\n");
        }
    }
    for part in [
        "data/mini/audio",
        "data/mini/phones.txt",
        "data/models",
        "examples",
        "recipes",
    ] {
        std::os::unix::fs::symlink(root().join(part), folder.join(part)).unwrap();
    }
}

/// Recordings and features that a user of the guide has: two sounds, noise, a room, features made elsewhere.
fn belongings(folder: &Path) {
    let audio = root().join("data/mini/audio");
    let sound = |name: &str| read_audio(audio.join(name), &AudioOptions::default()).unwrap();
    let (a, b) = (sound("f51-s01.flac"), sound("m51-s01.flac"));
    fs::create_dir_all(folder.join("noises")).unwrap();
    fs::create_dir_all(folder.join("rooms")).unwrap();
    let mut room = Waveform {
        samples: vec![0.0; 800],
        sample_rate_hz: a.sample_rate_hz,
    };
    room.samples[0] = 0.9;
    room.samples[400] = 0.3;
    for (name, sound) in [
        ("a.wav", &a),
        ("b.wav", &b),
        ("noises/n.wav", &b),
        ("rooms/r.wav", &room),
    ] {
        write_wav(folder.join(name), sound).unwrap();
    }
    fs::copy(audio.join("f51-s01.flac"), folder.join("a.flac")).unwrap();
    put(
        &folder.join("aug.toml"),
        "seed = 0\n[reverb]\nprobability = 1.0\n[noise]\nprobability = 0.8\n",
    );
    for part in ["train", "dev", "test"] {
        let feats = format!("scp:data/{part}/feats.scp");
        let every_second = ["feats", "subsample", "--n", "2", &feats, "ark:feats.ark"];
        crate::support::succeed(folder, &every_second);
        let feats = format!("ark:{}", folder.join("feats.ark").display());
        for entry in TableReader::<Array2<f32>>::open(&feats).unwrap() {
            let (key, frames) = entry.unwrap();
            put(
                &folder.join(format!("hubert/{part}/{key}.npy")),
                npy(frames.nrows(), &frames.into_iter().collect::<Vec<_>>()),
            );
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").args([from, to]).status();
    assert!(copied.unwrap().success(), "{}", from.display());
}

#[test]
fn commands_run() {
    let dir = tempfile::tempdir().unwrap();
    repository(dir.path());
    let (tour, own) = (dir.path().join("exp/tour"), dir.path().join("exp/own"));
    let pages = pages();
    assert_eq!(pages[0], "docs/guide/getting-started.md");
    run(dir.path(), &pages[0]);
    belongings(&tour);
    fs::create_dir_all(&own).unwrap();
    for part in ["data", "conf"] {
        copy(&tour.join(part), &own);
    }
    for name in ["a.wav", "b.wav"] {
        fs::copy(tour.join(name), own.join(name)).unwrap();
    }
    run(&own, "README.md");
    for page in &pages[1..] {
        run(&tour, page);
    }
}

/// The commands of a shell script, each as its words: enough of the shell's grammar for documents.
fn commands(script: &str) -> Vec<Vec<String>> {
    let script = script.replace("\\\n", " ");
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let (mut quote, mut depth, mut begun) = (None, 0, false);
    let mut chars = script.chars().chain(['\n']).peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, '$') if chars.peek() == Some(&'(') => (depth, begun) = (depth + 1, true),
            (None, ')') if depth > 0 => depth -= 1,
            (None, c) if depth > 0 => word.push(c),
            (None, '#') if !begun => while chars.next_if(|c| *c != '\n').is_some() {},
            (None, ' ' | '\t' | '\n' | ';' | '|' | '&' | '>' | '<') => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
                match c {
                    ' ' | '\t' => {}
                    '>' | '<' => words.push(c.to_string()),
                    _ => all.push(std::mem::take(&mut words)),
                }
            }
            (None, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    all
}

/// The words of `unbraid` in a command, without what stands before it and where its output goes.
fn of_unbraid(words: &[String]) -> Option<Vec<String>> {
    let at = words.iter().position(|word| word == "unbraid")?;
    let before = |word: &String| word == "do" || word == "$cmd" || word.contains('=');
    let end = |word: &String| word == ">" || word == "<";
    let words = words[..at].iter().all(before).then_some(words.get(at..)?)?;
    Some(
        words
            .iter()
            .take_while(|word| !end(word))
            .cloned()
            .collect(),
    )
}

/// What is wrong with the words of a command line: they do not parse (values of variables aside), or have an old name.
fn fault(words: &[String]) -> Option<String> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion, InvalidValue};
    let command = unbraid::cli::command();
    let variables = words.iter().any(|word| word.contains('$'));
    if let Err(error) = command.clone().try_get_matches_from(words)
        && ![DisplayHelp, DisplayVersion].contains(&error.kind())
        && !(variables && error.kind() == InvalidValue)
    {
        return Some(error.to_string());
    }
    let mut leaf = &command;
    for word in &words[1..] {
        leaf = leaf.find_subcommand(word).unwrap_or(leaf);
    }
    let mut flags = vec!["help", "version"];
    for arg in leaf.get_arguments().filter(|arg| !arg.is_hide_set()) {
        flags.extend(arg.get_long());
        flags.extend(arg.get_visible_aliases().unwrap_or_default());
    }
    let given = words.iter().filter_map(|word| word.strip_prefix("--"));
    let names = given.map(|flag| flag.split('=').next().unwrap_or_default());
    let mut old = names.filter(|name| !flags.contains(name));
    old.next().map(|name| format!("--{name} is an old name"))
}

fn faults(place: &str, script: &str, found: &mut Vec<String>) -> usize {
    let lines = commands(script)
        .iter()
        .filter_map(|w| of_unbraid(w))
        .collect::<Vec<_>>();
    for words in &lines {
        let fault = fault(words).map(|fault| format!("{place}: {}: {fault}", words.join(" ")));
        found.extend(fault);
    }
    lines.len()
}

/// Documents with commands of experiments and recipes.
fn other_documents() -> Vec<String> {
    let mut left: Vec<PathBuf> = vec!["docs".into(), "recipes".into(), "benches".into()];
    let mut found = vec!["README.md".to_string()];
    while let Some(folder) = left.pop() {
        for name in names(&root().join(&folder)) {
            let path = folder.join(&name);
            match name.as_str() {
                "exp" | "data" | "downloads" => {}
                _ if root().join(&path).is_dir() => left.push(path),
                _ if name.ends_with(".md") => found.push(path.display().to_string()),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn commands_that_do_not_run_parse() {
    let (mut found, mut count) = (Vec::new(), 0);
    for document in other_documents() {
        for block in blocks(&document) {
            if block.kind == "sh" || block.kind == "sh,no-run" {
                count += faults(&block.place, &block.text, &mut found);
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(count > 60, "{count}");
}

#[test]
fn examples_of_help_parse() {
    let mut left = vec![("unbraid".to_string(), unbraid::cli::command())];
    let (mut found, mut count) = (Vec::new(), 0);
    while let Some((name, command)) = left.pop() {
        if let Some(help) = command.get_after_long_help() {
            count += faults(&name, &help.to_string(), &mut found);
        }
        left.extend(
            (command.get_subcommands()).map(|c| (format!("{name} {}", c.get_name()), c.clone())),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(count > 100, "{count}");
}

#[test]
fn a_wrong_command_is_found() {
    for (line, expected) in [
        ("unbraid train --conf a --exp b --nonsense", "--nonsense"),
        (
            "x=1 unbraid export --exp e --strand phonetic m.pt",
            "old name",
        ),
        ("for s in a; do unbraid fbank scp:a ark:b; done", "fbank"),
        (
            "sox a - | unbraid stream --exp e --rate 8000 --format 'x'",
            "--format",
        ),
    ] {
        let mut found = Vec::new();
        assert_eq!(faults("here", line, &mut found), 1, "{line}");
        assert!(found[0].contains(expected), "{found:?}");
    }
    let fine = "unbraid data split \\\n  \"$(pwd)/a b\" 8 > log # --nonsense\n";
    let mut found = Vec::new();
    assert_eq!(faults("here", fine, &mut found), 1);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn links_lead_somewhere() {
    let mut missing = Vec::new();
    for document in other_documents() {
        let folder = root().join(&document).parent().unwrap().to_path_buf();
        let text = read(&document);
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            let file = link.split('#').next().unwrap_or_default();
            let elsewhere = link.contains("://") || file.is_empty() || link.contains('\n');
            if !elsewhere && !folder.join(file).exists() {
                missing.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
