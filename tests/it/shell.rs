//! `completions` and `man`.

use crate::support::{fail, names, succeed, unbraid};

#[test]
fn every_command_has_a_page_and_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    succeed(dir.path(), &["man", "pages"]);
    let pages = names(&dir.path().join("pages"));
    let help = String::from_utf8(succeed(dir.path(), &["help"])).unwrap();
    let commands: Vec<&str> = (help.lines())
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() > 30, "{help}");
    for name in &commands {
        assert!(
            pages.contains(&format!("unbraid-{name}.1")),
            "{name}: {pages:?}"
        );
    }
    assert!(
        pages.contains(&"unbraid-data-validate.1".to_string()),
        "{pages:?}"
    );
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(succeed(dir.path(), &["completions", shell])).unwrap();
        assert!(commands.iter().all(|name| script.contains(name)), "{shell}");
    }
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(fail(dir.path(), &["man", "file/pages"], b"").starts_with("unbraid: file/pages: "));
    assert_eq!(
        unbraid(dir.path(), &["completions", "csh"]).status.code(),
        Some(2)
    );
}
