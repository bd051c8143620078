//! Whether a finished run looks right, and what to look at next, by its log alone.
//!
//! Each check compares a run with itself or with a natural scale (a nat, the value at the start, no variance at all), not with
//! other runs. A run that passes may still be of no use: only probes on held-out utterances tell.

use std::collections::BTreeSet;
use std::fmt;

use super::log::LogLine;

/// The most lines of a verdict.
const MOST_LINES: usize = 3;
/// How much codes vary; every method that separates speech logs it.
const CODE_DEVIATION: &str = "phonetic_encoder/deviation";
/// Share of the logged lines, at the end, whose mean is the outcome.
const OUTCOME_SHARE: usize = 4;
/// Nats by which an adversary is surer of its training batches than of the validation set: a factor of e in probability.
const OVERFITTED_NATS: f64 = 1.0;
/// How many times as often it is right there.
const OVERFITTED_RATIO: f64 = 2.0;
/// Codes with less than this share of their greatest deviation are constant.
const COLLAPSED_SHARE: f64 = 0.01;
/// Codebook entries in use: 1 is a single code.
const COLLAPSED_PERPLEXITY: f64 = 1.5;
/// A measure of content above this share of its first value is no better: batches differ by some per cent.
const NO_BETTER_SHARE: f64 = 0.95;
/// The same after training began from a good model, where it is to be no worse.
const WORSE_SHARE: f64 = 1.1;
/// Share of a run's progress that still came in its last quarter.
const IMPROVING_SHARE: f64 = 0.1;
/// Lines of log on training batches that are too few to see anything.
const FEW_LINES: usize = 8;
/// Validations that are too few to see a trend.
const FEW_VALIDATIONS: usize = 4;

/// What a log does not hold.
#[derive(Debug, Clone, Copy)]
pub struct RunFacts<'a> {
    /// Number of steps of the whole run.
    pub steps: u64,
    /// Steps between validations; 0 never validates.
    pub validate_every: u64,
    /// The validation term that selects `best`.
    pub select: &'a str,
    /// First step that can become `best`.
    pub select_after: u64,
    /// Step of the checkpoint `best`.
    pub best: Option<u64>,
    /// Whether the run began from another experiment's weights, so that its start is no bad value.
    pub is_fine_tuning: bool,
}

/// One thing that does not look right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A term is not a number.
    NotFinite(String),
    /// The run ended at a step before its last.
    Unfinished(u64, u64),
    /// Codes do not vary.
    Collapsed(String),
    /// A measure of content is no better than at the start.
    ContentLost(String),
    /// An adversary knows its training utterances by heart.
    Overfitted(String),
    /// No checkpoint became `best`.
    NoBest(String),
    /// The selected term still falls.
    Improving(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::NotFinite(what) => write!(
                f,
                "not a number: {what}; next: a lower learning rate of that module"
            ),
            Self::Unfinished(step, steps) => write!(
                f,
                "not finished: step {step} of {steps}; next: go on with --resume, or see the error that ended it"
            ),
            Self::Collapsed(what) => write!(
                f,
                "collapsed codes: {what}; next: a wider bottleneck, a lower adversarial weight or learning rate"
            ),
            Self::ContentLost(what) => write!(
                f,
                "content lost: {what}; next: weights of reconstruction and labels against those of adversaries"
            ),
            Self::Overfitted(what) => write!(
                f,
                "overfitted adversary: {what}; next: a smaller or slower adversary, dropout, more data"
            ),
            Self::NoBest(why) => write!(f, "no checkpoint is best: {why}"),
            Self::Improving(what) => write!(
                f,
                "still improving: {what}; next: --resume with a larger --steps"
            ),
        }
    }
}

