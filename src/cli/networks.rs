//! Commands that need networks, where this program was built without them: libtorch takes a quarter of a second to load, so
//! that another program, `unbraid-networks`, has these commands, and this one becomes it when it is asked for one.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Their names, and what help says of them. Groups of which only some commands need networks are not among them.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    (
        "train",
        "Train a model on speech or images, as a configuration describes it",
    ),
    (
        "config",
        "Show a configuration with all its values, or every key there is",
    ),
    (
        "extract",
        "Write phonetic codes or speaker embeddings as Kaldi archives",
    ),
    (
        "convert",
        "Convert a recording to the voice of another speaker",
    ),
    (
        "stream",
        "Encode raw PCM from standard input as a stream of phonetic codes",
    ),
    (
        "export",
        "Write an encoder as an ONNX model or a TorchScript module",
    ),
    (
        "image",
        "Evaluate methods trained on images, encode and sample with them",
    ),
    (
        "report",
        "Write all results of an experiment as one HTML page",
    ),
    ("models", "Show the models that come with unbraid"),
    ("same", "Compare two recordings: the same speaker, or two"),
    ("completions", "Print completions for a shell"),
    ("man", "Write a man page for every command"),
];

/// The program that has them.
const PROGRAM: &str = "unbraid-networks";
/// Versions of PyTorch whose libtorch runs them.
const PYTORCH: [&str; 2] = ["2.11.", "2.12."];
const INSTALL_PYTORCH: &str = "pip install 'torch>=2.11,<2.13'";

/// The tree of this program's commands with the names of the others.
#[cfg(not(feature = "torch"))]
pub(super) fn declare(command: clap::Command) -> clap::Command {
    COMMANDS.iter().fold(command, |command, (name, about)| {
        let hidden = ["models", "same", "completions", "man"].contains(name);
        command.subcommand(clap::Command::new(*name).about(*about).hide(hidden))
    })
}

/// Whether a command line asks for one of them, or for a group that has some: its help names all.
pub(super) fn asks_for_one(words: &[OsString], own: &clap::Command) -> bool {
    let mut words = words.iter().skip(1).peekable();
    words.next_if(|word| *word == "help");
    let Some(first) = words.next() else {
        return false;
    };
    if COMMANDS.iter().any(|(name, _)| first == name) {
        return true;
    }
    let divided = ["eval", "data", "asr", "feats"]
        .iter()
        .find(|group| first == **group);
    let group = divided.and_then(|group| own.find_subcommand(group));
    group.is_some_and(|group| {
        words
            .next()
            .is_none_or(|word| group.find_subcommand(word).is_none())
    })
}

/// Becomes `unbraid-networks`, with the same arguments, process, standard streams and exit code.
///
/// # Errors
/// When it is not there, or PyTorch is not, where it comes with Python.
pub(super) fn become_it() -> anyhow::Result<Infallible> {
    let own = std::env::current_exe().context("the path of this program")?;
    let own = own.canonicalize().unwrap_or(own);
    let folder = own.parent().unwrap_or(Path::new("/"));
    let Some(program) = places(folder).into_iter().find(|path| path.is_file()) else {
        bail!(
            "this command needs {PROGRAM}: expected it in {} or {}, found none: run 'make build'",
            folder.display(),
            folder.join("../libexec/unbraid").display()
        );
    };
    let mut command = Command::new(&program);
    command.arg0("unbraid").args(std::env::args_os().skip(1));
    if let Some(lib) = pytorch(&program, folder)? {
        command.env("LD_LIBRARY_PATH", lib);
    }
    Err(command.exec()).with_context(|| program.display().to_string())
}

/// Where it may lie: beside this program, where `make install` puts it, and in Python's packages.
fn places(folder: &Path) -> Vec<PathBuf> {
    let mut places = vec![
        folder.join(PROGRAM),
        folder.join("../libexec/unbraid").join(PROGRAM),
    ];
    let versions = std::fs::read_dir(folder.join("../lib"))
        .into_iter()
        .flatten();
    for version in versions.flatten() {
        for packages in ["site-packages", "dist-packages"] {
            places.push(
                version
                    .path()
                    .join(packages)
                    .join("unbraid/bin")
                    .join(PROGRAM),
            );
        }
    }
    places
}

/// The folder of PyTorch's libraries, where the program is a Python package and finds none beside it by itself.
fn pytorch(program: &Path, bin: &Path) -> anyhow::Result<Option<OsString>> {
    let Some(packages) = (program.ancestors().nth(3)).filter(|packages| {
        packages.ends_with("site-packages") || packages.ends_with("dist-packages")
    }) else {
        return Ok(None);
    };
    let beside = packages.join("torch");
    if beside.join("lib/libtorch_cpu.so").is_file() {
        check_version(&beside)?;
        return Ok(None);
    }
    match elsewhere(bin) {
        Some(folder) => {
            check_version(&folder)?;
            let mut path = folder.join("lib").into_os_string();
            if let Some(more) = std::env::var_os("LD_LIBRARY_PATH") {
                path.push(":");
                path.push(more);
            }
            Ok(Some(path))
        }
        None => bail!("this command needs PyTorch, found none: {INSTALL_PYTORCH}"),
    }
}

/// PyTorch's folder as the Python of this environment finds it, without loading it.
fn elsewhere(bin: &Path) -> Option<PathBuf> {
    let find =
        "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])";
    let output = Command::new(bin.join("python3"))
        .args(["-c", find])
        .output()
        .ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    folder
        .join("lib/libtorch_cpu.so")
        .is_file()
        .then_some(folder)
}

fn check_version(torch: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(torch.join("version.py")).unwrap_or_default();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("__version__ = '"));
    match version.map(|version| version.trim_end_matches('\'')) {
        Some(found) if !PYTORCH.iter().any(|known| found.starts_with(known)) => bail!(
            "this command needs PyTorch 2.11 or 2.12, found {found} in {}: {INSTALL_PYTORCH}",
            torch.display()
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    #[test]
    fn help_says_the_same_of_them_in_both_programs() {
        let all = crate::cli::command();
        for (name, about) in COMMANDS {
            let found = all.find_subcommand(name).and_then(Command::get_about);
            assert_eq!(
                found.map(ToString::to_string).as_deref(),
                Some(*about),
                "{name}"
            );
        }
    }

    #[test]
    fn groups_with_some_of_them_are_asked_for_too() {
        let eval = Command::new("eval").subcommand(Command::new("abx"));
        let data = Command::new("data").subcommand(Command::new("validate"));
        let asr = Command::new("asr").subcommand(Command::new("score"));
        let own = Command::new("unbraid").subcommands([eval, data, asr, Command::new("verify")]);
        let asks = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            asks_for_one(&words, &own)
        };
        for line in [
            "train",
            "help train",
            "train --help",
            "eval",
            "help eval",
            "eval probe",
            "eval --help",
            "help eval probe",
            "data",
            "data cluster-speakers x",
            "asr decode x",
            "man x",
        ] {
            assert!(asks(&format!("unbraid {line}")), "{line}");
        }
        for line in [
            "",
            "--help",
            "help",
            "verify",
            "verify score x",
            "data validate train",
            "eval abx x",
            "asr score x",
            "help eval abx",
            "trian",
        ] {
            assert!(!asks(format!("unbraid {line}").trim_end()), "{line}");
        }
    }
}
