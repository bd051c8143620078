//! A run that goes on has the data and the front-end that its checkpoint was trained with. Nothing is written before that is
//! known.

use std::path::Path;

use toml::Value;

use super::config::DataOptions;
use super::model_info::{INVENTORY, ModelInfo};
use crate::error::{Error, Result};
use crate::io::config::first_difference;
use crate::nn::AnyFrontEnd;
use crate::signal::AnyFrontEndOptions;
use crate::train::checkpoint;
use crate::train::experiment::Experiment;

/// The front-end's file in an experiment.
pub(super) const FRONT_END: &str = "front_end.toml";

/// Refuses other data or another front-end than those of the checkpoints in `exp`. Without checkpoints nothing is refused.
///
/// # Errors
/// [`Error::Key`] for the first speaker, label or option that differs, another number of utterances, or other statistics.
pub(super) fn check(
    exp: &Path,
    data: &DataOptions,
    info: &ModelInfo,
    front_end: Option<&AnyFrontEnd>,
) -> Result<()> {
    let begun = exp.is_dir() && !checkpoint::steps(exp)?.is_empty();
    // What is missing of the experiment is told when it is opened.
    if !begun
        || ["conf.toml", INVENTORY]
            .iter()
            .any(|name| !exp.join(name).exists())
    {
        return Ok(());
    }
    let as_trained = |what: &str| format!("{what}, as the checkpoint was trained");
    let differs = |path: &Path, key: &str, expected: &str, found: String| {
        Err(Error::key(path, key, as_trained(expected), found))
    };
    let path = exp.join(FRONT_END);
    if let (Some(front_end), true) = (front_end, path.exists()) {
        let before = AnyFrontEndOptions::read(&path)?;
        let [old, new] =
            [&before, front_end.options()].map(|options| Value::Table(options.identity()));
        if let Some((key, expected, found)) = first_difference("", Some(&old), Some(&new)) {
            let own = data.front_end.as_deref().unwrap_or(&path);
            return differs(own, &key, &expected, found);
        }
    }
    let old = ModelInfo::read(&Experiment::open(exp)?)?;
    let lists = [
        (
            "speakers",
            &old.inventory.speakers,
            &info.inventory.speakers,
        ),
        ("labels", &old.inventory.labels, &info.inventory.labels),
    ];
    for (key, old, new) in lists {
        let without = |list: &[String], other: &[String]| {
            list.iter()
                .find(|name| other.binary_search(name).is_err())
                .cloned()
        };
        match (without(old, new), without(new, old)) {
            (Some(name), _) => {
                return differs(&data.train, key, &format!("'{name}'"), "none".into());
            }
            (None, Some(name)) => {
                return differs(
                    &data.train,
                    key,
                    "no more than there were",
                    format!("'{name}'"),
                );
            }
            (None, None) => {}
        }
    }
    if old.utterances != info.utterances {
        let (old, new) = (old.utterances.to_string(), info.utterances.to_string());
        return differs(&data.train, "utterances", &old, new);
    }
    match old.normalisation == info.normalisation {
        true => Ok(()),
        false => differs(
            &data.train,
            "features",
            "those of the statistics",
            "others".into(),
        ),
    }
}
