//! Parts of a data directory by shares of its speakers, as `train=0.8,dev=0.1,test=0.1`.

use std::collections::HashMap;
use std::str::FromStr;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::files::DataFiles;
use crate::error::{Error, Result};

/// Names of parts and their shares of the speakers, which sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares(Vec<(String, f64)>);

impl FromStr for Shares {
    type Err = Error;

    /// # Errors
    /// [`Error::Option`] for another form, a name that is no file name or occurs twice, or another sum.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |found: String| {
            let expected = "NAME=SHARE,... with different names and shares that sum to 1, as train=0.8,dev=0.1,test=0.1";
            Err(Error::option("--split", expected, found))
        };
        let mut shares: Vec<(String, f64)> = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').unwrap_or_default();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            let share = share
                .parse()
                .ok()
                .filter(|share| *share > 0.0 && *share <= 1.0);
            let known = shares.iter().any(|(known, _)| known == name);
            match share {
                Some(share) if !name.is_empty() && name.chars().all(plain) && !known => {
                    shares.push((name.to_string(), share));
                }
                _ => return wrong(format!("'{part}'")),
            }
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        match (sum - 1.0).abs() < 1e-6 {
            true => Ok(Self(shares)),
            false => wrong(format!("{text}, which sums to {sum}")),
        }
    }
}

/// Divides by speaker, drawn by `seed`. Each part has at least one speaker; the part `test` has two where there are enough,
/// so that trials are possible.
///
/// # Errors
/// [`Error::Option`] for fewer speakers than parts.
pub(super) fn by_shares(
    files: &DataFiles,
    shares: &Shares,
    seed: u64,
) -> Result<Vec<(String, DataFiles)>> {
    let mut speakers: Vec<&str> = (files.lines("spk2utt").iter())
        .map(|entry| entry.key.as_str())
        .collect();
    let parts = shares.0.len();
    if speakers.len() < parts {
        let expected = format!(
            "at most {} parts, as many as there are speakers",
            speakers.len()
        );
        return Err(Error::option("--split", expected, parts.to_string()));
    }
    speakers.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let sizes = sizes(&shares.0, speakers.len());
    let numbers = (0..).zip(sizes).flat_map(|(part, size)| vec![part; size]);
    let part_of: HashMap<&str, usize> = speakers.into_iter().zip(numbers).collect();
    let utterances = files.lines("utt2spk").iter();
    let part_of = utterances
        .map(|entry| (entry.key.as_str(), part_of[entry.value.as_str()]))
        .collect();
    let divided = files.divide(&part_of, parts);
    let names = shares.0.iter().map(|(name, _)| name.clone());
    Ok(names.zip(divided).collect())
}

/// How many of `total` each part gets: its minimum, then one after another to the part that lacks most.
fn sizes(shares: &[(String, f64)], total: usize) -> Vec<usize> {
    let roomy = total > shares.len();
    let least = |(name, _): &(String, f64)| 1 + usize::from(roomy && name == "test");
    let mut sizes: Vec<usize> = shares.iter().map(least).collect();
    for _ in sizes.iter().sum()..total {
        let lack = |part: usize| shares[part].1 * total as f64 - sizes[part] as f64;
        let neediest =
            (0..shares.len()).max_by(|&a, &b| lack(a).total_cmp(&lack(b)).then(b.cmp(&a)));
        if let Some(part) = neediest {
            sizes[part] += 1;
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parsed_and_checked() {
        for text in [
            "train",
            "a=1,a=0",
            "a=0.5,b=0.6",
            "a/b=1",
            "=1",
            "a=x",
            "a=nan",
            "a=0.5,a=0.5",
            "",
        ] {
            let error = text.parse::<Shares>().unwrap_err().to_string();
            assert!(error.starts_with("--split: expected NAME=SHARE"), "{error}");
        }
        assert_eq!("a=1".parse::<Shares>().unwrap().0, [("a".into(), 1.0)]);
    }

    #[test]
    fn sizes_follow_shares() {
        let shares = "train=0.8,dev=0.1,test=0.1".parse::<Shares>().unwrap().0;
        for (total, expected) in [
            (3, [1, 1, 1]),
            (4, [1, 1, 2]),
            (10, [7, 1, 2]),
            (20, [16, 2, 2]),
            (105, [84, 11, 10]),
        ] {
            assert_eq!(sizes(&shares, total), expected, "{total}");
        }
    }
}
