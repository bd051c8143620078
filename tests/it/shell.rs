//! `completions` and `man`.

use crate::support::{fail, names, succeed, unbraid};

#[test]
fn every_command_has_a_page_and_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    succeed(dir.path(), &["man", "pages"]);
    let pages = names(&dir.path().join("pages"));
    let mut command = unbraid::cli::command();
    command.build();
    let mut left: Vec<&clap::Command> = vec![&command];
    let mut names_of_all = Vec::new();
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().filter(|c| c.get_name() != "help"));
        names_of_all.push((
            command.get_display_name().unwrap_or("unbraid"),
            command.get_name(),
        ));
    }
    assert!(names_of_all.len() > 60, "{names_of_all:?}");
    for (page, _) in &names_of_all {
        assert!(pages.contains(&format!("{page}.1")), "{page}: {pages:?}");
    }
    assert!(
        pages.contains(&"unbraid-feats-copy.1".to_string()),
        "{pages:?}"
    );
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(succeed(dir.path(), &["completions", shell])).unwrap();
        for (page, name) in &names_of_all {
            assert!(script.contains(name), "{shell}: {page}");
        }
    }
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(fail(dir.path(), &["man", "file/pages"], b"").starts_with("unbraid: file/pages: "));
    assert_eq!(
        unbraid(dir.path(), &["completions", "csh"]).status.code(),
        Some(2)
    );
}
