//! `data.feature_type`: what the features are decides which defaults a run has, and which options are refused.

use std::fs;
use std::path::Path;

use crate::support::corpus::Corpus;
use crate::support::training::{CONF, RESUME, TRAIN, assert_same, outcome};
use crate::support::{fail, put, succeed};

const MFCC: &str = "kind = \"mfcc\"\nnum_ceps = 20\n";

/// Data directories with features of so many columns.
fn workplace(bins: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, utterances, seed) in [("train", 4, 0), ("valid", 2, 1)] {
        let corpus = Corpus {
            bins,
            utterances,
            seed,
            ..Corpus::default()
        };
        corpus.write(&dir.path().join(name));
    }
    put(&dir.path().join("mfcc.toml"), MFCC);
    dir
}

/// Writes `conf.toml`: the shared configuration with `data` in its table and `more` tables.
fn configure(folder: &Path, data: &str, more: &str) {
    let data = format!("crop_frames = 20\n{data}");
    put(
        &folder.join("conf.toml"),
        CONF.replace("crop_frames = 20\n", &data) + more,
    );
}

fn train(steps: &str) -> Vec<&str> {
    [&TRAIN[..], &["--steps", steps]].concat()
}

/// What the inventory of the experiment says of the level.
fn subtracts(folder: &Path, exp: &str) -> bool {
    let text = fs::read_to_string(folder.join(exp).join("inventory.json")).unwrap();
    let inventory: serde_json::Value = serde_json::from_str(&text).unwrap();
    let conf = fs::read_to_string(folder.join(exp).join("conf.toml")).unwrap();
    let subtracts = inventory["normalisation"]["options"]["subtract_utterance_mean"]
        .as_bool()
        .unwrap();
    assert!(
        conf.contains(&format!("subtract_utterance_mean = {subtracts}\n")),
        "{conf}"
    );
    subtracts
}

#[test]
fn a_level_is_subtracted_from_log_spectra_alone() {
    let dir = workplace(20);
    for (data, expected) in [
        ("", true),
        ("feature_type = \"filter_bank\"\n", true),
        ("feature_type = \"spectrogram\"\n", true),
        ("feature_type = \"cepstrum\"\n", false),
        ("feature_type = \"hidden_states\"\n", false),
        ("front_end = \"mfcc.toml\"\n", false),
    ] {
        configure(dir.path(), data, "");
        let _ = fs::remove_dir_all(dir.path().join("exp"));
        succeed(dir.path(), &train("1"));
        assert_eq!(subtracts(dir.path(), "exp"), expected, "{data}");
    }
}

#[test]
fn what_assumes_a_spectrum_is_refused_for_other_features() {
    let (narrow, wide) = (workplace(20), workplace(300));
    let hidden = "feature_type = \"hidden_states\"\n";
    let no_spectra =
        "with features of type hidden_states, which are no log spectra (data.feature_type)";
    let level = "[normalisation]\nsubtract_utterance_mean = true\n";
    let masks = "[data.augment_feats.spec_augment]\nfreq_width = 4\n";
    let cases = [
        (&narrow, hidden, level, format!("normalisation.subtract_utterance_mean: expected false {no_spectra}, found true")),
        (&narrow, hidden, "[method.perturb]\nwarp = 0.1\n", format!("method.perturb.warp: expected 0 {no_spectra}, found 0.1")),
        (&narrow, hidden, "[method.perturb]\nmask_bins = 4\n", format!("method.perturb.mask_bins: expected 0 {no_spectra}, found 4")),
        (&narrow, hidden, masks, format!("data.augment_feats.spec_augment.freq_masks: expected 0 {no_spectra}, found 2")),
        (&narrow, hidden, "[data.augment_feats.vtlp]\nmin = 0.8\n", "data.augment_feats.vtlp: expected no table unless data.feature_type = \"filter_bank\", whose mel axis it warps, found hidden_states".into()),
        (&narrow, "front_end = \"mfcc.toml\"\n", level, "expected false with features of type cepstrum".into()),
        (&narrow, "front_end = \"mfcc.toml\"\nfeature_type = \"filter_bank\"\n", "", "data.feature_type: expected \"cepstrum\", which data.front_end computes, found \"filter_bank\"".into()),
        (&narrow, "", "[method.perturb]\nmask_bins = 21\n", "method.perturb.mask_bins: expected at most 20, the bins of the features, found 21".into()),
        (&narrow, "", "[data.augment_feats.spec_augment]\ntime_width = 4\n", "data.augment_feats.spec_augment.freq_width: expected at most 20, the bins of the features, found 27".into()),
        (&wide, "", "", "data.feature_type: expected the type of features of 300 columns where no data.front_end tells it, such as \"hidden_states\", found none".into()),
        (&wide, "", "[normalisation]\nsubtract_utterance_mean = false\n[method.perturb]\nwarp = 0.1\n", "data.feature_type: expected the type of features of 300 columns".into()),
    ];
    for (dir, data, more, expected) in cases {
        configure(dir.path(), data, more);
        let error = fail(dir.path(), &train("1"), b"");
        assert!(error.contains(&expected), "{expected}\n{error}");
        assert!(!dir.path().join("exp/conf.toml").exists());
    }
    // Masks over time make sense for any features, and so does a width that somebody states.
    let frames = "[method.perturb]\nmask_frames = 4\n[data.augment_feats.spec_augment]\nfreq_masks = 0\ntime_width = 4\n";
    for (data, more) in [(hidden, frames), ("feature_type = \"spectrogram\"\n", "")] {
        configure(wide.path(), data, more);
        let _ = fs::remove_dir_all(wide.path().join("exp"));
        succeed(wide.path(), &train("1"));
    }
}

