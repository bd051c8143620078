//! `unbraid eval audit`: any representation through every measure, in one command.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::arguments::{ThreadArgs, TierArgs};
use crate::cli::models::DeviceArgs;
use crate::cli::progress;
use crate::cli::result_files::ResultFiles;
use crate::eval::attack::AttackOptions;
use crate::eval::attack::encoder::EncoderOptions;
use crate::eval::audit::{AuditData, AuditOptions, audit};
use crate::eval::probe::ProbeOptions;
use crate::io::message::{message, output};
use crate::report::audit::{lead, markdown, page, table};

/// Measure everything about a representation of any program: leakage and content in one table and one page.
///
/// Speaker, word and phone probes (cross-validated over utterances), attacks, ABX errors, factors and units, each with chance and,
/// where there is one, a 95 % interval. With --wav-scp, log-mel stands beside it. What cannot be measured is named, with what is
/// missing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid eval audit --features npy:hubert/test --utt2spk data/test/utt2spk \\
    --out hubert/audit
  unbraid eval audit --features exp/a/phonetic_test.scp \\
    --utt2spk data/test/utt2spk --text data/test/text --alignments phones.ctm \\
    --wav-scp data/test/wav.scp --frame-shift-ms 40 --out exp/a/audit

Features are those of unseen speakers: a list, npy:DIR, safetensors:FILE or
parquet:FILE ('unbraid help feats copy'), with an utterance for every line of
utt2spk. They are matrices, vectors or integer vectors (units).

  needs nothing more   speaker probe, attack (from 6 speakers on), k-means units
  --text               word probe, word ABX and factors, if lines are repeated
  --alignments         phone probe, phone ABX (any neighbours), phones of units
  --wav-scp            log-mel, 80 bins at 16 kHz, through the same

Attackers learn from half of the speakers and attack the others; 'eval attack'
takes two sets. A frame shift by which features and alignments differ by more
than 5 % in length is refused. Of wide features the trained encoder of the
attack takes most of the time: --encoder-steps 0 leaves it out.

--out PREFIX writes PREFIX.json (everything), PREFIX.tsv and PREFIX.md (the
table) and PREFIX.html (one file without links to others).")]
pub(super) struct AuditArgs {
    /// Features: a list, or as npy:DIR
    #[arg(long, value_name = "SCP|RSPECIFIER")]
    features: String,
    /// Name of the representation; by default that of its file or folder
    #[arg(long)]
    name: Option<String>,
    /// Speaker of each utterance
    #[arg(long, value_name = "FILE")]
    utt2spk: PathBuf,
    /// Words of each utterance
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Time-aligned phones: CTM, TextGrids or .item
    #[arg(long, value_name = "FILE")]
    alignments: Option<PathBuf>,
    #[command(flatten)]
    tier: TierArgs,
    /// Recordings, to measure log-mel beside the features
    #[arg(long, value_name = "FILE")]
    wav_scp: Option<PathBuf>,
    /// Segments of the recordings
    #[arg(long, value_name = "FILE", requires = "wav_scp")]
    segments: Option<PathBuf>,
    /// Units of another program, one per frame of the features
    #[arg(long, value_name = "SCP|RSPECIFIER")]
    units: Option<String>,
    /// Frame shift of the features in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20.0)]
    frame_shift_ms: f64,
    /// Centre of the first frame in milliseconds; half a shift by default
    #[arg(long, value_name = "MS")]
    first_frame_ms: Option<f64>,
    /// Folds of the cross-validation of probes
    #[arg(long, value_name = "N", default_value_t = AuditOptions::default().folds)]
    folds: usize,
    /// Seeds per family of probes
    #[arg(long, value_name = "N", default_value_t = AuditOptions::default().probe.seeds)]
    seeds: u64,
    /// Passes of a probe over its training utterances
    #[arg(long, value_name = "N", default_value_t = AuditOptions::default().probe.epochs)]
    epochs: u64,
    /// Minimum number of training steps of a probe
    #[arg(long, value_name = "N", default_value_t = AuditOptions::default().probe.min_steps)]
    min_steps: u64,
    /// Steps of training an attacker's encoder on each representation; 0 trains none
    #[arg(long, value_name = "N", default_value_t = EncoderOptions::default().steps)]
    encoder_steps: u64,
    /// How often an attacker draws utterances
    #[arg(long, value_name = "N", default_value_t = AttackOptions::default().draws)]
    draws: usize,
    /// Number of k-means clusters for units; 0 for none
    #[arg(long, value_name = "K", default_value_t = AuditOptions::default().clusters)]
    clusters: usize,
    /// Seed of all choices
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    threads: ThreadArgs,
    /// Write PREFIX.json, PREFIX.tsv, PREFIX.md and PREFIX.html
    #[arg(long, value_name = "PREFIX")]
    out: PathBuf,
}

impl AuditArgs {
    fn data(&self) -> AuditData {
        AuditData {
            name: self.name.clone().unwrap_or_else(|| stem(&self.features)),
            features: self.features.clone(),
            utt2spk: self.utt2spk.clone(),
            text: self.text.clone(),
            alignments: self.alignments.clone(),
            tier: self.tier.tier.clone(),
            wav_scp: self.wav_scp.clone(),
            segments: self.segments.clone(),
            units: self.units.clone(),
            frame_shift_ms: self.frame_shift_ms,
            first_frame_ms: self.first_frame_ms,
        }
    }

    fn options(&self) -> AuditOptions {
        let default = AuditOptions::default();
        AuditOptions {
            probe: ProbeOptions {
                seeds: self.seeds,
                epochs: self.epochs,
                min_steps: self.min_steps,
                device: self.device.device,
                ..default.probe
            },
            folds: self.folds,
            attack: AttackOptions {
                draws: self.draws,
                seed: self.seed,
                encoder: EncoderOptions {
                    steps: self.encoder_steps,
                    ..EncoderOptions::default()
                },
                ..AttackOptions::default()
            },
            clusters: self.clusters,
            seed: self.seed,
            ..default
        }
    }
}

/// The name of a specifier's file or folder.
fn stem(features: &str) -> String {
    let path = features.split_once(':').map_or(features, |(_, path)| path);
    let stem = Path::new(path).file_stem();
    stem.map_or("features".into(), |stem| {
        stem.to_string_lossy().into_owned()
    })
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: &AuditArgs) -> anyhow::Result<()> {
    ResultFiles::try_place(Some(&args.out))?;
    let threads = args.threads.pool()?;
    let bar = progress::stages();
    let report = threads.install(|| {
        audit(&args.data(), &args.options(), |stage| {
            bar.set_message(stage.to_string());
            bar.tick();
        })
    })?;
    bar.finish_and_clear();
    let table = table(&report);
    ResultFiles::new(&args.out, &report, &table)?
        .with("md", markdown(&report))
        .with("html", page(&report).html())
        .write()?;
    for note in &report.notes {
        message(format_args!("unbraid: {note}"));
    }
    output(format_args!("{}\n{table}", lead(&report)))?;
    Ok(())
}
