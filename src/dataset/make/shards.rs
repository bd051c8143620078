//! Recordings in tar files, as WebDataset's readers, WeNet and WeSpeaker have them: entries `KEY.wav` (or another kind of
//! audio), `KEY.txt` with the transcript and `KEY.spk` with the speaker.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use tar::{Archive, Entry};

use super::found::{Candidate, Found, is_named_audio};
use crate::error::{Error, Result};
use crate::io::audio::AudioSource;
use crate::io::inputs;
use crate::io::walk::files_below;

/// The longest transcript or speaker, in bytes.
const MOST_TEXT: u64 = 1 << 20;

/// What is known of a key.
#[derive(Default)]
struct Item {
    audio: Option<AudioSource>,
    text: Option<String>,
    speaker: Option<String>,
}

/// The recordings of a tar file, or of all in a folder.
///
/// # Errors
/// [`Error::Io`] when a folder or file cannot be read; [`Error::Format`] for a tar file that is damaged or cut short.
pub(super) fn read(place: &Path, speakers: bool) -> Result<Found> {
    let mut found = Found::default();
    let paths = match place.is_dir() {
        false => vec![place.to_path_buf()],
        true => {
            let files = files_below(place)?.0.into_iter();
            let (tars, others): (Vec<_>, Vec<_>) = files.partition(|name| name.ends_with(".tar"));
            for name in others {
                if [".tar.gz", ".tgz", ".tar.zst"]
                    .iter()
                    .any(|end| name.ends_with(end))
                {
                    found.leave_out(&name, "compressed: unpack it to a .tar first");
                }
            }
            tars.into_iter().map(|name| place.join(name)).collect()
        }
    };
    for path in paths {
        let items = items(&path, &mut found)?;
        if items.is_empty() {
            found.leave_out(&path.display().to_string(), "no recordings in it");
        }
        for (key, item) in items {
            let name = format!("{}: {key}", path.display());
            let Some(source) = item.audio else {
                found.leave_out(&name, "no audio of this key");
                continue;
            };
            if speakers && item.speaker.as_ref().is_none_or(String::is_empty) {
                found.leave_out(&name, "no .spk of this key (or --speakers unknown)");
                continue;
            }
            found.add(Candidate {
                source,
                cut: None,
                speaker: item.speaker.filter(|_| speakers),
                name: key,
                text: item.text,
                gender: None,
            });
        }
    }
    Ok(found)
}

fn items(path: &Path, found: &mut Found) -> Result<BTreeMap<String, Item>> {
    let broken = |error: std::io::Error| Error::format(path, "a whole tar file", error.to_string());
    let file = inputs::open(path).map_err(Error::io(path))?;
    let size = file.metadata().map_err(Error::io(path))?.len();
    let mut archive = Archive::new(std::io::BufReader::new(file));
    let mut items: BTreeMap<String, Item> = BTreeMap::new();
    let mut end = 0;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let Some((key, extension)) = name.trim_start_matches("./").rsplit_once('.') else {
            continue;
        };
        let (offset, length) = (entry.raw_file_position(), entry.size());
        if offset + length > size {
            let expected = format!("a whole tar file ({} bytes at least)", offset + length);
            return Err(Error::format(path, expected, size.to_string()));
        }
        let item = items.entry(key.to_string()).or_default();
        match extension {
            "txt" | "lab" => item.text = Some(text(&mut entry).map_err(broken)?),
            "spk" => item.speaker = Some(text(&mut entry).map_err(broken)?),
            _ if is_named_audio(&name) => match item.audio {
                None => item.audio = Some(AudioSource::Part(path.to_path_buf(), offset, length)),
                Some(_) => {
                    let name = format!("{}: {name}", path.display());
                    found.leave_out(&name, "another recording of its key before it");
                }
            },
            _ => {}
        }
        end = offset + length.next_multiple_of(512);
    }
    // Two empty blocks end a tar file.
    if end > 0 && size < end + 512 {
        return Err(Error::format(
            path,
            "a whole tar file, with its end",
            "none",
        ));
    }
    items.retain(|_, item| item.audio.is_some() || item.text.is_some() || item.speaker.is_some());
    Ok(items)
}

fn text(entry: &mut Entry<impl Read>) -> std::io::Result<String> {
    let mut text = Vec::new();
    entry.take(MOST_TEXT).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).trim().to_string())
}
