//! The set-up scripts: missing programs are reported in one line, and nothing is left half-made.
//! They run on a copy, with a `PATH` that holds the usual tools and only what each test adds.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TOOLS: [&str; 17] = [
    "sh",
    "cat",
    "chmod",
    "cut",
    "dirname",
    "grep",
    "head",
    "ln",
    "mkdir",
    "mktemp",
    "mv",
    "readlink",
    "rm",
    "sed",
    "sha256sum",
    "tail",
    "true",
];

/// A copy of the scripts with a `PATH` of its own.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["bin", "scripts", "tests"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for name in ["libtorch.sh", "setup.sh", "references.sh"] {
            let script = format!("scripts/{name}");
            std::fs::copy(root.join(&script), dir.path().join(&script)).unwrap();
        }
        std::fs::write(dir.path().join("tests/requirements.lock"), "numpy\n").unwrap();
        for tool in TOOLS {
            let path = std::env::var_os("PATH").unwrap();
            let found = std::env::split_paths(&path).find(|folder| folder.join(tool).is_file());
            symlink(found.unwrap().join(tool), dir.path().join("bin").join(tool)).unwrap();
        }
        Self { dir }
    }

    /// Adds a program to the `PATH`.
    fn with(self, name: &str, script: &str) -> Self {
        let path = self.dir.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn run(&self, script: &str, libtorch: Option<&Path>) -> Output {
        let mut command = Command::new(self.dir.path().join("scripts").join(script));
        command
            .env_clear()
            .env("PATH", self.dir.path().join("bin"))
            .env("XDG_CACHE_HOME", self.cache())
            .current_dir(self.dir.path());
        if let Some(folder) = libtorch {
            command.env("LIBTORCH", folder);
        }
        command.output().unwrap()
    }

    /// The last line of a run that has to fail.
    fn refusal(&self, script: &str, libtorch: Option<&Path>) -> String {
        let output = self.run(script, libtorch);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        let lines: Vec<&str> = error
            .lines()
            .filter(|line| !line.starts_with("fetching"))
            .collect();
        assert_eq!(lines.len(), 1, "{error}");
        assert!(
            std::fs::symlink_metadata(self.link()).is_err(),
            "a link was left"
        );
        lines[0].to_string()
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn link(&self) -> PathBuf {
        self.dir.path().join(".libtorch")
    }

    /// A folder that looks like a libtorch of this version.
    fn libtorch(&self, name: &str, version: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(folder.join("lib")).unwrap();
        std::fs::create_dir_all(folder.join("include/torch/headeronly")).unwrap();
        for library in ["libtorch_cpu.so", "libc10.so"] {
            std::fs::write(folder.join("lib").join(library), "").unwrap();
        }
        let header = format!("#define TORCH_VERSION \\\n  \"{version}\"\n");
        std::fs::write(folder.join("include/torch/headeronly/version.h"), header).unwrap();
        folder.canonicalize().unwrap()
    }
}

const NO_PIP: &str = "case \"$*\" in '-m pip'*) exit 1;; esac";
const NO_NETWORK: &str = "case \"$*\" in '-m pip download'*|'-m pip install'*) echo 'ERROR: no route' >&2; exit 1;; esac";

#[test]
fn a_missing_tool_is_named() {
    let none = Machine::new();
    let cargo = Machine::new().with("cargo", "");
    let both = || Machine::new().with("cargo", "").with("c++", "");
    for (machine, message) in [
        (none, "scripts/setup.sh: no cargo: install Rust"),
        (
            cargo,
            "scripts/setup.sh: no C++ compiler 'c++': install one",
        ),
        (both(), "scripts/libtorch.sh: no python3: install it"),
        (both().with("python3", NO_PIP), "has no pip: install it"),
        (
            both().with("python3", NO_NETWORK),
            "scripts/libtorch.sh: pip cannot fetch torch==2.11.0 (ERROR: no route): check the network, or set",
        ),
    ] {
        let error = machine.refusal("setup.sh", None);
        assert!(error.contains(message), "{error}");
        let left = std::fs::read_dir(machine.cache().join("unbraid"))
            .into_iter()
            .flatten()
            .count();
        assert_eq!(left, 0, "a fetch that failed leaves nothing");
    }
}

#[test]
fn a_libtorch_that_is_none_or_another_is_refused() {
    let machine = Machine::new();
    let old = machine.libtorch("old", "2.10.1");
    let nowhere = machine.dir.path().join("nowhere");
    let empty = machine.dir.path().join("tests");
    for (folder, message) in [
        (
            &nowhere,
            "nowhere: expected a folder with libtorch 2.11.0, found none",
        ),
        (&empty, "expected lib/libtorch_cpu.so in it, found none"),
        (&old, "old: expected libtorch 2.11.0, found 2.10.1"),
    ] {
        let error = machine.refusal("libtorch.sh", Some(folder));
        assert!(
            error.starts_with("scripts/libtorch.sh: LIBTORCH="),
            "{error}"
        );
        assert!(error.ends_with(message), "{error}");
    }
}

#[test]
fn a_given_libtorch_is_linked_once() {
    let machine = Machine::new();
    let first = machine.libtorch("first", "2.11.0");
    let second = machine.libtorch("second", "2.11.0");
    for (folder, speaks) in [(&first, true), (&first, false), (&second, true)] {
        let output = machine.run("libtorch.sh", Some(folder));
        assert!(output.status.success());
        assert_eq!(std::fs::read_link(machine.link()).unwrap(), *folder);
        assert_eq!(
            !output.stdout.is_empty(),
            speaks,
            "the second time does nothing"
        );
    }
    // What is linked and whole is kept without a Python and without a word.
    let output = machine.run("libtorch.sh", None);
    assert!(output.status.success() && output.stdout.is_empty());
}

#[test]
fn a_pytorch_of_the_python_is_taken_if_it_fits() {
    let machine = Machine::new();
    let torch = machine.libtorch("site-packages/torch", "2.11.0");
    let finds = format!("[ \"$1\" = - ] && echo '{}'", torch.display());
    let machine = machine.with("python3", &finds);
    assert!(machine.run("libtorch.sh", None).status.success());
    assert_eq!(std::fs::read_link(machine.link()).unwrap(), torch);

    let machine = Machine::new();
    let old = machine.libtorch("site-packages/torch", "2.9.0");
    let finds = format!("[ \"$1\" = - ] && echo '{}'\n{NO_PIP}", old.display());
    let error = machine.with("python3", &finds).refusal("libtorch.sh", None);
    assert!(
        error.contains("has no pip"),
        "it goes on to fetch one: {error}"
    );
}

#[test]
fn references_are_fetched_or_reported() {
    for (machine, message) in [
        (
            Machine::new(),
            "scripts/references.sh: no python3: install it",
        ),
        (
            Machine::new().with("python3", NO_PIP),
            "has no pip: install it",
        ),
        (
            Machine::new().with("python3", NO_NETWORK),
            "pip cannot install tests/requirements.lock (ERROR: no route): check the network",
        ),
    ] {
        let error = machine.refusal("references.sh", None);
        assert!(error.contains(message), "{error}");
    }
    let machine = Machine::new().with("python3", "[ \"$1\" = -c ] && echo \"$PYTHONPATH\"; true");
    let paths = [(); 2].map(|()| {
        let output = machine.run("references.sh", None);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    });
    assert_eq!(paths[0], paths[1]);
    let output = Command::new(&paths[0]).args(["-c", ""]).output().unwrap();
    let path = String::from_utf8(output.stdout).unwrap();
    assert!(path.contains("/cache/unbraid/references-"), "{path}");
}
