//! Units in files: JSON lines as of discophon (`{"file": "a", "units": [12, 12, 4]}`), and Kaldi's tables of integer vectors.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::io::inputs;
use crate::io::json;
use crate::io::kaldi::{ReadSpecifier, TableReader};
use crate::io::lines::{read_text, without_mark};

/// A line of a JSONL file of units; other keys are not read.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    // Its name in fastabx.
    #[serde(alias = "audio")]
    file: String,
    units: Vec<i32>,
}

/// The units of each utterance in the file's order, at least one each, from 0. `from` is a read specifier, a list that ends
/// with `.scp`, JSON lines, or an archive (binary, or `UTTERANCE 12 12 4` per line).
///
/// # Errors
/// Errors of reading; [`Error::Line`] for JSON of another form; [`Error::Key`] for an utterance without units, with negative
/// ones, or that occurs twice.
pub fn read_units(from: &str) -> Result<Vec<(String, Vec<i32>)>> {
    let place = Path::new(from);
    let units = match ReadSpecifier::parse(from) {
        Ok(_) => read_table(from)?,
        Err(_) if from.ends_with(".scp") => read_table(&format!("scp:{from}"))?,
        Err(_) => {
            let bytes = inputs::bytes(place)?;
            match without_mark(&bytes).trim_ascii_start().first() {
                Some(b'{') => read_lines(place)?,
                _ => read_table(&format!("ark:{from}"))?,
            }
        }
    };
    let mut seen = HashSet::new();
    for (id, own) in &units {
        let wrong = |expected, found: String| Err(Error::key(place, id, expected, found));
        if own.is_empty() {
            return wrong("at least one unit", "none".into());
        }
        if let Some(unit) = own.iter().find(|unit| **unit < 0) {
            return wrong("units from 0", unit.to_string());
        }
        if !seen.insert(id) {
            return wrong("each utterance once", "it again".into());
        }
    }
    match units.is_empty() {
        true => Err(Error::format(place, "at least one unit", "none")),
        false => Ok(units),
    }
}

fn read_table(specifier: &str) -> Result<Vec<(String, Vec<i32>)>> {
    TableReader::<Vec<i32>>::open(specifier)?.collect()
}

fn read_lines(path: &Path) -> Result<Vec<(String, Vec<i32>)>> {
    let text = read_text(path)?;
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    let parsed = lines.map(|(number, line)| {
        let what = "an object with 'file' and 'units', integers from 0";
        let Line { file, units } = json::parse(line, path, number, what)?;
        Ok((file, units))
    });
    parsed.collect()
}

/// Writes a line of JSON.
///
/// # Errors
/// The error of the operating system.
pub fn write_line(out: &mut impl Write, id: &str, units: &[i32]) -> std::io::Result<()> {
    let line = Line {
        file: id.to_string(),
        units: units.to_vec(),
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &str) -> Result<Vec<(String, Vec<i32>)>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        read_units(path.to_str().unwrap())
    }

    #[test]
    fn json_and_text_give_the_same() {
        let expected = [
            ("a b".to_string(), vec![3, 3, 0]),
            ("c".to_string(), vec![7]),
        ];
        let mut lines = Vec::new();
        for (id, units) in &expected {
            write_line(&mut lines, id, units).unwrap();
        }
        let lines = String::from_utf8(lines).unwrap();
        assert!(
            lines.starts_with("{\"file\":\"a b\",\"units\":[3,3,0]}\n"),
            "{lines}"
        );
        assert_eq!(read("u.jsonl", &lines).unwrap(), expected);
        let more = "\n{\"units\": [1], \"model\": \"x\", \"file\": \"a\"}\n";
        assert_eq!(read("u", more).unwrap(), [("a".into(), vec![1])]);
        assert_eq!(read("u", "a 1 2\n").unwrap(), [("a".into(), vec![1, 2])]);
    }

    #[test]
    fn invalid_units_are_named() {
        for (content, expected) in [
            ("", "u: expected at least one unit, found none"),
            (
                "{\"file\": \"a\", \"units\": []}\n",
                "u: a: expected at least one unit, found none",
            ),
            (
                "{\"file\": \"a\", \"units\": [-1]}\n",
                "u: a: expected units from 0, found -1",
            ),
            (
                "a 1\na 2\n",
                "u: a: expected each utterance once, found it again",
            ),
            (
                "{\"file\": \"a\", \"units\": [1]}\n{\"file\": \"b\"}\n",
                "u:2: expected ",
            ),
            ("{\"file\": \"a\", \"units\": [1.5]}\n", "u:1: expected "),
            (
                "{\"file\": \"a\", \"uni",
                "u:1: expected an object with 'file' and 'units'",
            ),
            ("a 1 x\n", "u: a: expected"),
        ] {
            let error = read("u", content).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
