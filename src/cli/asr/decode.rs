//! `unbraid asr decode`: features to text.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::recognition::RecognitionArgs;
use crate::dataset::labels::Labels;
use crate::eval::asr::{Arpa, Language, Search, Spelling};

/// Write recognised words, characters or phones, in the format of Kaldi's text.
///
/// Decoding is greedy without --beam: the best label per frame. With --beam, prefix beam search sums over the alignments
/// of each string (Hannun et al. 2014). --lm adds a back-off language model in ARPA format, of words or of phones. An
/// utterance that fails is reported and left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid asr decode scp:z_test.scp --exp exp/asr_z --out exp/asr_z/hyp
  unbraid asr decode scp:z_test.scp --exp exp/asr_z --out exp/asr_z/hyp_lm \\
    --beam 16 --lm data/lm/words.3.arpa.gz --lm-weight 0.7 --word-bonus 0.5

Choose --lm-weight and --word-bonus on a development set, never on the test set.")]
pub(super) struct DecodeArgs {
    #[command(flatten)]
    recognition: RecognitionArgs,

    /// Beam width in prefixes; greedy decoding by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    beam: Option<u16>,

    /// Language model in ARPA format, plain or .gz
    #[arg(long, value_name = "FILE", requires = "beam")]
    lm: Option<PathBuf>,

    /// Weight of the language model's log-probabilities
    #[arg(long, value_name = "X", requires = "lm", default_value_t = 0.5)]
    lm_weight: f64,

    /// Bonus per word in nats, against the language model's bias to short strings
    #[arg(
        long,
        value_name = "NATS",
        requires = "lm",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    word_bonus: f64,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; and when utterances failed.
pub(super) fn run(args: &DecodeArgs) -> anyhow::Result<()> {
    let loaded = args.recognition.load()?;
    let names = &loaded.info.inventory.labels;
    let search = search(args, loaded.labels, names)?;
    args.recognition.write_each(&loaded, |utterance, scores| {
        let string = search.string(&scores.outputs);
        let found: Vec<&str> = string.into_iter().map(|label| &names[label][..]).collect();
        let line = format!("{utterance} {}", loaded.labels.join(&found));
        Ok(format!("{}\n", line.trim_end()))
    })
}

fn search(args: &DecodeArgs, labels: Labels, names: &[String]) -> anyhow::Result<Search> {
    let Some(beam) = args.beam else {
        return Ok(Search::Greedy);
    };
    for (name, value) in [
        ("--lm-weight", args.lm_weight),
        ("--word-bonus", args.word_bonus),
    ] {
        if !value.is_finite() {
            bail!("{name}: expected a finite number, found {value}");
        }
    }
    let language = match &args.lm {
        None => None,
        Some(path) => {
            let spelling = match labels {
                Labels::CharacterSequence => Spelling::Characters,
                _ => Spelling::Words,
            };
            let weights = (args.lm_weight, args.word_bonus);
            Some(Language::new(Arpa::read(path)?, names, spelling, weights)?)
        }
    };
    Ok(Search::Prefixes {
        beam: beam.into(),
        language,
    })
}
