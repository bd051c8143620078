//! `unbraid plot map`: vectors as a map in the plane, coloured by their class.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ndarray::Array2;

use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::eval::map::{Draw, LEAST_ITEMS, MOST_ITEMS, MapItems, MapMethod, TsneOptions, label};
use crate::io::atomic;
use crate::io::kaldi::{ReadFlags, ReadFrom, ReadSpecifier};
use crate::io::message::output;
use crate::report::picture::PictureForm;
use crate::report::scatter::{Scatter, classes};

/// Draw vectors as a map in the plane, coloured by speaker, text or another label.
///
/// Matrices are averaged over their frames, vectors are taken as they are. t-SNE (van der Maaten and Hinton 2008) keeps
/// neighbours together; principal components keep the greatest distances.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  unbraid plot map exp/a/speaker_test.scp --labels data/test/utt2spk --out speakers.svg
  unbraid plot map --method pca --labels data/test/text --out words.png scp:exp/a/phonetic_test.scp

t-SNE is exact and begins at the principal components; sizes of groups, and how far groups lie apart, mean little in it.
Equal vectors and seeds make equal maps. Labels are a table of two columns with a line for every utterance; a colour and
a shape together tell 70 of them apart. Of an archive (ark:FILE) on standard input objects have to be matrices.")]
pub struct MapArgs {
    /// The vectors or matrices: a list, or a read specifier as scp:FILE or ark:FILE
    #[arg(value_name = "SCP|RSPEC")]
    input: String,
    /// What utterances are coloured by: 'utterance label' lines, as utt2spk or text
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Where to, a name that ends in .svg or .png
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many numbers become two
    #[arg(long, default_value = "tsne")]
    method: MapMethod,
    /// Neighbours that t-SNE gives an utterance, about; without, 30, or a third of the others if that is less
    #[arg(long, value_name = "NUMBER")]
    perplexity: Option<f64>,
    /// Steps of t-SNE; without, 1000
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// Seed of the choice of utterances, and of the places at which t-SNE begins
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Most utterances; of more, as many are drawn
    #[arg(long, alias = "most", value_name = "N", default_value_t = 2000)]
    max_points: usize,
    /// Threads; all cores when left out
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with options, vectors or labels, or with the place to write to.
pub fn run(args: MapArgs) -> anyhow::Result<()> {
    atomic::try_place(&args.out)?;
    let form = PictureForm::of(&args.out, "--out")?;
    args.check()?;
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.map_or(0, usize::from))
        .build()
        .context("cannot start threads")?;
    let labels = Table::read(&args.labels)?;
    let items = args.items(&labels)?;
    let options = args.tsne();
    let map = threads.install(|| args.method.map(&items.vectors, &options))?;
    let scatter = args.scatter(&items, &labels, &map)?;
    scatter.picture()?.write(&args.out, form)?;
    let out = args.out.display();
    let told = format!(
        "{out}: {}, {} labels\n",
        scatter.subtitle,
        scatter.names.len()
    );
    output(format_args!("{told}"))?;
    Ok(())
}

impl MapArgs {
    /// Options that say nothing beside the others, or too much.
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
        match ReadSpecifier::parse(&self.input) {
            Ok(ReadSpecifier {
                from: ReadFrom::Scp(name),
                flags,
            }) if flags == ReadFlags::default() && name != "-" && !name.ends_with('|') => {
                MapItems::of_list(Path::new(&name), draw, &mut check)
            }
            Ok(_) => MapItems::of_stream(&self.input, draw, &mut check),
            Err(_) => MapItems::of_list(Path::new(&self.input), draw, &mut check),
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
