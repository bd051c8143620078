//! The identity of an extraction: everything that its parts depend on. A later run resumes only parts of the same identity.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::io::foreign::ForeignReader;
use crate::io::inputs;
use crate::io::kaldi::{ReadFrom, ReadSpecifier, file_of};
use crate::io::lines::read_table;

/// Identifies an extraction. Digests may change with the version of the program.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Digest of the model's files: weights, configuration, inventory, front-end.
    model: String,
    source: String,
    /// Digest of the list that the source names, and of the size and modification time of the files in the list.
    inputs: String,
    /// The representation and its options.
    #[serde(flatten)]
    options: Map<String, Value>,
}

impl Origin {
    /// # Errors
    /// [`Error::Io`] naming a file of the model or the list, where it cannot be read.
    pub(crate) fn of(files: &[PathBuf], source: &str, options: Map<String, Value>) -> Result<Self> {
        let mut model = DefaultHasher::new();
        for file in files {
            add_content(&mut model, file)?;
        }
        Ok(Self {
            model: format!("{:016x}", model.finish()),
            source: source.to_string(),
            inputs: inputs(source)?,
            options,
        })
    }

    /// Refuses parts in `folder` whose origin, as JSON, is another.
    ///
    /// # Errors
    /// [`Error::Key`] naming what differs.
    pub(crate) fn check(&self, folder: &Path, parts: &str) -> Result<()> {
        let parts: Value = serde_json::from_str(parts).unwrap_or_default();
        let own = serde_json::to_value(self).unwrap_or_default();
        let keys: BTreeSet<&String> = [&own, &parts]
            .into_iter()
            .filter_map(Value::as_object)
            .flat_map(|object| object.keys())
            .collect();
        match keys.into_iter().find(|key| own[*key] != parts[*key]) {
            None => Ok(()),
            Some(key) => {
                let expected = format!(
                    "parts of {} (without --resume they are extracted again)",
                    own[key]
                );
                Err(Error::key(folder, key, expected, parts[key].to_string()))
            }
        }
    }
}

/// Digest of the inputs of a read specifier; empty for a stream.
fn inputs(source: &str) -> Result<String> {
    let mut digest = DefaultHasher::new();
    let mut files = BTreeSet::new();
    match ReadSpecifier::parse(source)?.from {
        ReadFrom::Ark(name) => files.extend(file_of(&name)),
        ReadFrom::Foreign(form, name) => {
            let table = ForeignReader::open(form, Path::new(&name))?;
            files.extend(table.files().iter().cloned());
        }
        ReadFrom::Scp(name) => {
            if let Some(list) = file_of(&name) {
                add_content(&mut digest, &list)?;
                let entries = read_table(&list)?;
                files.extend(entries.iter().filter_map(|entry| file_of(&entry.value)));
            }
        }
    }
    files.iter().for_each(|file| add_stamp(&mut digest, file));
    Ok(format!("{:016x}", digest.finish()))
}

fn add_content(digest: &mut DefaultHasher, path: &PathBuf) -> Result<()> {
    let mut file = inputs::open(path).map_err(Error::io(path))?;
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block).map_err(Error::io(path))? {
            0 => break,
            count => digest.write(&block[..count]),
        }
    }
    // A separator between files.
    digest.write_u8(0xff);
    Ok(())
}

/// Adds a file's size and modification time. An unreadable file is reported when it is read.
fn add_stamp(digest: &mut DefaultHasher, path: &Path) {
    let meta = std::fs::metadata(path).ok();
    let changed = meta.as_ref().and_then(|meta| meta.modified().ok());
    (path, meta.map(|meta| meta.len()), changed).hash(digest);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_of_anything_that_parts_depend_on_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let put = |name: &str, content: &str| std::fs::write(at(name), content).unwrap();
        let archive = at("a.ark");
        let archive = archive.display();
        put("weights", "1");
        put("a.ark", "features");
        put(
            "list",
            &format!("u1 {archive}:3\nu2 {archive}:9[0:1]\nu3 touch x |\n"),
        );
        let source = format!("scp:{}", at("list").display());
        let of = |options: Value| {
            let options = options.as_object().unwrap().clone();
            Origin::of(&[at("weights")], &source, options).unwrap()
        };
        let plain = || of(json!({"representation": "phonetic", "speeds": []}));
        let first = serde_json::to_string(&plain()).unwrap();
        let differs = |origin: &Origin| match origin.check(Path::new("z.parts"), &first) {
            Err(Error::Key { key, .. }) => Some(key),
            _ => None,
        };
        assert_eq!(differs(&plain()), None);
        for (options, key) in [
            (
                json!({"representation": "features", "speeds": []}),
                "representation",
            ),
            (
                json!({"representation": "phonetic", "speeds": [1.0, 0.9]}),
                "speeds",
            ),
            (json!({"representation": "phonetic"}), "speeds"),
        ] {
            assert_eq!(differs(&of(options)).as_deref(), Some(key));
        }
        for (file, content, key) in [
            ("weights", "2", "model"),
            ("list", &format!("u1 {archive}:3\n"), "inputs"),
            ("a.ark", "other features", "inputs"),
        ] {
            let before = std::fs::read(at(file)).unwrap();
            let changed = std::fs::metadata(at(file)).unwrap().modified().unwrap();
            put(file, content);
            assert_eq!(differs(&plain()).as_deref(), Some(key), "{file}");
            std::fs::write(at(file), before).unwrap();
            let restored = std::fs::File::options()
                .append(true)
                .open(at(file))
                .unwrap();
            restored.set_modified(changed).unwrap();
            assert_eq!(differs(&plain()), None);
        }
    }
}
