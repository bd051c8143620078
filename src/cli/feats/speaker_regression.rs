//! `unbraid feats speaker-regression`: features and speaker embeddings to a linear map.

use clap::Args;
use ndarray::Array2;

use super::speaker_embeddings::SpeakerArgs;
use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::eval::speaker_regression::SpeakerRegression;
use crate::io::kaldi::{ReadOptions, TableReader, TableWriter};

/// The key of the map in its archive.
pub(super) const KEY: &str = "global";

/// Fit a linear regression of features on speaker embeddings.
///
/// The map is that of least squares over all frames (Eta-WavLM, Ruggiero et al. 2025), for 'feats subtract-speaker'. It is one matrix under the key 'global': a row
/// for each value of an embedding, and the constant in the last row. Any utterance without an embedding is an error.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats speaker-regression --embeddings scp:ecapa/train.scp \\
    --components 128 scp:wavlm/train.scp ark:wavlm/speaker.ark
  unbraid feats subtract-speaker --embeddings scp:ecapa/test.scp \\
    ark:wavlm/speaker.ark scp:wavlm/test.scp ark,scp:eta/test.ark,eta/test.scp
  unbraid feats speaker-regression --embeddings scp:spk_xvector.scp \\
    --utt2spk data/train/utt2spk scp:wavlm/train.scp ark:wavlm/speaker.ark

Embeddings are those of 'extract --output speaker' or of any other program. The
paper takes hidden states of WavLM, and 128 principal components of ECAPA-TDNN.")]
pub(super) struct SpeakerRegressionArgs {
    /// Features to read, as scp:feats.scp
    #[arg(value_name = "RSPECIFIER")]
    from: String,

    /// Archive to write, as ark:speaker.ark
    #[arg(value_name = "WSPECIFIER")]
    to: String,

    #[command(flatten)]
    speakers: SpeakerArgs,

    /// Use the N principal components of the embeddings with the most variance over frames; 0 uses all
    #[arg(long, value_name = "N", default_value_t = 0)]
    components: usize,

    /// Run commands in specifiers and lists ('command |' and '| command')
    #[arg(long)]
    allow_pipes: bool,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with features or embeddings, or the place to write to; then nothing is written.
pub(super) fn run(args: &SpeakerRegressionArgs) -> anyhow::Result<()> {
    let embeddings = args.speakers.read()?;
    let options = ReadOptions {
        allow_pipes: args.allow_pipes,
    };
    let reader = TableReader::<Array2<f32>>::open_with(&args.from, options)?;
    let mut writer = TableWriter::<Array2<f64>>::create(&args.to)?;
    let (progress, mut failures) = (counter("utterances"), Failures::default());
    let (mut regression, mut total) = (None, 0);
    for entry in reader {
        let (utterance, feats) = entry?;
        let regression = regression
            .get_or_insert_with(|| SpeakerRegression::new(embeddings.dim(), feats.ncols()));
        let observed = (embeddings.of(&utterance))
            .and_then(|embedding| regression.observe(feats.view(), embedding));
        if let Err(error) = observed {
            failures.add(&utterance, &error, &progress);
        }
        total += 1;
        progress.inc(1);
    }
    progress.finish_and_clear();
    failures.into_result(total, "utterances")?;
    let regression = regression.unwrap_or_else(|| SpeakerRegression::new(embeddings.dim(), 1));
    writer.write(KEY, &regression.solve(args.components)?)?;
    Ok(writer.finish()?)
}
