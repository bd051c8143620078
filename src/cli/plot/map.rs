//! `unbraid plot map`: vectors as a map in two dimensions, coloured by their class.

use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::Array2;

use crate::cli::arguments::ThreadArgs;
use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::eval::map::{Draw, LEAST_ITEMS, MOST_ITEMS, MapItems, MapMethod, TsneOptions, label};
use crate::io::atomic;
use crate::io::kaldi::ReadSpecifier;
use crate::io::message::output;
use crate::report::picture::PictureForm;
use crate::report::scatter::{Scatter, classes};

/// Draw vectors as a map in two dimensions, coloured by speaker, text or another label.
///
/// Matrices are averaged over their frames, vectors are used directly. t-SNE (van der Maaten and Hinton 2008) preserves
/// neighbourhoods, principal components preserve the largest variances.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid plot map exp/a/speaker_test.scp --labels data/test/utt2spk \\
    --out speakers.svg
  unbraid plot map --method pca --labels data/test/text --out words.png \\
    scp:exp/a/phonetic_test.scp

t-SNE is exact and starts from the principal components. Do not interpret the
size of groups or the distance between them. The same vectors and seed give the
same map. Labels are a table of two columns with a line for every utterance;
colour and shape distinguish 70 labels. An archive (ark:FILE) on standard input
must contain matrices.")]
pub(super) struct MapArgs {
    /// Vectors or matrices to read: a list, or as scp:FILE or ark:FILE
    #[arg(value_name = "SCP|RSPECIFIER")]
    input: String,
    /// Label of each utterance, one 'utterance label' per line, such as utt2spk or text
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Picture to write, .svg or .png
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Projection to two dimensions
    #[arg(long, default_value = "tsne")]
    method: MapMethod,
    /// Perplexity of t-SNE; by default 30, or a third of the other utterances if that is less
    #[arg(long, value_name = "NUMBER")]
    perplexity: Option<f64>,
    /// Iterations of t-SNE; 1000 by default
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// Seed of the choice of utterances and of t-SNE
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Maximum number of utterances; more are subsampled
    #[arg(long, alias = "most", value_name = "N", default_value_t = 2000)]
    max_points: usize,
    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with options, vectors or labels, or with the place to write to.
pub(super) fn run(args: MapArgs) -> anyhow::Result<()> {
    atomic::try_place(&args.out)?;
    let form = PictureForm::of(&args.out, "--out")?;
    args.check()?;
    let threads = args.threads.pool()?;
    let labels = Table::read(&args.labels)?;
    let items = args.items(&labels)?;
    let options = args.tsne();
    let map = threads.install(|| args.method.map(&items.vectors, &options))?;
    let scatter = args.scatter(&items, &labels, &map)?;
    scatter.picture()?.write(&args.out, form)?;
    let out = args.out.display();
    let line = format!(
        "{out}: {}, {} labels\n",
        scatter.subtitle,
        scatter.names.len()
    );
    output(format_args!("{line}"))?;
    Ok(())
}

impl MapArgs {
    /// Checks options that have no effect beside the others, or are out of range.
    fn check(&self) -> Result<()> {
        let of_tsne = [
            ("--perplexity", self.perplexity.is_some()),
            ("--iterations", self.iterations.is_some()),
        ];
        if self.method == MapMethod::Pca {
            for (option, given) in of_tsne {
                if given {
                    return Err(Error::option(option, "--method tsne", "--method pca"));
                }
            }
        }
        let most = match self.method {
            MapMethod::Tsne => MOST_ITEMS,
            MapMethod::Pca => usize::MAX,
        };
        if (LEAST_ITEMS..=most).contains(&self.max_points) {
            return Ok(());
        }
        let expected = match self.method {
            MapMethod::Tsne => format!("{LEAST_ITEMS} to {most}"),
            MapMethod::Pca => format!("at least {LEAST_ITEMS}"),
        };
        Err(Error::option(
            "--max-points",
            expected,
            self.max_points.to_string(),
        ))
    }

    /// Every utterance, drawn or not, has to have a label.
    fn items(&self, labels: &Table) -> Result<MapItems> {
        let draw = Draw {
            most: self.max_points,
            seed: self.seed,
        };
        let mut check = |id: &str| label(labels, id).map(drop);
        match ReadSpecifier::of_place(&self.input).has_lookups() {
            true => MapItems::of_list(Path::new(&self.input), draw, &mut check),
            false => MapItems::of_stream(&self.input, draw, &mut check),
        }
    }

    fn tsne(&self) -> TsneOptions {
        let default = TsneOptions::default();
        TsneOptions {
            perplexity: self.perplexity,
            iterations: self.iterations.unwrap_or(default.iterations),
            seed: self.seed,
        }
    }

    fn scatter(&self, items: &MapItems, labels: &Table, map: &Array2<f64>) -> Result<Scatter> {
        let labelled = items.ids.iter().map(|id| label(labels, id));
        let (classes, names) = classes(&labelled.collect::<Result<Vec<&str>>>()?);
        let of = match items.ids.len() == items.all {
            true => String::new(),
            false => format!(" of {}", items.all),
        };
        Ok(Scatter {
            title: format!("{} by {}", file_name(&self.input), file_name(&self.labels)),
            subtitle: format!("{}{of} utterances, {}", items.ids.len(), self.method.name()),
            axes: self.method.axes().map(String::from),
            points: map.rows().into_iter().map(|row| (row[0], row[1])).collect(),
            hints: Vec::new(),
            classes,
            names,
        })
    }
}

/// The name of a file, or of a specifier's.
fn file_name(path: impl AsRef<Path>) -> String {
    let name = path
        .as_ref()
        .file_name()
        .unwrap_or(path.as_ref().as_os_str());
    name.to_string_lossy().into_owned()
}