/// The verdict in lines, at most three: what does not look right, the most serious first; or that all does. Methods without
/// phonetic codes are never said to look right, nor their content to be lost: the losses of a generator show neither.
pub fn lines(log: &[LogLine], facts: &RunFacts) -> Vec<String> {
    let findings = findings(log, facts);
    let only_hints =
        |finding: &Finding| matches!(finding, Finding::Improving(_) | Finding::NoBest(_));
    let mut lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let curves = Curves(log);
    if curves.are_of_codes() && findings.iter().all(only_hints) {
        let looks = match curves.lines() {
            few @ ..FEW_LINES => {
                format!("too short to judge (log lines: {few}); next: more steps, or a smaller train.log_every")
            }
            _ => "looks right by its log; next: unbraid report, then probes on speakers that it has not seen".into(),
        };
        lines.insert(0, looks);
    }
    lines.truncate(MOST_LINES);
    lines
}

/// What does not look right, the most serious first.
pub fn findings(log: &[LogLine], facts: &RunFacts) -> Vec<Finding> {
    let curves = Curves(log);
    let checks = [not_finite(log), unfinished(log, facts), collapsed(&curves)];
    let found = checks.into_iter().flatten();
    let is_judged = curves.are_of_codes() && curves.lines() >= FEW_LINES;
    let judged = content_lost(&curves, facts)
        .into_iter()
        .chain(overfitted(&curves))
        .filter(|_| is_judged);
    found
        .chain(judged)
        .chain(no_best(&curves, facts))
        .chain(improving(&curves, facts))
        .collect()
}

/// Values of a log by split and name.
struct Curves<'a>(&'a [LogLine]);

impl Curves<'_> {
    /// Whether the run has phonetic codes beside a speaker encoder.
    fn are_of_codes(&self) -> bool {
        !self.of("train", CODE_DEVIATION).is_empty()
    }

    /// Number of lines on training batches.
    fn lines(&self) -> usize {
        self.0.iter().filter(|line| line.split == "train").count()
    }

    fn of(&self, split: &str, name: &str) -> Vec<f64> {
        let lines = self.0.iter().filter(|line| line.split == split);
        lines
            .filter_map(|line| line.values.get(name).copied())
            .collect()
    }

    fn names(&self, ending: &str) -> BTreeSet<&str> {
        let names = self.0.iter().flat_map(|line| line.values.keys());
        names
            .map(String::as_str)
            .filter(|name| name.ends_with(ending))
            .collect()
    }

    fn outcome(&self, split: &str, name: &str) -> Option<f64> {
        outcome(&self.of(split, name))
    }
}