#[test]
fn a_run_of_before_goes_on_as_it_was() {
    let dir = workplace(20);
    // As earlier versions resolved it: a level of cepstra.
    let old = "[normalisation]\nsubtract_utterance_mean = true\n";
    configure(dir.path(), "", old);
    succeed(dir.path(), &TRAIN);
    let expected = outcome(&dir.path().join("exp"));
    fs::remove_dir_all(dir.path().join("exp")).unwrap();
    succeed(dir.path(), &train("20"));
    let conf = dir.path().join("exp/conf.toml");
    let front_end = |text: String| text.replace("[data]\n", "[data]\nfront_end = \"mfcc.toml\"\n");
    fs::write(&conf, front_end(fs::read_to_string(&conf).unwrap())).unwrap();
    configure(dir.path(), "front_end = \"mfcc.toml\"\n", "");
    succeed(dir.path(), &RESUME);
    assert!(subtracts(dir.path(), "exp"));
    assert_same(&outcome(&dir.path().join("exp")), &expected);
    // And so does a run that begins from it.
    succeed(
        dir.path(),
        &["train", "--init", "exp", "--exp", "tuned", "--steps", "1"],
    );
    assert!(subtracts(dir.path(), "tuned"));
}

#[test]
fn recognisers_mask_bands_of_log_spectra_alone() {
    let dir = workplace(20);
    let asr = |exp: &'static str, more: &[&'static str]| {
        let args = [
            "asr",
            "train",
            "train",
            "--device=cpu",
            "--steps=1",
            "--batch=4",
            "--exp",
            exp,
        ];
        [&args[..], more].concat()
    };
    for (exp, more, share) in [
        ("mel", &[][..], "0.2"),
        ("states", &["--feature-type=hidden_states"], "0.0"),
    ] {
        succeed(dir.path(), &asr(exp, more));
        let conf = fs::read_to_string(dir.path().join(exp).join("conf.toml")).unwrap();
        assert!(conf.contains(&format!("mask_share = {share}\n")), "{conf}");
    }
    let conf = fs::read_to_string(dir.path().join("states/conf.toml")).unwrap();
    put(
        &dir.path().join("own.toml"),
        conf.replace("mask_share = 0.0", "mask_share = 0.1"),
    );
    let error = fail(dir.path(), &["train", "--conf=own.toml", "--exp=new"], b"");
    assert!(
        error.contains("method.mask_share: expected 0 with features of type hidden_states"),
        "{error}"
    );
}

#[test]
fn stored_features_are_warped_and_masked_only_where_they_are_wide_enough_and_not_too_wide() {
    let (narrow, wide) = (workplace(20), workplace(300));
    let augment = [
        "feats",
        "augment",
        "--conf=a.toml",
        "scp:train/feats.scp",
        "ark:out.ark",
    ];
    for (dir, conf, expected) in [
        (
            &narrow,
            "[spec_augment]\nfreq_width = 21\n",
            "a.toml: s00-u000: spec_augment.freq_width: expected at most 20, the bins of the features, found 21",
        ),
        (
            &wide,
            "[vtlp]\nmin = 0.9\n",
            "a.toml: s00-u000: vtlp: bins of the features: expected 1 to 256, found 300",
        ),
    ] {
        put(&dir.path().join("a.toml"), conf);
        let error = fail(dir.path(), &augment, b"");
        assert!(error.contains(expected), "{error}");
        assert!(!dir.path().join("out.ark").exists());
    }
}
