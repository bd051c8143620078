//! Checks of a speech run's options against its data. Combinations that cannot train are errors. Those that train with less
//! data than expected give a warning on standard error.

use super::config::{Config, MethodOptions};
use super::disentangle::DisentangleOptions;
use super::disentangle::speaker_adversary::{AdversaryInput, SpeakerAdversaryOptions};
use crate::dataset::corpus::SpeechCorpus;
use crate::dataset::labels::NO_LABEL;
use crate::dataset::sampler::{Population, SamplerOptions};
use crate::error::{Error, Result};

/// The data of a run.
#[derive(Debug)]
pub(super) struct RunData<'a> {
    /// Training set.
    pub train: &'a SpeechCorpus,
    /// Validation set.
    pub valid: Option<&'a SpeechCorpus>,
    /// Utterances that batches are drawn from.
    pub population: &'a Population,
    /// Number of training speakers.
    pub speakers: usize,
}

/// Checks options against data.
///
/// # Errors
/// [`Error::Option`] or [`Error::Format`] for combinations that cannot train.
pub(super) fn check(config: &Config, data: &RunData) -> Result<()> {
    if let MethodOptions::Disentangle(options) = &config.method {
        check_disentangle(options, config.data.sampler, data)?;
    }
    warn_left_out(data);
    warn_repeats(config.data.sampler, data);
    if let Some(valid) = data.valid {
        warn_unknown(valid, "speakers", valid.speakers());
        warn_unknown(valid, "texts", valid.words().unwrap_or_default());
    }
    Ok(())
}

fn check_disentangle(
    options: &DisentangleOptions,
    sampler: SamplerOptions,
    data: &RunData,
) -> Result<()> {
    if data.speakers < 2 {
        let expected = "at least 2 speakers";
        return Err(Error::format(
            data.train.path(),
            expected,
            data.speakers.to_string(),
        ));
    }
    match (sampler, compares_speakers(options)) {
        (SamplerOptions::Speakers { speakers: 1, .. }, _) if !options.adversaries.is_empty() => {
            let expected = "at least 2 with a speaker adversary";
            Err(Error::option("data.sampler.speakers", expected, "1"))
        }
        (SamplerOptions::Utterances { .. } | SamplerOptions::Frames { .. }, Some(what)) => {
            let expected = format!("\"speakers\" with {what}");
            Err(Error::option("data.sampler.kind", expected, "another"))
        }
        _ => Ok(()),
    }
}

/// What compares several utterances of the speakers of a batch.
fn compares_speakers(options: &DisentangleOptions) -> Option<&'static str> {
    let enrols = |adversary: &SpeakerAdversaryOptions| adversary.input == AdversaryInput::Enrolment;
    if options.consistency.speaker_variance > 0.0 {
        Some("method.consistency.speaker_variance")
    } else if options.speaker_lda.is_some() {
        Some("method.speaker_lda")
    } else if options.adversaries.iter().any(enrols) {
        Some("an adversary of input = \"enrolment\"")
    } else {
        None
    }
}

/// Warns of utterances that `data.max_frames` leaves out of training.
fn warn_left_out(data: &RunData) {
    let (all, drawn) = (data.train.len(), data.population);
    let utterances = data.train.drawn().len() - drawn.utterances.len();
    let single = data.speakers - drawn.by_speaker.len();
    if utterances > 0 {
        log::warn!(
            "{}: {utterances} of {all} utterances are longer than data.max_frames and are left out, which leaves {single} \
             of {} speakers with fewer than two",
            data.train.path().display(),
            data.speakers,
        );
    }
}

/// Warns if batches contain utterances several times.
fn warn_repeats(sampler: SamplerOptions, data: &RunData) {
    let counts = data.population.by_speaker.iter().map(Vec::len);
    let most = counts.max().unwrap_or(0);
    if let SamplerOptions::Speakers { utterances, .. } = sampler
        && utterances > most
    {
        log::warn!(
            "data.sampler.utterances: {utterances}, but no speaker of {} has more than {most}: batches contain \
             some utterances several times",
            data.train.path().display(),
        );
    }
}

/// Warns of validation utterances with speakers or texts that do not occur in training.
fn warn_unknown(valid: &SpeechCorpus, what: &str, numbers: &[i64]) {
    let unknown = numbers.iter().filter(|&&number| number == NO_LABEL).count();
    if unknown > 0 {
        log::warn!(
            "{}: {unknown} of {} utterances have {what} that are not in data.train: losses over {what} leave them \
             out",
            valid.path().display(),
            valid.len(),
        );
    }
}
