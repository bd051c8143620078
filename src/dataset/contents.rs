//! Checks that the objects and recordings listed in a data directory exist.

use std::collections::BTreeSet;
use std::path::Path;

use ndarray::Array2;
use rayon::prelude::*;

use super::layout;
use super::table::Table;
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, AudioSource, Channel, Pipes};
use crate::io::kaldi::ScpTable;

/// Checks each object that `feats.scp` and the other lists name, and each recording of `wav.scp`: its file exists, its
/// header is valid, and the file of an object is complete. Samples and numbers are not read, commands do not run.
/// Returns all errors; a file that cannot be opened is reported once.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read.
pub fn check_contents(folder: &Path) -> Result<Vec<Error>> {
    let mut problems = Vec::new();
    for name in layout::files(folder)? {
        let path = folder.join(&name);
        match name.strip_suffix(".scp") {
            Some("wav") => problems.extend(recordings(&path)),
            Some(_) => problems.extend(objects(&path)),
            None => {}
        }
    }
    let mut closed = BTreeSet::new();
    problems.retain(|problem| match problem {
        Error::Io { path, .. } => closed.insert(path.clone()),
        _ => true,
    });
    Ok(problems)
}

fn objects(list: &Path) -> Vec<Error> {
    match ScpTable::<Array2<f32>>::open(list) {
        Ok(table) => {
            let keys = table.keys().par_iter();
            keys.filter_map(|key| table.check(key).err()).collect()
        }
        Err(error) => vec![error],
    }
}

fn recordings(list: &Path) -> Vec<Error> {
    let any_channel = AudioOptions {
        channel: Some(Channel::Index(0)),
        ..AudioOptions::default()
    };
    let table = match Table::read(list) {
        Ok(table) => table,
        Err(error) => return vec![error],
    };
    let problem = |value: &str| match AudioSource::parse(value) {
        AudioSource::Pipe(_) => None,
        file => file.open(&any_channel, Pipes::Refused).err(),
    };
    let entries = table.entries().par_iter();
    entries.filter_map(|entry| problem(&entry.value)).collect()
}
