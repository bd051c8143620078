//! `unbraid verify score`: trials scored by cosine or by a backend; EER, detection cost, DET curve.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::verification::print;
use crate::cli::arguments::ThreadArgs;
use crate::cli::progress::counter;
use crate::cli::result_files::ResultFiles;
use crate::error::{Error, Result};
use crate::eval::backend::{
    Backend, Cohort, Embeddings, EnrolmentTable, Models, Quality, SNorm, Tests, TrialCalibration,
    TrialScorer, score_trials,
};
use crate::eval::trials::{ScoredTrials, TrialForm, TrialReader};
use crate::io::atomic::{self, AtomicFile};
use crate::report::det::det_picture;
use crate::report::picture::PictureForm;

/// Trials from one update of the progress to the next.
const PROGRESS_STEP: u64 = 1 << 12;

/// Score speaker trials by cosine or by a trained backend: EER, minDCF and Cllr.
///
/// Trials have Kaldi's format, 'enrolment test target|nontarget' per line, or VoxCeleb's, '1|0 enrolment test'. The first
/// line decides. Embeddings are vectors.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid verify score --trials data/test/trials --scores exp/a/scores \\
    --out exp/a/eer scp:exp/a/s.scp
  unbraid verify score --trials data/test/trials scp:exp/a/spk.scp \\
    scp:exp/a/s.scp
  unbraid verify score --trials data/test/trials --backend exp/a/plda.json \\
    --enrol data/enrol/spk2utt scp:exp/a/s_enrol.scp scp:exp/a/s.scp
  unbraid verify score --trials data/test/trials \\
    --cohort scp:exp/a/s_train.scp --top 300 --det exp/a/det.svg \\
    scp:exp/a/s.scp

EER is the mean of miss and false alarm rate where they are closest. minDCF has
costs of 1 and is divided by the cost of the better constant decision. Cllr is
printed for PLDA scores and for calibrated ones ('unbraid verify calibrate'): it
is their cost as natural log-likelihood ratios, in bits. minCllr is the cost
under the best calibration. A system without information has cost 1.

--cohort: adaptive S-norm (Matejka et al. 2017). The scores of each side against
its --top nearest cohort speakers give a mean and a deviation. The cohort should
be of the test domain; means per speaker do well.

The list is read block by block and scored on all cores. Scores of trials with
answers take 8 bytes of memory per trial. With --scores-only, or without answers
('enrolment test' lines), no score is kept.")]
pub(super) struct ScoreArgs {
    /// Trials
    #[arg(long, value_name = "FILE")]
    trials: PathBuf,
    /// Backend of 'unbraid verify backend train'; cosine scoring by default
    #[arg(long, value_name = "FILE")]
    backend: Option<PathBuf>,
    /// Enrolment utterances of each model, as spk2utt; trials then name models
    #[arg(long, visible_alias = "enroll", value_name = "FILE")]
    enrol: Option<PathBuf>,
    /// Embeddings of other speakers for score normalisation
    #[arg(long, value_name = "RSPECIFIER")]
    cohort: Option<String>,
    /// Number of nearest cohort embeddings that count
    #[arg(long, value_name = "N", requires = "cohort", default_value_t = 300)]
    top: usize,
    /// Calibration of 'unbraid verify calibrate train', applied last
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Quality measures of both sides, for a calibration that depends on them
    #[arg(long, value_name = "FILE.tsv|RSPECIFIER", requires = "calibration")]
    quality: Option<String>,
    /// Write scores, one 'enrolment test score' per line
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Only write scores, without measures: any number of trials in little memory
    #[arg(long, requires = "scores", conflicts_with_all = ["out", "det"])]
    scores_only: bool,
    /// Write PREFIX.json and PREFIX.tsv
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
    /// Draw the DET curve, .svg or .png
    #[arg(long, value_name = "FILE")]
    det: Option<PathBuf>,
    #[command(flatten)]
    threads: ThreadArgs,
    /// Enrolment embeddings to read, as scp:FILE or ark:FILE
    #[arg(value_name = "RSPECIFIER")]
    enrolment: String,
    /// Test embeddings to read; the enrolment embeddings by default
    #[arg(value_name = "TEST_RSPECIFIER")]
    test: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: ScoreArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(args.out.as_deref())?;
    args.det.iter().try_for_each(atomic::try_place)?;
    let threads = args.threads.pool()?;
    let form = args.det.as_deref();
    let form = form
        .map(|path| PictureForm::of(path, "--det"))
        .transpose()?;
    let measured = args.measured()?;
    let quality = args.quality.as_deref().map(Quality::read).transpose()?;
    let calibration = args.calibration.as_deref();
    let calibration = calibration
        .map(|path| TrialCalibration::read(path, quality))
        .transpose()?;
    let sides = Sides::read(&args)?;
    let norm = threads.install(|| sides.norm(&args))?;
    let scorer = TrialScorer {
        models: &sides.models,
        tests: &sides.tests,
        norm: norm.as_ref(),
        calibration: calibration.as_ref(),
    };
    let scored = threads.install(|| score(&args, scorer, measured))?;
    if !measured {
        return Ok(());
    }
    let detection = threads.install(|| scored.detection(&args.trials))?;
    let found = detection.verification();
    if let (Some(path), Some(form)) = (&args.det, form) {
        det_picture(
            &args.trials.display().to_string(),
            &detection.det_curve(),
            found.eer,
        )
        .write(path, form)?;
    }
    print(&found, sides.ratios(&args), args.out.as_deref())
}

