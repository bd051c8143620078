//! Commands that make something of each utterance's features: the arguments and the loop that they share.

use clap::Args;
use ndarray::Array2;

use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::error::Result;
use crate::io::kaldi::{
    Compression, KaldiObject, ReadFrom, ReadOptions, ReadSpecifier, TableReader, TableWriter,
    WriteOptions,
};

/// What is read and written.
#[derive(Debug, Args)]
pub(super) struct FeatureArgs {
    /// Features to read, as scp:feats.scp
    #[arg(value_name = "RSPECIFIER")]
    from: String,

    /// Archive to write, as ark,scp:out.ark,out.scp
    #[arg(value_name = "WSPECIFIER")]
    to: String,

    /// Compress the matrices, with loss, in the format that Kaldi chooses
    #[arg(long)]
    compress: bool,

    /// Run commands in specifiers and lists ('command |' and '| command')
    #[arg(long)]
    allow_pipes: bool,
}

impl FeatureArgs {
    /// What reading may do, for other tables of the same command.
    pub(super) fn read_options(&self) -> ReadOptions {
        ReadOptions {
            allow_pipes: self.allow_pipes,
        }
    }

    /// [`FeatureMap::run`] with these arguments.
    ///
    /// # Errors
    /// As [`FeatureMap::run`].
    pub(super) fn map(
        &self,
        work: impl FnMut(&str, Array2<f32>) -> Result<Array2<f32>>,
    ) -> anyhow::Result<()> {
        let map = FeatureMap {
            from: &self.from,
            to: &self.to,
            compress: self.compress,
            allow_pipes: self.allow_pipes,
        };
        map.run(work)
    }
}

/// A table of features, and what is made of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct FeatureMap<'a> {
    /// Read specifier of the features
    pub from: &'a str,
    /// Write specifier of the results
    pub to: &'a str,
    /// Whether the results, matrices then, are written compressed.
    pub compress: bool,
    /// Whether commands may run.
    pub allow_pipes: bool,
}

impl FeatureMap<'_> {
    /// Writes `work` of each utterance. One that fails, or that a list names and that cannot be read, is reported and
    /// left out, and the others go on; an archive that breaks off ends it all.
    ///
    /// # Errors
    /// What is wrong with archives, lists or the place to write to: then nothing is written. At the end the
    /// utterances that failed; without one that succeeded nothing is written either.
    pub(super) fn run<T: KaldiObject>(
        &self,
        mut work: impl FnMut(&str, Array2<f32>) -> Result<T>,
    ) -> anyhow::Result<()> {
        let allow_pipes = self.allow_pipes;
        let listed = !matches!(ReadSpecifier::parse(self.from)?.from, ReadFrom::Ark(_));
        let reader = TableReader::<Array2<f32>>::open_with(self.from, ReadOptions { allow_pipes })?;
        let options = WriteOptions {
            compression: self.compress.then_some(Compression::Auto),
            allow_pipes,
        };
        let mut writer = TableWriter::create_with(self.to, options)?;
        let progress = counter("utterances");
        let mut failures = Failures::default();
        let mut total = 0;
        for entry in reader {
            match entry {
                Ok((utterance, feats)) => match work(&utterance, feats) {
                    Ok(value) => writer.write(&utterance, &value)?,
                    Err(error) => failures.add(&utterance, &error, &progress),
                },
                Err(error) if listed => {
                    let key = error.entry().unwrap_or(self.from).to_string();
                    failures.add(&key, &error, &progress);
                }
                Err(error) => return Err(error.into()),
            }
            total += 1;
            progress.inc(1);
        }
        progress.finish_and_clear();
        if failures.count() < total || total == 0 {
            writer.finish()?;
        }
        failures.into_result(total, "utterances")
    }
}
