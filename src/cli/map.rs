//! `unbraid map`: vectors as a map in the plane, coloured by their class.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use ndarray::{Array1, Array2, Axis};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::dataset::Table;
use crate::dataset::feats::Feats;
use crate::error::{Error, Result};
use crate::eval::images::map::{MOST_ITEMS, TsneOptions, pca, tsne};
use crate::io::kaldi::{KaldiObject, ReadFlags, ReadFrom, ReadSpecifier, ScpTable, TableReader};
use crate::report::picture::PictureForm;
use crate::report::scatter::Scatter;

/// Draw vectors as a map in the plane, coloured by speaker, text or another label.
///
/// Matrices are averaged over their frames, vectors are taken as they are. t-SNE (van der Maaten and Hinton 2008) keeps
/// neighbours together; principal components keep the greatest distances.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  unbraid map exp/a/speaker_test.scp --labels data/test/utt2spk --out speakers.svg
  unbraid map --method pca --labels data/test/text --out words.png scp:exp/a/phonetic_test.scp

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
    method: Method,
    /// Neighbours that t-SNE gives an utterance, about; without, 30, or a third of the others if that is less
    #[arg(long, value_name = "NUMBER")]
    perplexity: Option<f64>,
    /// Steps of t-SNE; without, 1000
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// Draws utterances, and the places at which t-SNE begins
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Most utterances; of more, as many are drawn
    #[arg(long, value_name = "N", default_value_t = 2000)]
    most: usize,
    /// Threads; all cores when left out
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// How many numbers become two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Principal components.
    Pca,
    /// t-SNE.
    Tsne,
}

/// Fewer make no map.
const LEAST: usize = 5;

/// Runs the command.
///
/// # Errors
/// What is wrong with options, vectors or labels, or with the place to write to.
pub fn run(args: MapArgs) -> anyhow::Result<()> {
    let form = PictureForm::of(&args.out, "--out")?;
    args.check()?;
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.map_or(0, usize::from))
        .build()
        .context("cannot start threads")?;
    let labels = Table::read(&args.labels)?;
    let items = args.items(&labels)?;
    let map = threads.install(|| args.map(&items.vectors))?;
    let scatter = args.scatter(&items, &map);
    scatter.picture()?.write(&args.out, form)?;
    let out = args.out.display();
    let told = format!(
        "{out}: {}, {} labels\n",
        scatter.subtitle,
        scatter.names.len()
    );
    write!(io::stdout(), "{told}")?;
    Ok(())
}

/// Utterances with their labels and vectors.
struct Items {
    /// One an utterance.
    labels: Vec<String>,
    /// `[utterances, dims]`.
    vectors: Array2<f64>,
    /// Before some were drawn.
    all: usize,
}

impl MapArgs {
    /// Options that say nothing beside the others, or too much.
    fn check(&self) -> Result<()> {
        let of_tsne = [
            ("--perplexity", self.perplexity.is_some()),
            ("--iterations", self.iterations.is_some()),
        ];
        if self.method == Method::Pca {
            for (option, given) in of_tsne {
                if given {
                    return Err(Error::option(option, "--method tsne", "--method pca"));
                }
            }
        }
        let most = match self.method {
            Method::Tsne => MOST_ITEMS,
            Method::Pca => usize::MAX,
        };
        if (LEAST..=most).contains(&self.most) {
            return Ok(());
        }
        let expected = match self.method {
            Method::Tsne => format!("{LEAST} to {most}"),
            Method::Pca => format!("at least {LEAST}"),
        };
        Err(Error::option("--most", expected, self.most.to_string()))
    }

    fn items(&self, labels: &Table) -> Result<Items> {
        match ReadSpecifier::parse(&self.input) {
            Ok(ReadSpecifier {
                from: ReadFrom::Scp(name),
                flags,
            }) if flags == ReadFlags::default() && name != "-" && !name.ends_with('|') => {
                self.list(Path::new(&name), labels)
            }
            Ok(specifier) => self.stream(&specifier, labels),
            Err(_) => self.list(Path::new(&self.input), labels),
        }
    }

    /// Of a list only the utterances that are drawn are read.
    fn list(&self, path: &Path, labels: &Table) -> Result<Items> {
        let ids = ScpTable::<Array2<f32>>::open(path)?.keys().to_vec();
        let known = ids.iter().map(|id| label(labels, id));
        let known = known.collect::<Result<Vec<String>>>()?;
        let drawn = self.draw(ids.len())?;
        let feats = Feats::open(path, &ids)?;
        let mut pool = Pool::default();
        for &item in &drawn {
            pool.push(path, &ids[item], feats.get(&ids[item])?)?;
        }
        Ok(Items {
            labels: drawn.iter().map(|&item| known[item].clone()).collect(),
            vectors: pool.into_matrix(),
            all: ids.len(),
        })
    }

