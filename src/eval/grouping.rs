//! Utterances sorted into named groups: by speaker, by text, or by any Kaldi table of two columns.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dataset::{DataDir, Table};
use crate::error::{Error, Result};

/// The group of every utterance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The attribute: `speaker`, `text` or a file's name.
    pub name: String,
    /// The name of the group of each utterance.
    pub values: Vec<String>,
}

impl Grouping {
    /// The groups of a data directory's utterances, in their order. `by` is `speaker`, `text`, or a file of
    /// `utterance value` or `speaker value` lines (`spk2gender`, `spk2age`, `utt2len`).
    ///
    /// Numbers are binned: ages (whole numbers below 130, one of them 10 or more) by decades, others with more than ten
    /// different values by quartiles of the utterances.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Line`] for the file; [`Error::Key`] for an utterance without a value.
    pub fn read(by: &str, dir: &DataDir) -> Result<Self> {
        let speaker = |id: &String| dir.speaker_of(id).unwrap_or_default().to_string();
        let values = match by {
            "speaker" => {
                return Ok(Self::new(
                    by,
                    dir.utterances().iter().map(speaker).collect(),
                ));
            }
            "text" => texts(dir)?,
            file => binned(table_values(Path::new(file), dir)?),
        };
        let name = Path::new(by).file_name().map(|name| name.to_string_lossy());
        Ok(Self::new(&name.unwrap_or_default(), values))
    }

    fn new(name: &str, values: Vec<String>) -> Self {
        Self {
            name: name.to_string(),
            values,
        }
    }

    /// The names of the groups in byte order, and the index of each utterance's group.
    pub fn classes(&self) -> (Vec<&str>, Vec<usize>) {
        let names: BTreeSet<&str> = self.values.iter().map(String::as_str).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let number = |value: &String| names.partition_point(|name| *name < value.as_str());
        let numbers = self.values.iter().map(number).collect();
        (names, numbers)
    }
}

fn texts(dir: &DataDir) -> Result<Vec<String>> {
    let text = |id: &String| {
        dir.text(id)
            .map(str::to_string)
            .ok_or_else(|| Error::key(dir.path().join("text"), id, "its text", "none"))
    };
    dir.utterances().iter().map(text).collect()
}

fn table_values(path: &Path, dir: &DataDir) -> Result<Vec<String>> {
    let table = Table::read(path)?;
    let value = |id: &String| {
        let speaker = dir.speaker_of(id).unwrap_or_default();
        match table.get(id).or_else(|| table.get(speaker)) {
            Some(value) if !value.is_empty() => Ok(value.to_string()),
            Some(_) => Err(Error::key(path, id, "a value after the key", "none")),
            None => {
                let expected = format!("a line for this utterance or for its speaker '{speaker}'");
                Err(Error::key(path, id, expected, "none"))
            }
        }
    };
    dir.utterances().iter().map(value).collect()
}

/// The most different numbers that are not binned.
const FEW: usize = 10;

fn binned(values: Vec<String>) -> Vec<String> {
    let numbers: Option<Vec<f64>> = values
        .iter()
        .map(|value| value.parse().ok().filter(|number: &f64| number.is_finite()))
        .collect();
    let Some(numbers) = numbers else {
        return values;
    };
    let ages = |number: &f64| number.fract() == 0.0 && (0.0..130.0).contains(number);
    let different: BTreeSet<&String> = values.iter().collect();
    if numbers.iter().all(ages) && numbers.iter().any(|&number| number >= 10.0) {
        numbers.iter().map(|&age| decade(age)).collect()
    } else if different.len() > FEW {
        quarters(&values, &numbers)
    } else {
        values
    }
}

fn decade(age: f64) -> String {
    let first = 10 * (age as u32 / 10);
    format!("{first}..{}", first + 9)
}

/// Four groups of about equally many utterances in ascending order, named by their ends; equal numbers stay together.
fn quarters(values: &[String], numbers: &[f64]) -> Vec<String> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
    let edges: Vec<f64> = (1..4)
        .map(|quarter| numbers[order[quarter * order.len() / 4]])
        .collect();
    let group = |number: f64| edges.iter().filter(|&&edge| edge <= number).count();
    let mut names = vec![(String::new(), String::new()); 4];
    for &place in &order {
        let (first, last) = &mut names[group(numbers[place])];
        if first.is_empty() {
            first.clone_from(&values[place]);
        }
        last.clone_from(&values[place]);
    }
    numbers
        .iter()
        .map(|&number| {
            let (first, last) = &names[group(number)];
            format!("{first}..{last}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn together(values: &[&str]) -> Vec<String> {
        binned(values.iter().map(|value| value.to_string()).collect())
    }

    #[test]
    fn numbers_are_binned() {
        assert_eq!(together(&["f", "3"]), ["f", "3"]);
        assert_eq!(together(&["0", "1", "9"]), ["0", "1", "9"]);
        assert_eq!(
            together(&["6", "23", "29", "30"]),
            ["0..9", "20..29", "20..29", "30..39"]
        );
        assert_eq!(together(&["130", "1.5"]), ["130", "1.5"]);
        let lengths: Vec<String> = (0..12).map(|n| format!("{}.5", (5 * n) % 12)).collect();
        let found = binned(lengths);
        assert_eq!(found[0], "0.5..2.5");
        assert_eq!(found[1], "3.5..5.5");
        assert_eq!(found.iter().filter(|name| *name == "9.5..11.5").count(), 3);
    }

    #[test]
    fn values_are_of_the_utterance_or_its_speaker() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("utt2spk", "s-1 s\ns-2 s\nt-1 t\n");
        write("spk2gender", "s f\nt m\n");
        write("utt2mood", "s-1 good\ns-2 bad\n");
        write("spk2void", "s\nt\n");
        let data = DataDir::open(dir.path()).unwrap();
        let read = |name: &str| Grouping::read(&dir.path().join(name).display().to_string(), &data);
        let gender = read("spk2gender").unwrap();
        assert_eq!(
            (gender.name.as_str(), &gender.values[..]),
            ("spk2gender", &["f", "f", "m"].map(String::from)[..])
        );
        assert_eq!(gender.classes(), (vec!["f", "m"], vec![0, 0, 1]));
        assert_eq!(
            Grouping::read("speaker", &data).unwrap().values,
            ["s", "s", "t"]
        );
        let error = read("utt2mood").unwrap_err().to_string();
        assert!(
            error.ends_with("utt2mood: t-1: expected a line for this utterance or for its speaker 't', found none"),
            "{error}"
        );
        let error = read("spk2void").unwrap_err().to_string();
        assert!(
            error.ends_with("s-1: expected a value after the key, found none"),
            "{error}"
        );
        assert!(Grouping::read("text", &data).is_err() && read("none").is_err());
    }
}
