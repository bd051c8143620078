//! Snapshots of the help of every command, in `tests/help`. After a change: `INSTA_UPDATE=always cargo test --test it help::`,
//! and read the difference.

use std::path::Path;

use clap::Command;

use crate::support::succeed;

/// What the program prints for these words and a flag of help, on a terminal of 100 columns.
fn shown(words: &str, flag: &str) -> String {
    let command = unbraid::cli::command().term_width(100);
    let words = words.split_whitespace().chain([flag]);
    let shown = command.try_get_matches_from(words).unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// The names of a command and of all below it, as `unbraid data fix`.
fn names(command: &Command, name: &str) -> Vec<String> {
    let below = |c: &Command| names(c, &format!("{name} {}", c.get_name()));
    let below = command.get_subcommands().flat_map(below);
    [name.to_string()].into_iter().chain(below).collect()
}

fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../help");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn help_is_as_it_was() {
    for flag in ["-h", "--help"] {
        check(&format!("unbraid{flag}"), &shown("unbraid", flag));
    }
    for command in unbraid::cli::command().get_subcommands() {
        let names = names(command, &format!("unbraid {}", command.get_name()));
        let pages = names
            .iter()
            .map(|name| format!("$ {name} --help\n{}", shown(name, "--help")));
        let pages: Vec<String> = pages.collect();
        check(command.get_name(), &pages.join("\n"));
    }
}

#[test]
fn the_program_prints_what_the_snapshots_hold() {
    let printed = String::from_utf8(succeed(Path::new("."), &["train", "--help"])).unwrap();
    assert_eq!(printed, shown("unbraid train", "--help"));
}

#[test]
fn short_help_is_short() {
    for name in names(&unbraid::cli::command(), "unbraid") {
        let (short, long) = (shown(&name, "-h"), shown(&name, "--help"));
        assert!(short.len() <= long.len(), "{name}");
        assert!(!short.contains("Examples"), "{name}");
    }
}
