//! Names that modules and log terms had in earlier versions. Checkpoints and logs with them are still read, and are written
//! with today's names.

/// Old and new names of trainable modules.
const MODULES: [(&str, &str); 3] = [
    ("speaker_critic", "speaker_adversary"),
    ("information", "mutual_information"),
    ("prediction", "cpc"),
];

/// Old and new names of log terms. `information/category` is a term of InfoGAN, so modules are no guide here.
const TERMS: [(&str, &str); 8] = [
    ("information/bound", "mutual_information/bound"),
    ("information/surprise", "mutual_information/surprise"),
    ("phonetic_encoder/prediction", "phonetic_encoder/cpc"),
    (
        "decoder/swap_consistency",
        "decoder/cross_speaker_consistency",
    ),
    ("decoder/recode_consistency", "decoder/content_consistency"),
    ("decoder/realism", "decoder/conversion_discriminator"),
    ("label_head/found_for", "label_head/steps_since_found"),
    ("classifier/game", "classifier/adversarial"),
];

/// Today's name of a module. Several of a kind are numbered: `speaker_critic_2` is `speaker_adversary_2`.
pub(super) fn module(name: &str) -> String {
    let renamed = MODULES.iter().find_map(|(old, new)| {
        let number = name.strip_prefix(old)?;
        (number.is_empty() || number.starts_with('_')).then(|| format!("{new}{number}"))
    });
    renamed.unwrap_or_else(|| name.to_string())
}

/// Today's name of a tensor in a checkpoint, `module/variable`.
pub(super) fn tensor(name: &str) -> String {
    match name.split_once('/') {
        Some((own, variable)) => format!("{}/{variable}", module(own)),
        None => name.to_string(),
    }
}

/// Today's name of a log term.
pub(super) fn term(name: &str) -> String {
    match TERMS.iter().find(|(old, _)| *old == name) {
        Some((_, new)) => new.to_string(),
        None if name.starts_with("speaker_critic") => tensor(name),
        None => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_names_change() {
        for (old, new) in [
            ("speaker_critic/accuracy", "speaker_adversary/accuracy"),
            ("speaker_critic_2/accuracy", "speaker_adversary_2/accuracy"),
            ("information/bound", "mutual_information/bound"),
            ("information/category", "information/category"),
            ("decoder/realism", "decoder/conversion_discriminator"),
            ("loss", "loss"),
        ] {
            assert_eq!(term(old), new);
        }
        assert_eq!(tensor("prediction/step1.weight"), "cpc/step1.weight");
        assert_eq!(tensor("decoder/prediction"), "decoder/prediction");
        assert_eq!(module("speaker_criticism"), "speaker_criticism");
    }
}