/// The mean of the last quarter.
fn outcome(values: &[f64]) -> Option<f64> {
    let last = values.len().div_ceil(OUTCOME_SHARE);
    let last = &values[values.len() - last..];
    (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
}

fn not_finite(log: &[LogLine]) -> Option<Finding> {
    log.iter().find_map(|line| {
        let (name, value) = line.values.iter().find(|(_, value)| !value.is_finite())?;
        let (step, split) = (line.step, &line.split);
        Some(Finding::NotFinite(format!(
            "{split} {name} is {value} at step {step}"
        )))
    })
}

fn unfinished(log: &[LogLine], facts: &RunFacts) -> Option<Finding> {
    let (step, steps) = (log.last()?.step, facts.steps);
    (step < steps).then_some(Finding::Unfinished(step, steps))
}

fn collapsed(curves: &Curves) -> Option<Finding> {
    let name = CODE_DEVIATION;
    let deviations = curves.of("train", name);
    let most = deviations.iter().copied().fold(0.0, f64::max);
    if let Some(last) = outcome(&deviations)
        && last <= COLLAPSED_SHARE * most
    {
        return Some(Finding::Collapsed(format!(
            "{name} {last:.2e}, {most:.2e} at its greatest"
        )));
    }
    let name = "phonetic_encoder/codebook_perplexity";
    let perplexity = curves.outcome("train", name)?;
    (perplexity < COLLAPSED_PERPLEXITY)
        .then(|| Finding::Collapsed(format!("{name} {perplexity:.2}, 1 is a single code")))
}

/// Measures of content on training batches, which are logged from the start.
fn content_lost(curves: &Curves, facts: &RunFacts) -> Option<Finding> {
    let names = [
        "decoder/reconstruction",
        "label_head/cross_entropy",
        "label_head/ctc",
    ];
    names.into_iter().find_map(|name| {
        let values = curves.of("train", name);
        let (first, last) = (*values.first()?, outcome(&values)?);
        // What was learned before is lost only if it becomes worse.
        let share = match facts.is_fine_tuning {
            true => WORSE_SHARE,
            false => NO_BETTER_SHARE,
        };
        (last >= share * first)
            .then(|| Finding::ContentLost(format!("{name} {last:.3}, {first:.3} at the start")))
    })
}

fn overfitted(curves: &Curves) -> Option<Finding> {
    let names = curves.names("/cross_entropy").into_iter();
    let adversaries = names.filter(|name| name.starts_with("speaker_adversary"));
    adversaries.filter_map(|name| {
        let accuracy = name.replace("/cross_entropy", "/accuracy");
        let train = curves.outcome("train", name)?;
        let valid = curves.outcome("valid", name)?;
        let right = (curves.outcome("train", &accuracy)?, curves.outcome("valid", &accuracy)?);
        // A validation set without training speakers has no loss.
        let is_measured = valid > 0.0;
        let is_overfitted =
            valid - train > OVERFITTED_NATS && right.0 > OVERFITTED_RATIO * right.1;
        (is_measured && is_overfitted).then(|| {
            Finding::Overfitted(format!(
                "{name} {train:.2} nats in training, {valid:.2} on the validation set ({:.0} and {:.0} % right)",
                100.0 * right.0,
                100.0 * right.1
            ))
        })
    })
    .next()
}

fn no_best(curves: &Curves, facts: &RunFacts) -> Option<Finding> {
    if facts.best.is_some() {
        return None;
    }
    let never_found = curves.of("train", "label_head/steps_since_found").last() == Some(&0.0);
    let validated: Vec<u64> = (curves.0.iter())
        .filter(|line| line.split == "valid")
        .map(|line| line.step)
        .collect();
    Some(Finding::NoBest(match validated.last() {
        _ if facts.validate_every == 0 => "train.validate_every is 0".into(),
        None => "no validation set (data.valid)".into(),
        Some(_) if never_found => {
            "the label loss never stayed below method.adversary_start_below_label_loss".into()
        }
        Some(&last) if last < facts.select_after => format!(
            "train.select_after is {}, and the last validation was at step {last}",
            facts.select_after
        ),
        Some(last) => format!("the loss lacked terms until the last validation at step {last}"),
    }))
}

fn improving(curves: &Curves, facts: &RunFacts) -> Option<Finding> {
    let counted = curves
        .0
        .iter()
        .filter(|line| line.split == "valid" && line.step >= facts.select_after);
    let values: Vec<f64> = counted
        .filter_map(|line| line.values.get(facts.select).copied())
        .collect();
    if values.len() < FEW_VALIDATIONS {
        return None;
    }
    let (first, last) = (values[0], values[values.len() - 1]);
    let before = values[values.len() - 1 - values.len() / OUTCOME_SHARE];
    let is_lowest = values.iter().all(|&value| value >= last);
    (is_lowest && before - last > IMPROVING_SHARE * (first - last)).then(|| {
        Finding::Improving(format!(
            "valid {} {last:.3}, {before:.3} a quarter of the validations earlier",
            facts.select
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Split, name, and the value at a share of the run.
    type Term = (&'static str, &'static str, fn(f64) -> f64);

    /// A run of 40 steps with a log line each and a validation each fourth step; `value` gives a term at a share of the run.
    fn log(terms: &[Term]) -> Vec<LogLine> {
        let line = |step: u64, split: &str| LogLine {
            step,
            split: split.into(),
            seconds: 0.0,
            values: (terms.iter())
                .filter(|(of, ..)| *of == split)
                .map(|(_, name, value)| (name.to_string(), value((step - 1) as f64 / 39.0)))
                .collect(),
        };
        (1..=40)
            .flat_map(|step| {
                let valid = step % 4 == 0 && terms.iter().any(|(of, ..)| *of == "valid");
                [
                    Some(line(step, "train")),
                    valid.then(|| line(step, "valid")),
                ]
            })
            .flatten()
            .collect()
    }

    fn found(log: &[LogLine], best: Option<u64>) -> Vec<Finding> {
        findings(log, &facts(best))
    }

    fn facts(best: Option<u64>) -> RunFacts<'static> {
        RunFacts {
            steps: 40,
            validate_every: 4,
            select: "loss",
            select_after: 0,
            best,
            is_fine_tuning: false,
        }
    }

    /// A good run.
    fn good() -> Vec<Term> {
        vec![
            ("train", "decoder/reconstruction", |at| {
                1.0 - 0.5 * at.sqrt()
            }),
            ("valid", "decoder/reconstruction", |at| {
                1.0 - 0.48 * at.sqrt()
            }),
            ("train", "label_head/cross_entropy", |at| 3.0 - 2.0 * at),
            ("train", "phonetic_encoder/deviation", |at| 0.4 + 0.2 * at),
            ("train", "speaker_adversary/cross_entropy", |at| {
                2.6 + 0.4 * at
            }),
            ("train", "speaker_adversary/accuracy", |_| 0.10),
            ("valid", "speaker_adversary/cross_entropy", |_| 3.2),
            ("valid", "speaker_adversary/accuracy", |_| 0.08),
            ("valid", "loss", |at| 2.0 + (1.0 - at).powi(4)),
        ]
    }

    /// The good run with another value for one term.
    fn but(split: &'static str, name: &'static str, value: fn(f64) -> f64) -> Vec<LogLine> {
        let mut terms = good();
        terms.retain(|(of, term, _)| (*of, *term) != (split, name));
        terms.push((split, name, value));
        log(&terms)
    }

    #[test]
    fn a_good_run_looks_right_in_one_line() {
        let log = log(&good());
        assert_eq!(found(&log, Some(40)), []);
        let lines = lines(&log, &facts(Some(40)));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("looks right"), "{lines:?}");
    }

    #[test]
    fn a_few_lines_are_no_verdict() {
        let mut log = but("train", "decoder/reconstruction", |_| 1.0);
        log.truncate(4);
        let facts = RunFacts {
            steps: 4,
            ..facts(Some(4))
        };
        let lines = lines(&log, &facts);
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].starts_with("too short to judge (log lines: 4)"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_generator_is_judged_by_no_loss() {
        let terms: [Term; 2] = [
            ("train", "decoder/reconstruction", |at| 1.0 + at),
            ("valid", "loss", |_| 1.0),
        ];
        assert_eq!(lines(&log(&terms), &facts(Some(40))), [""; 0]);
        let mut log = log(&terms);
        log[0]
            .values
            .insert("decoder/reconstruction".into(), f64::NAN);
        assert_eq!(lines(&log, &facts(Some(40))).len(), 1);
    }

    #[test]
    fn a_term_that_is_not_a_number_is_named() {
        let log = but("train", "loss", |at| if at < 0.9 { 1.0 } else { f64::NAN });
        let expected = Finding::NotFinite("train loss is NaN at step 37".into());
        assert_eq!(found(&log, Some(40)), [expected]);
    }

    #[test]
    fn a_run_that_ended_early_is_named() {
        let mut log = log(&good());
        log.retain(|line| line.step <= 30);
        assert_eq!(found(&log, Some(28))[0], Finding::Unfinished(30, 40));
    }

    #[test]
    fn codes_that_do_not_vary_are_collapsed() {
        let log = but("train", "phonetic_encoder/deviation", |at| {
            if at < 0.5 { 0.5 } else { 1e-4 }
        });
        let found_ = found(&log, Some(40));
        assert!(
            matches!(&found_[..], [Finding::Collapsed(what)] if what.contains("1.00e-4")),
            "{found_:?}"
        );
        let log = but("train", "phonetic_encoder/codebook_perplexity", |at| {
            1.1 + 20.0 * (1.0 - at).powi(8)
        });
        assert!(matches!(found(&log, Some(40))[..], [Finding::Collapsed(_)]));
        // From the start.
        let log = but("train", "phonetic_encoder/deviation", |_| 0.0);
        assert!(matches!(found(&log, Some(40))[..], [Finding::Collapsed(_)]));
    }

    #[test]
    fn content_that_is_no_better_than_at_the_start_is_lost() {
        for name in [
            "decoder/reconstruction",
            "label_head/cross_entropy",
            "label_head/ctc",
        ] {
            let log = but("train", name, |at| 3.0 + 0.1 * at);
            let found = found(&log, Some(40));
            assert!(
                matches!(&found[..], [Finding::ContentLost(what)] if what.contains(name)),
                "{found:?}"
            );
        }
        // A model that was good before need not become better.
        let log = but("train", "label_head/cross_entropy", |at| 1.0 + 0.05 * at);
        let tuned = RunFacts {
            is_fine_tuning: true,
            ..facts(Some(40))
        };
        assert_eq!(findings(&log, &tuned), []);
    }

    #[test]
    fn an_adversary_that_knows_only_its_batches_is_overfitted() {
        let mut terms = good();
        terms.retain(|(_, name, _)| !name.starts_with("speaker_adversary"));
        let overfitted: [Term; 4] = [
            ("train", "speaker_adversary/cross_entropy", |at| {
                3.0 - 2.5 * at
            }),
            ("train", "speaker_adversary/accuracy", |at| at),
            ("valid", "speaker_adversary/cross_entropy", |at| 3.0 + at),
            ("valid", "speaker_adversary/accuracy", |_| 0.2),
        ];
        terms.extend(overfitted);
        assert!(matches!(
            found(&log(&terms), Some(40))[..],
            [Finding::Overfitted(_)]
        ));
        // Codes that leak are no overfitting, nor is a validation set of other speakers.
        for (valid, right) in [(0.6f64, 0.9f64), (0.0, 0.0)] {
            let mut log = log(&terms);
            for line in log.iter_mut().filter(|line| line.split == "valid") {
                line.values
                    .insert("speaker_adversary/cross_entropy".into(), valid);
                line.values
                    .insert("speaker_adversary/accuracy".into(), right);
            }
            assert_eq!(found(&log, Some(40)), []);
        }
    }

    #[test]
    fn a_missing_best_has_its_reason() {
        let reason = |log: &[LogLine], change: fn(&mut RunFacts)| {
            let mut facts = facts(None);
            change(&mut facts);
            match &findings(log, &facts)[..] {
                [Finding::NoBest(why)] => why.clone(),
                other => panic!("{other:?}"),
            }
        };
        let all = log(&good());
        assert_eq!(
            reason(&all, |facts| facts.validate_every = 0),
            "train.validate_every is 0"
        );
        assert_eq!(
            reason(&all, |facts| facts.select_after = 99),
            "train.select_after is 99, and the last validation was at step 40"
        );
        let unfound = but("train", "label_head/steps_since_found", |_| 0.0);
        assert!(reason(&unfound, |_| {}).starts_with("the label loss never stayed below"));
        let mut unvalidated = log(&good());
        unvalidated.retain(|line| line.split == "train");
        assert_eq!(
            reason(&unvalidated, |_| {}),
            "no validation set (data.valid)"
        );
    }

    #[test]
    fn a_loss_that_still_falls_is_improving() {
        let log = but("valid", "loss", |at| 4.0 - at);
        assert!(matches!(found(&log, Some(40))[..], [Finding::Improving(_)]));
        let lines = lines(&log, &facts(Some(40)));
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("looks right") && lines[1].starts_with("still improving"));
    }

    #[test]
    fn a_verdict_has_three_lines_at_most() {
        let mut terms = good();
        terms.retain(|(_, name, _)| {
            !name.contains("decoder") && *name != "loss" && !name.contains("deviation")
        });
        let broken: [Term; 4] = [
            ("train", "decoder/reconstruction", |at| 1.0 + at),
            ("train", "phonetic_encoder/deviation", |_| 0.0),
            ("valid", "loss", |at| 4.0 - at),
            ("train", "loss", |_| f64::INFINITY),
        ];
        terms.extend(broken);
        let lines = lines(&log(&terms), &facts(None));
        assert_eq!(lines.len(), 3);
        let starts = ["not a number", "collapsed codes", "content lost"];
        assert!(
            lines
                .iter()
                .zip(starts)
                .all(|(line, start)| line.starts_with(start)),
            "{lines:?}"
        );
    }
}
