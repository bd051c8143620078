//! `unbraid feats copy`: tables from one form and place to another.

use clap::{Args, ValueEnum};
use ndarray::{Array1, Array2};

use crate::io::kaldi::{
    Compression, KaldiObject, ReadOptions, TableReader, TableWriter, WriteOptions,
};

use crate::cli::progress::counter;

/// Copy archives: binary and text, compressed and not, from and to NumPy, safetensors and Parquet.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats copy scp:data/train/feats.scp ark,t:- | less
  unbraid feats copy --compress auto ark:raw.ark ark,scp:feats.ark,feats.scp
  unbraid feats copy --vector scp:exp/xvectors/xvector.scp ark,t:-
  unbraid feats copy scp:exp/a/phonetic_test.scp parquet:phonetic.parquet
  unbraid feats copy npy:hubert/test ark,scp:hubert/test.ark,hubert/test.scp

Specifiers are Kaldi's. RSPECIFIER is ark:FILE or scp:FILE with the options o,
no, s, ns, cs, ncs, p, np and bg. FILE may be '-' for standard input or, with
--allow-pipes, 'command |'. WSPECIFIER is ark:FILE, scp:FILE or ark,scp:ARK,SCP
with the options b, t, f, nf and p. FILE may be '-' or, with --allow-pipes,
'| command'.

Every command that writes archives of floats also writes:
  npy:NAME          NAME.npy, the rows of all entries, and NAME.tsv, the first
                    row of each entry
  safetensors:FILE  one tensor per entry
  parquet:FILE      one row per entry: utterance, rows, columns, values

Every command that reads archives also reads, in place of a list too:
  npy:DIR           all .npy and .npz files below a folder; the name of a file
                    is the key
  npy:FILE          one .npz, each array under its name; or a list of such
                    files, 'key file' or 'file' per line; or the NAME of above
  safetensors:FILE  one tensor per utterance
  parquet:FILE      a column of keys and one of lists of numbers, or of lists
                    of lists; or the table of above
An array is [frames, dims], [1, frames, dims] or [dims]: floats of 16, 32 or 64
bits or integers. Integers [frames] or [1, frames] are units. A list
(scp:FILE) may name .npy files, too. Pickled files are refused.")]
pub(super) struct CopyArgs {
    /// Archive to read, as ark:raw.ark, scp:feats.scp or npy:hubert/test
    #[arg(value_name = "RSPECIFIER")]
    from: String,

    /// Archive to write, as ark,t:- or ark,scp:feats.ark,feats.scp
    #[arg(value_name = "WSPECIFIER")]
    to: String,

    /// Copy vectors (embeddings, voice activity) instead of matrices
    #[arg(long, conflicts_with_all = ["int_vector", "compress"])]
    vector: bool,

    /// Copy vectors of integers (alignments) instead of matrices
    #[arg(long, conflicts_with = "compress")]
    int_vector: bool,

    /// Compress the matrices, with loss
    #[arg(long, value_enum, value_name = "FORM")]
    compress: Option<Form>,

    /// Run commands in specifiers and lists ('command |' and '| command')
    #[arg(long)]
    allow_pipes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// Kaldi's choice: cm above 8 rows, else cm2
    Auto,
    /// One byte per value, scaled by the quartiles of each column
    Cm,
    /// Two bytes per value
    Cm2,
    /// One byte per value
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
pub(super) fn run(args: CopyArgs) -> anyhow::Result<()> {
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
