//! Archives of arrays, as `numpy.savez` and `numpy.savez_compressed` write them.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zip::read::ZipArchive;
use zip::result::ZipError;

use crate::error::{Error, Result};
use crate::io::input::Input;
use crate::io::inputs;

type Archive = ZipArchive<BufReader<File>>;

/// Archives, of which the last that was read stays open.
#[derive(Debug, Default)]
pub(super) struct Archives(Mutex<Option<(PathBuf, Archive)>>);

impl Archives {
    /// The names of all arrays of an archive, in its order.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for another file, and for members that are no arrays.
    pub(super) fn names(&self, path: &Path) -> Result<Vec<String>> {
        let mut open = self.open(path)?;
        let (_, archive) = open.as_mut().expect("opened above");
        let members = archive.file_names().map(|name| name.map(String::from));
        let members: Vec<String> = members.collect::<Result<_, _>>().map_err(refused(path))?;
        if members.iter().any(|name| name.ends_with("/data.pkl")) {
            let expected = "an archive of numpy.savez";
            return Err(super::pickled(&path.with_extension("pt"), false)
                .unwrap_or_else(|| Error::format(path, expected, "one of torch.save")));
        }
        let name = |name: &String| match name.strip_suffix(".npy") {
            Some(name) => Ok(name.to_string()),
            None => Err(Error::key(
                path,
                name,
                "a .npy file in the archive",
                "another",
            )),
        };
        let names: Vec<String> = members.iter().map(name).collect::<Result<_>>()?;
        match names.is_empty() {
            true => Err(Error::format(path, "arrays", "none")),
            false => Ok(names),
        }
    }

    /// Lets `read` read the array `member` of an archive.
    ///
    /// # Errors
    /// As [`Archives::names`].
    pub(super) fn with_input<R>(
        &self,
        (path, key): (&Path, &str),
        member: &str,
        read: impl FnOnce(&mut Input) -> Result<R>,
    ) -> Result<R> {
        let mut open = self.open(path)?;
        let (_, archive) = open.as_mut().expect("opened above");
        let entry = archive
            .by_name(&format!("{member}.npy"))
            .map_err(refused(path))?;
        let mut reader = BufReader::with_capacity(1 << 16, entry);
        read(&mut Input::new(&mut reader, path, key))
    }

    fn open(&self, path: &Path) -> Result<MutexGuard<'_, Option<(PathBuf, Archive)>>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|(name, _)| name != path) {
            let file = inputs::open(path).map_err(Error::io(path))?;
            let archive = ZipArchive::new(BufReader::new(file)).map_err(refused(path))?;
            *open = Some((path.to_path_buf(), archive));
        }
        Ok(open)
    }
}

fn refused(path: &Path) -> impl FnOnce(ZipError) -> Error + '_ {
    move |error| match error {
        ZipError::Io(cause) if cause.kind() != io::ErrorKind::UnexpectedEof => {
            Error::io(path)(cause)
        }
        error => Error::format(path, "an archive of numpy.savez", error.to_string()),
    }
}
