//! Names that keys and values of configurations had in earlier versions. Existing files and scripts keep working.

use std::borrow::Cow;
use std::path::Path;

use toml::{Table, Value};

use crate::error::Result;
use crate::io::config::{Document, Renamed};

/// A renamed key of the table `parent`.
const fn key(parent: &'static str, old: &'static str, new: &'static str) -> Renamed {
    with_values(parent, old, new, &[])
}

const fn with_values(
    parent: &'static str,
    old: &'static str,
    new: &'static str,
    values: &'static [(&'static str, &'static str)],
) -> Renamed {
    Renamed {
        parent,
        old,
        new,
        values,
        holding: &[],
    }
}

const UPDATES: &[(&str, &str)] = &[
    ("at_once", "gradient_reversal"),
    ("in_turns", "alternating"),
];
const ENCODER_LOSSES: &[(&str, &str)] = &[
    ("reversed", "negated_ce"),
    ("confusion", "uniform"),
    ("flipped", "flipped_labels"),
];

/// All renamed keys.
pub const OLD_KEYS: &[Renamed] = &[
    Renamed {
        holding: &["loudness", "cmvn", "stretch_frames"],
        ..key("", "view", "normalisation")
    },
    key("normalisation", "loudness", "subtract_utterance_mean"),
    key("normalisation", "stretch_frames", "fixed_frames"),
    key("data", "longest_frames", "max_frames"),
    with_values(
        "data",
        "labels",
        "labels",
        &[
            ("text", "utterance_class"),
            ("frames", "alignment"),
            ("phones", "phone_sequence"),
            ("words", "word_sequence"),
            ("characters", "character_sequence"),
        ],
    ),
    key("train", "keep", "keep_checkpoints"),
    with_values(
        "train",
        "select",
        "select",
        &[
            ("phonetic_encoder/prediction", "phonetic_encoder/cpc"),
            ("information/bound", "mutual_information/bound"),
            (
                "decoder/swap_consistency",
                "decoder/cross_speaker_consistency",
            ),
            ("decoder/recode_consistency", "decoder/content_consistency"),
            ("speaker_critic/accuracy", "speaker_adversary/accuracy"),
            ("speaker_critic/score_gap", "speaker_adversary/score_gap"),
            ("speaker_critic_2/accuracy", "speaker_adversary_2/accuracy"),
            (
                "speaker_critic_2/score_gap",
                "speaker_adversary_2/score_gap",
            ),
        ],
    ),
    key("*optimiser", "average", "ema_decay"),
    with_values(
        "schedule",
        "decay",
        "decay",
        &[
            ("annealed", "inverse_power"),
            ("late", "linear_second_half"),
        ],
    ),
    key(
        "method",
        "embed_other_utterance",
        "speaker_from_other_utterance",
    ),
    key(
        "method",
        "wait_for_labels",
        "adversary_start_below_label_loss",
    ),
    key("method", "information", "mutual_information"),
    key("method", "prediction", "cpc"),
    key("method", "realism", "conversion_discriminator"),
    key("mutual_information", "steps", "inner_steps"),
    key("conversion_discriminator", "steps", "inner_steps"),
    key("consistency", "swap", "cross_speaker"),
    key("consistency", "recode", "content"),
    key("consistency", "alike", "similarity"),
    key("adversaries", "reads", "input"),
    with_values("adversaries", "play", "update", UPDATES),
    with_values("adversaries", "defeat", "encoder_loss", ENCODER_LOSSES),
    key("adversaries", "critic", "classifier"),
    key("adversaries", "critic_steps", "inner_steps"),
    key("method", "game", "adversary"),
    with_values("adversary", "play", "update", UPDATES),
    with_values("adversary", "defeat", "encoder_loss", ENCODER_LOSSES),
    key("adversary", "domain_steps", "inner_steps"),
    key("phonetic_encoder", "body", "backbone"),
    key("network", "body", "backbone"),
    key("speaker_encoder", "trunk", "backbone"),
    with_values(
        "bottleneck",
        "kind",
        "kind",
        &[("scalar", "fsq"), ("vector", "vq"), ("variational", "vae")],
    ),
    key("method", "judge", "discriminator"),
    key("method", "game_steps", "gan_steps"),
    key("method", "game_weight", "gan_weight"),
    key("method", "alone_steps", "pretrain_steps"),
];

/// A single setting with today's key for the method `name`; none for one that had no effect there.
pub fn setting<'a>(setting: &'a str, name: &str) -> Option<Cow<'a, str>> {
    match setting.strip_prefix("train.undefeated_steps") {
        None => Some(Cow::Borrowed(setting)),
        Some(rest) if WITH_PATIENCE.contains(&name) => {
            Some(format!("method.discriminator_patience{rest}").into())
        }
        Some(_) => None,
    }
}

/// The methods with a discriminator whose training may stall.
const WITH_PATIENCE: [&str; 4] = ["infogan", "vaegan", "bigan", "triplegan"];

/// A configuration and its bases, with today's names.
///
/// # Errors
/// As [`Document::read`].
pub fn document(path: &Path) -> Result<Document> {
    let mut document = Document::read_renamed(path, OLD_KEYS)?;
    move_patience(document.table_mut());
    Ok(document)
}

/// Moves `train.undefeated_steps`, which all runs had, to `method.discriminator_patience` of methods with a discriminator.
fn move_patience(table: &mut Table) {
    let train = table.get_mut("train").and_then(Value::as_table_mut);
    let Some(steps) = train.and_then(|train| train.remove("undefeated_steps")) else {
        return;
    };
    let Some(method) = table.get_mut("method").and_then(Value::as_table_mut) else {
        return;
    };
    let name = method
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if WITH_PATIENCE.contains(&name) {
        method.entry("discriminator_patience").or_insert(steps);
    }
}
