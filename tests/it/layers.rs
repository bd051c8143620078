//! The layers of the crate (docs/design.md): a module uses only its own layer and the ones below, libtorch is used only where
//! networks are, and modules of one folder do not use each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest to the highest.
const LAYERS: [&str; 12] = [
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
/// Layers that do not use libtorch; of `dataset` only the batches do.
const WITHOUT_TORCH: [&str; 5] = ["error", "io", "signal", "dataset", "report"];
const BATCHES: [&str; 2] = ["dataset/batch.rs", "dataset/image_batch.rs"];

/// The path of a module or an item below the crate, as `["io", "text"]`.
type ModulePath = Vec<String>;

/// A source file: its path below `src`, and its code without comments.
struct Source {
    path: PathBuf,
    code: String,
}

impl Source {
    fn module(&self) -> ModulePath {
        let path = self.path.with_extension("");
        let names = path.iter().map(|name| name.to_string_lossy().into_owned());
        let mut module: ModulePath = names.collect();
        if self.path.ends_with("mod.rs") || module == ["lib"] {
            module.pop();
        }
        module
    }

    fn layer(&self) -> Option<usize> {
        layer_of(&self.module())
    }

    /// All paths in the code that begin with `crate`, `super` or `self`, from the crate.
    fn uses(&self) -> Vec<ModulePath> {
        paths(&self.code, &self.module())
    }

    /// The code before the file's unit tests.
    fn without_tests(&self) -> &str {
        let code = &self.code;
        &code[..code.find("#[cfg(test)]\nmod tests").unwrap_or(code.len())]
    }
}

fn layer_of(module: &[String]) -> Option<usize> {
    LAYERS
        .iter()
        .position(|layer| module.first().is_some_and(|first| first == layer))
}

/// The paths of `code` that begin with a key word, taken from the module `own`.
fn paths(code: &str, own: &[String]) -> Vec<ModulePath> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code
            .match_indices(start)
            .filter(|(at, _)| begins_a_word(code, *at))
        {
            found.extend(expand(&code[at..]));
        }
    }
    found.into_iter().map(|path| absolute(&path, own)).collect()
}

fn begins_a_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
}

/// The paths that the text begins with: one, or of a group in braces, each.
fn expand(text: &str) -> Vec<Vec<&str>> {
    let name = word(text);
    let Some(rest) = text[name.len()..].strip_prefix("::") else {
        return vec![vec![name]];
    };
    let ends = match rest.strip_prefix('{') {
        Some(group) => members(group).into_iter().flat_map(expand).collect(),
        None => expand(rest),
    };
    ends.into_iter()
        .map(|end| [vec![name], end].concat())
        .collect()
}

/// The members of a group, whose opening brace is left out.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(group[start..at].trim());
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

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// A path from the crate, for one in the module `own`.
fn absolute(path: &[&str], own: &[String]) -> ModulePath {
    let mut from = own.to_vec();
    let mut names = path.iter().copied().peekable();
    while let Some(&name) = names.peek() {
        match name {
            "crate" => from.clear(),
            "super" => drop(from.pop()),
            "self" => {}
            _ => break,
        }
        names.next();
    }
    from.extend(names.map(str::to_string));
    from
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

/// The modules of the crate, each with the items that it re-exports by name.
struct Modules(BTreeMap<ModulePath, BTreeMap<String, ModulePath>>);

impl Modules {
    fn of(sources: &[Source]) -> Self {
        let with_exports = |source: &Source| (source.module(), exports(source));
        Self(sources.iter().map(with_exports).collect())
    }

    /// The module that holds the item at `path`, through re-exports.
    fn holder(&self, path: &[String]) -> ModulePath {
        let mut path = path.to_vec();
        loop {
            let is_module = |length: &usize| self.0.contains_key(&path[..*length]);
            let length = (0..=path.len()).rev().find(is_module).unwrap_or(0);
            let exported = path
                .get(length)
                .and_then(|item| self.0[&path[..length]].get(item));
            match exported {
                Some(target) if *target != path => path = target.clone(),
                _ => return path[..length].to_vec(),
            }
        }
    }
}

/// The items of all `pub use` of a file, by name.
fn exports(source: &Source) -> BTreeMap<String, ModulePath> {
    let own = source.module();
    let statements = source.code.split("pub use ").skip(1);
    statements
        .flat_map(expand)
        .map(|path| absolute(&path, &own))
        .filter_map(|path| Some((path.last()?.clone(), path)))
        .collect()
}

/// Within each folder, which of its modules uses which other one; a folder in it counts as one module.
fn uses_in_folders(sources: &[Source]) -> BTreeMap<ModulePath, BTreeSet<(String, String)>> {
    let modules = Modules::of(sources);
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for source in sources
        .iter()
        .filter(|source| !source.path.ends_with("tests.rs"))
    {
        let own = source.module();
        for path in paths(source.without_tests(), &own) {
            let used = modules.holder(&path);
            let common = own.iter().zip(&used).take_while(|(a, b)| a == b).count();
            if let (Some(user), Some(used)) = (own.get(common), used.get(common)) {
                let edge = (user.clone(), used.clone());
                found
                    .entry(own[..common].to_vec())
                    .or_default()
                    .insert(edge);
            }
        }
    }
    found
}

/// The edges of a graph that are part of a circle.
fn circular(edges: &BTreeSet<(String, String)>) -> Vec<&(String, String)> {
    let leads_back = |(start, next): &&(String, String)| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![next]);
        while let Some(node) = open.pop() {
            if reached.insert(node) {
                open.extend(
                    edges
                        .iter()
                        .filter(|(from, _)| from == node)
                        .map(|(_, to)| to),
                );
            }
        }
        reached.contains(start)
    };
    edges.iter().filter(leads_back).collect()
}

