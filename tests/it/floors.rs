//! The floors of the house (docs/design.md): a module uses only the ones below its own, and libtorch stays
//! where networks are.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up.
const FLOORS: [&str; 12] = [
    "error",
    "io",
    "signal",
    "dataset",
    "nn",
    "objective",
    "train",
    "method",
    "inference",
    "eval",
    "report",
    "cli",
];
/// Floors that do not know libtorch; of `dataset` only the batches do.
const WITHOUT_TORCH: [&str; 5] = ["error", "io", "signal", "dataset", "report"];
const BATCHES: [&str; 2] = ["dataset/batch.rs", "dataset/image_batch.rs"];

/// A source file: its path below `src`, and its code without comments.
struct Source {
    path: PathBuf,
    code: String,
}

impl Source {
    fn floor(&self) -> Option<usize> {
        let first = self.path.iter().next()?.to_str()?;
        level(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// How many modules deep the file's own module is below the crate.
    fn depth(&self) -> usize {
        self.path.iter().count() - usize::from(self.path.ends_with("mod.rs"))
    }

    /// The floors that the file names, by `crate::` or by as many `super::` as lead to the crate.
    fn uses(&self) -> Vec<usize> {
        let mut found: Vec<usize> = paths_after(&self.code, "crate::")
            .into_iter()
            .filter_map(level)
            .collect();
        let to_crate = "super::".repeat(self.depth());
        found.extend(
            paths_after(&self.code, &to_crate)
                .into_iter()
                .filter_map(level),
        );
        found
    }
}

fn level(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| *floor == name)
}

/// The first names of all paths that begin with `prefix`; of a group in braces, each.
fn paths_after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    code.match_indices(prefix)
        .filter(|(at, _)| begins_a_word(code, *at))
        .flat_map(|(at, _)| names(&code[at + prefix.len()..]))
        .collect()
}

fn begins_a_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
}

fn names(rest: &str) -> Vec<&str> {
    match rest.strip_prefix('{') {
        None => vec![word(rest)],
        Some(group) => {
            let (mut depth, mut start, mut found) = (0, 0, Vec::new());
            for (at, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth > 0 => depth -= 1,
                    ',' | '}' if depth == 0 => {
                        found.push(word(group[start..at].trim_start()));
                        start = at + 1;
                        if c == '}' {
                            break;
                        }
                    }
                    _ => {}
                }
            }
            found
        }
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text
                    .lines()
                    .map(|line| line.split("//").next().unwrap_or_default());
                found.push(Source {
                    code: code.collect::<Vec<_>>().join("\n"),
                    path: path.strip_prefix(&root).unwrap().to_path_buf(),
                });
            }
        }
    }
    found
}

#[test]
fn a_module_uses_only_floors_below_it() {
    let sources = sources();
    let mut upward = Vec::new();
    let mut edges = 0;
    for source in &sources {
        let Some(own) = source.floor() else { continue };
        let uses = source.uses();
        edges += uses.len();
        upward.extend(
            uses.into_iter()
                .filter(|&floor| floor > own)
                .map(|floor| format!("src/{} uses {}", source.path.display(), FLOORS[floor])),
        );
    }
    assert!(edges > 100, "only {edges} uses read");
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn every_module_has_a_floor() {
    let sources = sources();
    let homeless = sources
        .iter()
        .filter(|source| source.floor().is_none())
        .map(|source| source.path.display().to_string())
        .filter(|path| path != "lib.rs" && path != "main.rs");
    assert_eq!(homeless.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn torch_stays_where_networks_are() {
    let knows = |source: &Source| {
        let code = &source.code;
        code.match_indices("tch")
            .any(|(at, _)| begins_a_word(code, at) && code[at + 3..].starts_with("::"))
    };
    let astray: Vec<String> = sources()
        .iter()
        .filter(|source| knows(source) && !BATCHES.iter().any(|batch| source.path.ends_with(batch)))
        .filter(|source| {
            let floor = source.floor().map(|level| FLOORS[level]);
            floor.is_some_and(|floor| WITHOUT_TORCH.contains(&floor))
        })
        .map(|source| source.path.display().to_string())
        .collect();
    assert_eq!(astray, [""; 0]);
}

#[test]
fn paths_are_read() {
    let source = Source {
        path: "eval/probe.rs".into(),
        code: "use crate::{io::{lines, atomic}, train}; super::super::cli::run(); $crate::nn"
            .into(),
    };
    let found: Vec<&str> = source.uses().iter().map(|&level| FLOORS[level]).collect();
    assert_eq!(found, ["io", "train", "nn", "cli"]);
}
