//! Models that come with the program, found by their names: experiments with a card, `README.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Their place below the folder of the program: of a checkout (`target/release`), of `make install` (`libexec/unbraid`), of
/// the Python package (`unbraid/bin`).
const PLACES: [&str; 3] = [
    "../../data/models",
    "../../share/unbraid/models",
    "../models",
];

/// A model that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// Its folder, an experiment.
    pub path: PathBuf,
    /// The first paragraph of its card.
    pub about: String,
}

/// All that are there, by name: of the folder in `UNBRAID_MODELS`, else of the program's own.
pub fn list() -> BTreeMap<String, Shipped> {
    let folders = folders().into_iter().rev();
    let entries = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
    let models = entries.flatten().filter_map(|entry| {
        let path = entry.path().canonicalize().ok()?;
        let name = entry.file_name().into_string().ok()?;
        let about = about(&path);
        (path.join("conf.toml").is_file()).then_some((name, Shipped { path, about }))
    });
    models.collect()
}

/// The folder of the model `name`; a path is taken as it is. `option` is what names the model.
///
/// # Errors
/// [`Error::Option`] for a name that no model has, with the names there are.
pub fn find(option: &str, name: &str) -> Result<PathBuf> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let mut known = list();
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let expected = match names.is_empty() {
        true => format!("a model in {}", folders()[0].display()),
        false => format!("one of {}, or a path", names.join(", ")),
    };
    let found = known.remove(name).map(|model| model.path);
    found.ok_or_else(|| Error::option(option, expected, format!("'{name}'")))
}

fn folders() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("UNBRAID_MODELS").filter(|name| !name.is_empty()) {
        return vec![PathBuf::from(folder)];
    }
    let own = std::env::current_exe().and_then(|path| path.canonicalize());
    let own = own.unwrap_or_default();
    let folder = own.parent().unwrap_or(Path::new("/"));
    PLACES.iter().map(|place| folder.join(place)).collect()
}

/// The first paragraph behind the title.
fn about(model: &Path) -> String {
    let card = std::fs::read_to_string(model.join("README.md")).unwrap_or_default();
    let lines = card
        .lines()
        .skip_while(|line| line.starts_with('#') || line.is_empty());
    let paragraph: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    paragraph.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_name() {
        assert_eq!(
            find("--model", "./some/exp").unwrap(),
            Path::new("./some/exp")
        );
        let error = find("--model", "none").unwrap_err().to_string();
        assert!(
            error.starts_with("--model: expected ") && error.ends_with("found 'none'"),
            "{error}"
        );
    }

    #[test]
    fn a_card_says_what_a_model_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("README.md"),
            "# a\n\nFor one\nthing.\n\nMore.\n",
        )
        .unwrap();
        assert_eq!(about(folder.path()), "For one thing.");
    }
}