#[test]
fn a_module_uses_only_its_layer_and_lower_ones() {
    let sources = sources();
    let mut upward = Vec::new();
    let mut edges = 0;
    for source in &sources {
        let Some(own) = source.layer() else { continue };
        let uses: Vec<usize> = source
            .uses()
            .iter()
            .filter_map(|path| layer_of(path))
            .collect();
        edges += uses.len();
        upward.extend(
            uses.into_iter()
                .filter(|&layer| layer > own)
                .map(|layer| format!("src/{} uses {}", source.path.display(), LAYERS[layer])),
        );
    }
    assert!(edges > 100, "only {edges} uses read");
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let sources = sources();
    let without = sources
        .iter()
        .filter(|source| source.layer().is_none())
        .map(|source| source.path.display().to_string())
        .filter(|path| !["lib.rs", "main.rs", "networks.rs"].contains(&path.as_str()));
    assert_eq!(without.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn torch_is_used_only_where_networks_are() {
    let uses_torch = |source: &Source| {
        let code = &source.code;
        code.match_indices("tch")
            .any(|(at, _)| begins_a_word(code, at) && code[at + 3..].starts_with("::"))
    };
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| uses_torch(source))
        .filter(|source| !BATCHES.iter().any(|batch| source.path.ends_with(batch)))
        .filter(|source| {
            let layer = source.layer().map(|layer| LAYERS[layer]);
            layer.is_some_and(|layer| WITHOUT_TORCH.contains(&layer))
        })
        .map(|source| source.path.display().to_string())
        .collect();
    assert_eq!(found, [""; 0]);
}

#[test]
fn modules_of_one_folder_do_not_use_each_other_in_a_circle() {
    let folders = uses_in_folders(&sources());
    let edges: usize = folders.values().map(BTreeSet::len).sum();
    assert!(edges > 300, "only {edges} uses read");
    let mut circles = Vec::new();
    for (folder, edges) in &folders {
        let line = |(user, used): &(String, String)| {
            format!("src/{}: {user} uses {used}", folder.join("/"))
        };
        circles.extend(circular(edges).into_iter().map(line));
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

fn source(path: &str, code: &str) -> Source {
    Source {
        path: path.into(),
        code: code.into(),
    }
}

#[test]
fn paths_are_read() {
    let code = "use crate::{io::{lines, atomic}, train}; super::super::cli::run(); $crate::nn";
    let source = source("eval/probe.rs", code);
    let mut found: Vec<String> = source.uses().iter().map(|path| path.join("/")).collect();
    found.sort_unstable();
    assert_eq!(found, ["cli/run", "io/atomic", "io/lines", "nn", "train"]);
}

#[test]
fn circles_are_found_through_re_exports_and_folders() {
    let clean = [
        source("io/mod.rs", "pub mod a; pub use a::{A, b::B};"),
        source("io/a/mod.rs", "use super::C; use b::B;"),
        source("io/a/b.rs", "use super::super::c::C;"),
        source("io/c.rs", "#[cfg(test)]\nmod tests { use crate::io::B; }"),
    ];
    let edges = uses_in_folders(&clean);
    let found: Vec<_> = edges.values().flat_map(circular).collect();
    assert!(found.is_empty() && edges.len() == 1, "{found:?} {edges:?}");
    for code in [
        "use crate::io::B;",
        "use super::a::{b::{self, B}};",
        "fn f() { super::A }",
    ] {
        let [first, second, third, _] = &clean;
        let all = [first, second, third].map(|s| source(s.path.to_str().unwrap(), &s.code));
        let circle: Vec<Source> = all.into_iter().chain([source("io/c.rs", code)]).collect();
        let edges = uses_in_folders(&circle);
        assert_eq!(edges.values().flat_map(circular).count(), 2, "{code}");
    }
}
