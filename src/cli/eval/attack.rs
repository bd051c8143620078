//! `unbraid eval attack`: what is left of the speaker in a representation, as an attacker finds it.

use std::path::PathBuf;

use clap::Args;

use crate::cli::progress;
use crate::cli::result_files::ResultFiles;
use crate::error::Result;
use crate::eval::attack::encoder::EncoderOptions;
use crate::eval::attack::source::Source;
use crate::eval::attack::{AttackData, AttackOptions, Representation, attack};
use crate::io::kaldi::ReadSpecifier;
use crate::io::message::{message, output};
use crate::nn::speaker_encoder::SpeakerBackbone;
use crate::report::attack::{chart, comparison, summary, table};

/// Measure how well attackers find the speakers of a representation.
///
/// Attackers compare means of several utterances of the test speakers. They use statistics pooled over frames (mean; mean and
/// deviation; covariance), by cosine or by LDA and PLDA trained on the training speakers, and embeddings of a speaker encoder
/// trained on them. The attacker that is strongest on held-out training speakers is the headline. Random codes, words, phones
/// and durations are attacked too, where there are any.
///
/// Always include log-mel and speaker embeddings as representations: results mean little without them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid eval attack data/train data/test --out exp/a/attack \\
    --representation phonetic=exp/a/z_train.scp,exp/a/z_test.scp \\
    --representation log-mel=data/train/feats.scp,data/test/feats.scp

A representation is matrices, vectors or integer vectors (units): lists, or read
specifiers such as ark:z.ark or npy:DIR. TRAIN and TEST are data directories or
utt2spk files; they share no speaker. Words and phones are attacked where both
directories have text and ali.scp.

Metrics: identification rate; linkability and singling-out (Vauquier et al.
2025); ROCCH-EER; D_sys (Gomez-Barrero et al. 2018); ZEBRA (Nautsch et al.
2020); similarity rank disclosure (Backstrom et al. 2025); local identity
disclosure; eps_max; true positive rate at a false positive rate of 0.001.
Intervals are 95 % bootstrap intervals over test speakers.

--out NAME writes NAME.json (every attacker, every speaker), NAME.tsv (every
attacker) and NAME.svg (identification rate over utterances).")]
pub(super) struct AttackArgs {
    /// Data directory or utt2spk of the training speakers
    train: PathBuf,
    /// Data directory or utt2spk of the test speakers
    test: PathBuf,
    /// A representation: its name, and the features of both sets
    #[arg(long = "representation", value_name = "NAME=TRAIN,TEST", required = true, value_parser = parse_representation)]
    representations: Vec<Named>,
    /// Measure these trials of test utterances too
    #[arg(long, value_name = "FILE")]
    trials: Option<PathBuf>,
    /// Utterances averaged on each side; half of all is always added [default: those of 1, 3, 10 that there are]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    utterances: Vec<usize>,
    /// How often utterances are drawn
    #[arg(long, default_value_t = AttackOptions::default().draws)]
    draws: usize,
    /// Share of the training speakers on which the strongest attacker is chosen; at most 200 of them
    #[arg(long, default_value_t = AttackOptions::default().dev_share)]
    dev_share: f64,
    /// Seed of draws, held-out speakers and noise
    #[arg(long, default_value_t = AttackOptions::default().seed)]
    seed: u64,
    /// The representation of raw features: an encoder trained on it attacks others of as many values per frame
    #[arg(long, value_name = "NAME")]
    raw: Option<String>,
    /// Layers of trained encoders
    #[arg(long, value_name = "KIND", default_value = "tdnn")]
    encoder: SpeakerBackbone,
    /// Steps of training an encoder on each representation; 0 trains none
    #[arg(long, value_name = "N", default_value_t = EncoderOptions::default().steps)]
    encoder_steps: u64,
    /// Write PREFIX.json, PREFIX.tsv and PREFIX.svg
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

/// `NAME=TRAIN,TEST`.
#[derive(Debug, Clone)]
struct Named {
    name: String,
    train: String,
    test: String,
}

/// The comma may also stand in a specifier's options: the first that leaves a place on both sides counts.
fn parse_representation(text: &str) -> std::result::Result<Named, String> {
    let is_place = |text: &str| match text.contains(':') {
        true => ReadSpecifier::parse(text).is_ok(),
        false => !text.is_empty(),
    };
    let parsed = text.split_once('=').and_then(|(name, places)| {
        let mut commas = places
            .match_indices(',')
            .map(|(at, _)| (&places[..at], &places[at + 1..]));
        let (train, test) = commas.find(|(train, test)| is_place(train) && is_place(test))?;
        (!name.is_empty()).then(|| Named {
            name: name.into(),
            train: train.into(),
            test: test.into(),
        })
    });
    parsed.ok_or_else(|| "expected NAME=TRAIN,TEST".into())
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: AttackArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    let options = AttackOptions {
        utterances: args.utterances,
        draws: args.draws,
        dev_share: args.dev_share,
        seed: args.seed,
        encoder: EncoderOptions {
            backbone: args.encoder,
            steps: args.encoder_steps,
            ..EncoderOptions::default()
        },
    };
    options.check()?;
    let open = |named: &Named| {
        Ok(Representation {
            name: named.name.clone(),
            train: Source::open(&named.train)?,
            test: Source::open(&named.test)?,
        })
    };
    let data = AttackData {
        representations: args
            .representations
            .iter()
            .map(open)
            .collect::<Result<_>>()?,
        train: args.train,
        test: args.test,
        raw: args.raw,
        trials: args.trials,
    };
    let bar = progress::bar(0, "attacks");
    let report = attack(&data, &options, |name| {
        bar.inc(1);
        bar.set_message(name.to_string());
    })?;
    bar.finish_and_clear();
    if let Some(out) = &args.out {
        let files = ResultFiles::new(out, &report, &table(&report, true))?;
        files.with("svg", chart(&report).svg()).write()?;
    }
    for note in &report.notes {
        message(format_args!("unbraid: {note}"));
    }
    let headlines = table(&report, false);
    output(format_args!(
        "{headlines}\n{}{}",
        comparison(&report),
        summary(&report)
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_keep_their_own_commas() {
        for (given, train, test) in [
            ("a=x.scp,y.scp", "x.scp", "y.scp"),
            ("a=ark:x,ark,s,cs:y", "ark:x", "ark,s,cs:y"),
            ("a=ark,s:x,scp:y", "ark,s:x", "scp:y"),
        ] {
            let found = parse_representation(given).unwrap();
            assert_eq!(
                (
                    found.name.as_str(),
                    found.train.as_str(),
                    found.test.as_str()
                ),
                ("a", train, test)
            );
        }
        for wrong in ["a", "a=x", "=x,y", "a=,y", "a=x,", "a=b:x,c:y"] {
            assert!(parse_representation(wrong).is_err(), "{wrong}");
        }
    }
}
