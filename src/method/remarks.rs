//! What the options and the data of a speech run make of each other: refused where nothing can come of it, told in a line on
//! standard error where less comes of it than was asked for.

use super::config::{Config, MethodOptions};
use super::disentangle::DisentangleOptions;
use crate::dataset::batch::SpeechCorpus;
use crate::dataset::labels::NO_LABEL;
use crate::dataset::sampler::{Population, SamplerOptions};
use crate::error::{Error, Result};
use crate::io::message::message;

/// The data of a run.
#[derive(Debug)]
pub(super) struct RunData<'a> {
    /// What is learned from.
    pub train: &'a SpeechCorpus,
    /// What is validated on.
    pub valid: Option<&'a SpeechCorpus>,
    /// What batches are drawn from.
    pub population: &'a Population,
    /// Speakers of the training set.
    pub speakers: usize,
    /// Bins of the features.
    pub bins: usize,
}

/// Holds options against data.
///
/// # Errors
/// [`Error::Option`] or [`Error::Format`] for what no sensible training can come of.
pub(super) fn check(config: &Config, data: &RunData) -> Result<()> {
    if let MethodOptions::Disentangle(options) = &config.method {
        check_disentangle(options, config.data.sampler, data)?;
    }
    tell_left_out(data);
    tell_repeats(config.data.sampler, data);
    if let Some(valid) = data.valid {
        tell_unknown(valid, "speakers", valid.speakers());
        tell_unknown(valid, "texts", valid.words().unwrap_or_default());
    }
    Ok(())
}

fn check_disentangle(
    options: &DisentangleOptions,
    sampler: SamplerOptions,
    data: &RunData,
) -> Result<()> {
    if data.speakers < 2 {
        let expected = "at least 2 speakers, for something to be kept apart";
        return Err(Error::format(
            data.train.path(),
            expected,
            data.speakers.to_string(),
        ));
    }
    if options.perturb.mask_bins > data.bins as i64 {
        let expected = format!("at most {}, the bins of the features", data.bins);
        let found = options.perturb.mask_bins.to_string();
        return Err(Error::option("method.perturb.mask_bins", expected, found));
    }
    match sampler {
        SamplerOptions::Speakers { speakers: 1, .. } if !options.adversaries.is_empty() => {
            let expected = "at least 2 with a speaker adversary, which learns nothing from one";
            Err(Error::option("data.sampler.speakers", expected, "1"))
        }
        _ => Ok(()),
    }
}

/// Says what `data.max_frames` leaves out of training.
fn tell_left_out(data: &RunData) {
    let (all, drawn) = (data.train.len(), data.population);
    let utterances = data.train.drawn().len() - drawn.utterances.len();
    let silent = data.speakers - drawn.by_speaker.len();
    if utterances > 0 {
        message(format_args!(
            "{}: {utterances} of {all} utterances are longer than data.max_frames and are not learned from, which \
             leaves {silent} of {} speakers with less than two",
            data.train.path().display(),
            data.speakers,
        ));
    }
}

/// Says that a batch holds utterances several times.
fn tell_repeats(sampler: SamplerOptions, data: &RunData) {
    let counts = data.population.by_speaker.iter().map(Vec::len);
    let most = counts.max().unwrap_or(0);
    if let SamplerOptions::Speakers { utterances, .. } = sampler
        && utterances > most
    {
        message(format_args!(
            "unbraid: data.sampler.utterances: {utterances}, but no speaker of {} has more than {most}: batches hold some \
             several times",
            data.train.path().display(),
        ));
    }
}

/// Says how many utterances have something that training lacks.
fn tell_unknown(valid: &SpeechCorpus, what: &str, numbers: &[i64]) {
    let unknown = numbers.iter().filter(|&&number| number == NO_LABEL).count();
    if unknown > 0 {
        message(format_args!(
            "unbraid: {}: {unknown} of {} utterances have {what} that data.train lacks: terms of {what} leave them out",
            valid.path().display(),
            valid.len(),
        ));
    }
}
