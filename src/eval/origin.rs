//! What the parts of an extraction depend on, so that a later run takes up its own and nobody else's.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::extract::{Extraction, Pool, Route, Strand};
use crate::error::{Error, Result};
use crate::io::inputs;
use crate::io::kaldi::{ReadFrom, ReadSpecifier, file_of};
use crate::io::lines::read_table;

/// Names an extraction. Digests are of this program's own, and another version of it may have others.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// Digest of the model's files: weights, configuration, what training settled, front-end.
    model: String,
    source: String,
    /// Digest of the list that the source names, and of the size and the time of the files that it names in turn.
    inputs: String,
    strand: Strand,
    pool: Pool,
    resample_hz: Option<u32>,
    speeds: Vec<f64>,
}

impl Origin {
    /// # Errors
    /// [`Error::Io`] naming a file of the model or the list, where it cannot be read.
    pub(super) fn of(extraction: &Extraction, route: &Route) -> Result<Self> {
        let mut model = DefaultHasher::new();
        for file in route.model {
            add_content(&mut model, file)?;
        }
        Ok(Self {
            model: format!("{:016x}", model.finish()),
            source: route.source.to_string(),
            inputs: inputs(route.source)?,
            strand: extraction.strand,
            pool: extraction.pool,
            resample_hz: route.resample_hz,
            speeds: route.speeds.to_vec(),
        })
    }

    /// Refuses parts in `folder` whose origin, as JSON, is another.
    ///
    /// # Errors
    /// [`Error::Key`] naming what differs.
    pub(super) fn check(&self, folder: &Path, parts: &str) -> Result<()> {
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
                    "parts of {} (without --resume they are made anew)",
                    own[key]
                );
                Err(Error::key(folder, key, expected, parts[key].to_string()))
            }
        }
    }
}

/// Digest of what a read specifier names. Of a stream nothing can be said.
fn inputs(source: &str) -> Result<String> {
    let mut digest = DefaultHasher::new();
    let mut files = BTreeSet::new();
    match ReadSpecifier::parse(source)?.from {
        ReadFrom::Ark(name) => files.extend(file_of(&name)),
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
    // Where the next file begins.
    digest.write_u8(0xff);
    Ok(())
}

/// Takes note of a file's size and of when it was changed. One that cannot be read is told when it is read.
fn add_stamp(digest: &mut DefaultHasher, path: &Path) {
    let meta = std::fs::metadata(path).ok();
    let changed = meta.as_ref().and_then(|meta| meta.modified().ok());
    (path, meta.map(|meta| meta.len()), changed).hash(digest);
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use tch::{Device, Tensor};

    use super::*;
    use crate::dataset::view::FeatureView;
    use crate::method::Strands;
    use crate::nn::Mask;

    type Change = fn(&mut Extraction, &mut Route);

    #[derive(Debug)]
    struct Identity;

    impl Strands for Identity {
        fn codes(&self, feats: &Tensor, mask: &Mask) -> Result<(Tensor, Mask)> {
            Ok((feats.shallow_clone(), mask.subsample(1)))
        }

        fn subsampling(&self) -> i64 {
            1
        }
    }

    #[test]
    fn whatever_parts_depend_on_is_held_against_them() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let put = |name: &str, content: &str| std::fs::write(at(name), content).unwrap();
        put("weights", "1");
        put("a.ark", "features");
        put(
            "list",
            &format!(
                "u1 {0}:3\nu2 {0}:9[0:1]\nu3 touch x |\n",
                at("a.ark").display()
            ),
        );
        let (model, view) = ([at("weights")], FeatureView::identity(2));
        let source = format!("scp:{}", at("list").display());
        let of = |change: Change| {
            let mut extraction = Extraction {
                model: &Identity,
                view: &view,
                device: Device::Cpu,
                strand: Strand::Phonetic,
                pool: Pool::None,
            };
            let mut route = Route {
                model: &model,
                source: &source,
                target: "ark:z",
                resample_hz: None,
                speeds: &[],
                speakers: None,
                resume: true,
            };
            change(&mut extraction, &mut route);
            Origin::of(&extraction, &route).unwrap()
        };
        let first = serde_json::to_string(&of(|_, _| {})).unwrap();
        let differs = |origin: &Origin| match origin.check(Path::new("z.parts"), &first) {
            Err(Error::Key { key, .. }) => Some(key),
            _ => None,
        };
        assert_eq!(differs(&of(|_, _| {})), None);
        let options: [(&str, Change); 4] = [
            ("strand", |extraction, _| {
                extraction.strand = Strand::Features
            }),
            ("pool", |extraction, _| extraction.pool = Pool::Utterance),
            ("resample_hz", |_, route| route.resample_hz = Some(8000)),
            ("speeds", |_, route| route.speeds = &[1.0, 0.9]),
        ];
        for (key, change) in options {
            assert_eq!(differs(&of(change)).as_deref(), Some(key));
        }
        for (file, content, key) in [
            ("weights", "2", "model"),
            (
                "list",
                &format!("u1 {}:3\n", at("a.ark").display()),
                "inputs",
            ),
            ("a.ark", "other features", "inputs"),
        ] {
            let before = std::fs::read(at(file)).unwrap();
            let changed = std::fs::metadata(at(file)).unwrap().modified().unwrap();
            put(file, content);
            assert_eq!(differs(&of(|_, _| {})).as_deref(), Some(key), "{file}");
            std::fs::write(at(file), before).unwrap();
            let restored = File::options().append(true).open(at(file)).unwrap();
            restored.set_modified(changed).unwrap();
            assert_eq!(differs(&of(|_, _| {})), None);
        }
    }
}