impl ScoreArgs {
    /// Whether there are measures to print.
    fn measured(&self) -> Result<bool> {
        if self.scores_only {
            return Ok(false);
        }
        if TrialReader::form(&self.trials)? != TrialForm::Unlabelled {
            return Ok(true);
        }
        if self.scores.is_some() && self.out.is_none() && self.det.is_none() {
            return Ok(false);
        }
        let expected = "trials with answers, to measure by (--scores alone needs none)";
        Err(Error::format(
            &self.trials,
            expected,
            "'enrolment test' lines",
        ))
    }
}

/// Both sides, and what compares them.
struct Sides {
    backend: Backend,
    models: Models,
    tests: Tests,
}

impl Sides {
    fn read(args: &ScoreArgs) -> Result<Self> {
        let enrolments = Embeddings::read(&args.enrolment)?;
        let backend = match &args.backend {
            Some(path) => Backend::read(path)?,
            None => Backend::cosine(enrolments.dims()),
        };
        let table = args
            .enrol
            .as_deref()
            .map(EnrolmentTable::read)
            .transpose()?;
        let models = backend.models(&enrolments, table.as_ref())?;
        let tests = match &args.test {
            None => backend.tests(&enrolments)?,
            Some(specifier) => backend.tests(&Embeddings::read(specifier)?)?,
        };
        Ok(Self {
            backend,
            models,
            tests,
        })
    }

    /// Whether scores are log-likelihood ratios: those of PLDA that no cohort moves, and calibrated ones.
    fn ratios(&self, args: &ScoreArgs) -> bool {
        let of_plda = self.backend.plda().is_some() && args.cohort.is_none();
        of_plda || args.calibration.is_some()
    }

    fn norm(&self, args: &ScoreArgs) -> Result<Option<SNorm>> {
        let Some(specifier) = &args.cohort else {
            return Ok(None);
        };
        let embeddings = Embeddings::read(specifier)?;
        let models = self.backend.models(&embeddings, None)?;
        let tests = self.backend.tests(&embeddings)?;
        let cohort = Cohort {
            models: &models,
            tests: &tests,
            top: args.top,
        };
        SNorm::new(&self.models, &self.tests, cohort).map(Some)
    }
}

/// Scores the list; writes the scores, and keeps those that are to be measured.
fn score(args: &ScoreArgs, scorer: TrialScorer, measured: bool) -> Result<ScoredTrials> {
    let mut scored = ScoredTrials::default();
    let mut out = args.scores.as_ref().map(AtomicFile::create).transpose()?;
    let progress = counter("trials");
    let mut done = 0_u64;
    score_trials(&args.trials, scorer, |trial, score| {
        if let (true, Some(target)) = (measured, trial.target) {
            scored.push(score, target);
        }
        if let Some(out) = &mut out {
            let path = out.path().to_path_buf();
            writeln!(out, "{} {} {score:.6}", trial.enrolment, trial.test)
                .map_err(Error::io(path))?;
        }
        done += 1;
        // The clock is asked at each update.
        if done.is_multiple_of(PROGRESS_STEP) {
            progress.set_position(done);
        }
        Ok(())
    })?;
    progress.finish_and_clear();
    out.map_or(Ok(()), AtomicFile::commit)?;
    Ok(scored)
}
