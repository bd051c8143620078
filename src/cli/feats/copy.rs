//! `unbraid feats copy`: tables from one form and place to another.

use clap::{Args, ValueEnum};
use ndarray::{Array1, Array2};

use crate::io::kaldi::{
    Compression, KaldiObject, ReadOptions, TableReader, TableWriter, WriteOptions,
};

use crate::cli::progress::counter;

/// Copy archives: between binary and text, compressed and not, and to the forms of Python's tools.
#[derive(Debug, Args)]
#[command(after_help = "\
Specifiers are Kaldi's. To read: ark:FILE or scp:FILE with the options
o no s ns cs ncs p np bg; FILE may be - for standard input or, with
--allow-pipes, 'command |'. To write: ark:FILE, scp:FILE or ark,scp:ARK,SCP
with b t f nf p; FILE may be - or, with --allow-pipes, '| command'.

Every command that writes archives of floats writes these too:
npy:NAME          NAME.npy, the rows of all entries one after another, and
                  NAME.tsv, which says where each entry's begin
safetensors:FILE  a tensor an entry
parquet:FILE      a row an entry: utterance, rows, columns, values

Examples:
  unbraid feats copy scp:data/train/feats.scp ark,t:- | less
  unbraid feats copy --compress auto ark:raw.ark ark,scp:feats.ark,feats.scp
  unbraid feats copy --vector scp:exp/xvectors/xvector.scp ark,t:-
  unbraid feats copy scp:exp/a/phonetic_test.scp parquet:phonetic.parquet")]
pub struct CopyArgs {
    /// Where to read from, as ark:raw.ark or scp:feats.scp
    #[arg(value_name = "RSPEC")]
    from: String,

    /// Where to write to, as ark,t:- or ark,scp:feats.ark,feats.scp
    #[arg(value_name = "WSPEC")]
    to: String,

    /// The entries are vectors (embeddings, voice activity), not matrices
    #[arg(long, conflicts_with_all = ["int_vector", "compress"])]
    vector: bool,

    /// The entries are vectors of integers (alignments), not matrices
    #[arg(long, conflicts_with = "compress")]
    int_vector: bool,

    /// Write matrices compressed, with loss
    #[arg(long, value_enum, value_name = "FORM")]
    compress: Option<Form>,

    /// Run the commands that specifiers and lists name as 'command |' and '| command'
    #[arg(long)]
    allow_pipes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// cm above 8 rows, else cm2, as Kaldi chooses
    Auto,
    /// One byte a number, stretched between each column's quartiles
    Cm,
    /// Two bytes a number
    Cm2,
    /// One byte a number
    Cm3,
}

impl From<Form> for Compression {
    fn from(form: Form) -> Self {
        match form {
            Form::Auto => Compression::Auto,
            Form::Cm => Compression::ColumnHeaders,
            Form::Cm2 => Compression::TwoByte,
            Form::Cm3 => Compression::OneByte,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the specifiers, the archive or the place to write to; nothing is left half-written.
pub fn run(args: CopyArgs) -> anyhow::Result<()> {
    if args.vector {
        copy::<Array1<f32>>(&args)
    } else if args.int_vector {
        copy::<Vec<i32>>(&args)
    } else {
        copy::<Array2<f32>>(&args)
    }
}

fn copy<T: KaldiObject>(args: &CopyArgs) -> anyhow::Result<()> {
    let allow_pipes = args.allow_pipes;
    let reader = TableReader::<T>::open_with(&args.from, ReadOptions { allow_pipes })?;
    let options = WriteOptions {
        compression: args.compress.map(Compression::from),
        allow_pipes,
    };
    let mut writer = TableWriter::create_with(&args.to, options)?;
    let progress = counter(&format!("{} entries", T::KIND));
    for entry in reader {
        let (key, value) = entry?;
        writer.write(&key, &value)?;
        progress.inc(1);
    }
    writer.finish()?;
    progress.finish_and_clear();
    Ok(())
}