    /// An archive is read to its end, of which only means are kept; its first object tells the kind of all.
    fn stream(&self, specifier: &ReadSpecifier, labels: &Table) -> Result<Items> {
        let (ReadFrom::Ark(name) | ReadFrom::Scp(name)) = &specifier.from;
        let vectors = name != "-"
            && !begins_with::<Array2<f32>>(&self.input)
            && begins_with::<Array1<f32>>(&self.input);
        let (known, pool) = match vectors {
            true => self.pool(labels, |vector: Array1<f32>| vector.insert_axis(Axis(0)))?,
            false => self.pool(labels, |matrix: Array2<f32>| matrix)?,
        };
        let drawn = self.draw(known.len())?;
        Ok(Items {
            labels: drawn.iter().map(|&item| known[item].clone()).collect(),
            vectors: pool.into_matrix().select(Axis(0), &drawn),
            all: known.len(),
        })
    }

    fn pool<T: KaldiObject>(
        &self,
        labels: &Table,
        frames: fn(T) -> Array2<f32>,
    ) -> Result<(Vec<String>, Pool)> {
        let (mut known, mut pool) = (Vec::new(), Pool::default());
        for entry in TableReader::<T>::open(&self.input)? {
            let (id, object) = entry?;
            known.push(label(labels, &id)?);
            pool.push(Path::new(&self.input), &id, frames(object))?;
        }
        Ok((known, pool))
    }

    /// The places of the utterances that are drawn, in their order.
    fn draw(&self, count: usize) -> Result<Vec<usize>> {
        if count < LEAST {
            let expected = format!("at least {LEAST} utterances");
            return Err(Error::format(&self.input, expected, count.to_string()));
        }
        if count <= self.most {
            return Ok((0..count).collect());
        }
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        let mut drawn = index::sample(&mut generator, count, self.most).into_vec();
        drawn.sort_unstable();
        Ok(drawn)
    }

    /// `[utterances, 2]`.
    fn map(&self, vectors: &Array2<f64>) -> Result<Array2<f64>> {
        let default = TsneOptions::default();
        match self.method {
            Method::Pca => pca(vectors, 2),
            Method::Tsne => tsne(
                vectors,
                &TsneOptions {
                    perplexity: self.perplexity,
                    iterations: self.iterations.unwrap_or(default.iterations),
                    seed: self.seed,
                },
            ),
        }
    }

    fn scatter(&self, items: &Items, map: &Array2<f64>) -> Scatter {
        let names: BTreeSet<&String> = items.labels.iter().collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        let class = |label: &String| names.partition_point(|name| name < label);
        let classes = items.labels.iter().map(class).collect();
        let (method, axes) = match self.method {
            Method::Pca => (
                "principal components",
                ["first component", "second component"],
            ),
            Method::Tsne => ("t-SNE", ["", ""]),
        };
        let of = match items.labels.len() == items.all {
            true => String::new(),
            false => format!(" of {}", items.all),
        };
        Scatter {
            title: format!("{} by {}", file_name(&self.input), file_name(&self.labels)),
            subtitle: format!("{}{of} utterances, {method}", items.labels.len()),
            axes: axes.map(String::from),
            points: map.rows().into_iter().map(|row| (row[0], row[1])).collect(),
            classes,
            names,
        }
    }
}

/// The label of an utterance.
fn label(labels: &Table, id: &str) -> Result<String> {
    match labels.get(id) {
        Some(label) if !label.is_empty() => Ok(label.to_string()),
        found => {
            let found = found.map_or("no line for it", |_| "none");
            Err(Error::key(
                labels.path(),
                id,
                "a label of this utterance",
                found,
            ))
        }
    }
}

/// Whether the first object of a specifier can be read as such.
fn begins_with<T: KaldiObject>(specifier: &str) -> bool {
    let first = TableReader::<T>::open(specifier).map(|mut entries| entries.next());
    matches!(first, Ok(Some(Ok(_))))
}

/// The name of a file, or of a specifier's.
fn file_name(path: impl AsRef<Path>) -> String {
    let name = path
        .as_ref()
        .file_name()
        .unwrap_or(path.as_ref().as_os_str());
    name.to_string_lossy().into_owned()
}

/// Means over frames, a row an utterance.
#[derive(Default)]
struct Pool {
    dims: Option<usize>,
    values: Vec<f64>,
}

impl Pool {
    /// Takes `[frames, dims]` in.
    fn push(&mut self, path: &Path, id: &str, frames: Array2<f32>) -> Result<()> {
        let wrong = |expected: String, found: String| Err(Error::key(path, id, expected, found));
        let dims = *self.dims.get_or_insert(frames.ncols());
        if frames.is_empty() {
            return wrong(
                "at least one frame of at least one number".into(),
                "none".into(),
            );
        }
        if frames.ncols() != dims {
            return wrong(format!("{dims} values a frame"), frames.ncols().to_string());
        }
        if let Some(value) = frames.iter().find(|value| !value.is_finite()) {
            return wrong("finite numbers".into(), value.to_string());
        }
        let sum = frames.mapv(f64::from).sum_axis(Axis(0));
        self.values.extend(sum / frames.nrows() as f64);
        Ok(())
    }

    /// `[utterances, dims]`.
    fn into_matrix(self) -> Array2<f64> {
        let dims = self.dims.unwrap_or(0);
        let rows = self.values.len().checked_div(dims).unwrap_or(0);
        Array2::from_shape_vec((rows, dims), self.values).expect("rows are of one length")
    }
}
