//! unbraid takes speech apart into what was said and who said it.
//!
//! The layers, from the bottom up; a module uses only those before it in this list:
//! [`error`], [`io`], [`signal`], [`dataset`], `nn`, `objective`, `train`, `method`, `inference`, `eval`, `report`, `cli`.
//!
//! Networks, and what is built on them, need libtorch and come with the feature `torch`; the command comes with `cli`. Both are
//! on by default. Without default features the crate is audio, Kaldi archives, front-ends and data directories.
//!
//! # A tour
//! Sound of any kind to features, and features to a Kaldi archive that kaldiio reads:
//!
//! ```
//! # fn main() -> unbraid::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let target = format!("ark:{}", folder.path().join("feats.ark").display());
//! # let audio = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mini/audio/f01-s01.flac");
//! use unbraid::io::audio::{AudioOptions, read_audio};
//! use unbraid::io::kaldi::TableWriter;
//! use unbraid::signal::{FrontEnd, FrontEndKind};
//!
//! let waveform = read_audio(audio, &AudioOptions::default())?;
//! let feats = FrontEnd::new(FrontEndKind::Fbank.defaults())?.compute_waveform(&waveform)?;
//! let mut writer = TableWriter::create(&target)?;
//! writer.write("f01-s01", &feats)?;
//! writer.finish()?;
//! # assert_eq!(feats.ncols(), 23);
//! # Ok(())
//! # }
//! ```
//!
//! A configuration to a trained experiment, which a kill does not cost: run again with `resume`, it goes on.
//!
#![cfg_attr(feature = "torch", doc = "```no_run")]
#![cfg_attr(not(feature = "torch"), doc = "```ignore")]
//! # fn main() -> unbraid::Result<()> {
//! use std::path::Path;
//! use unbraid::method::fine_tuning::Start;
//! use unbraid::method::run::{Overrides, Run};
//!
//! let run = Run::read(Path::new("conf/default.toml"), &Overrides::default())?;
//! run.train(Path::new("exp/default"), &Start { resume: true, ..Start::default() }, &mut ())
//! # }
//! ```
//!
//! A trained model on recordings of any sample rate:
//!
#![cfg_attr(feature = "torch", doc = "```no_run")]
#![cfg_attr(not(feature = "torch"), doc = "```ignore")]
//! # fn main() -> unbraid::Result<()> {
//! use unbraid::Model;
//! use unbraid::io::audio::{AudioOptions, read_audio};
//!
//! let model = Model::open("exp/default")?;
//! let [talk, other] = ["talk.flac", "other.wav"].map(|path| read_audio(path, &AudioOptions::default()));
//! let (talk, other) = (talk?, other?);
//! let codes = model.phonetic(&talk)?; // [codes, code_dim]
//! let embedding = model.speaker(&talk)?; // [embedding_dim], of length 1
//! let converted = model.convert(&talk, &other)?; // [frames, bins]: the words of one in the voice of the other
//! # let _ = (codes, embedding, converted);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/` has whole programs: codes of a recording, codes of a stream, an equal error rate, and a module in C++
//! without this crate.

#![warn(clippy::print_stdout, clippy::print_stderr, unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

#[cfg(feature = "cli")]
pub mod cli;
pub mod dataset;
pub mod error;
#[cfg(feature = "eval")]
pub mod eval;
#[cfg(feature = "torch")]
pub mod inference;
pub mod io;
#[cfg(feature = "torch")]
pub mod method;
#[cfg(feature = "torch")]
pub mod nn;
#[cfg(feature = "torch")]
pub mod objective;
#[cfg(feature = "pictures")]
pub mod report;
pub mod signal;
#[cfg(feature = "torch")]
pub mod train;

#[cfg(feature = "jemalloc")]
#[doc(hidden)]
pub use tikv_jemallocator;

/// Gives the program in which it stands an allocator for tensors, jemalloc, for libtorch as well. Each training step takes the
/// same large blocks again: they stay with the process, and are found at once.
#[cfg(feature = "jemalloc")]
#[macro_export]
macro_rules! tensor_memory {
    () => {
        #[global_allocator]
        static ALLOCATOR: $crate::tikv_jemallocator::Jemalloc = $crate::tikv_jemallocator::Jemalloc;

        /// What jemalloc reads when it starts: nothing goes back to the system, which would clear each page anew, and large
        /// blocks have no place of their own.
        // SAFETY: jemalloc's name and type of its options, and nobody else's.
        #[unsafe(export_name = "malloc_conf")]
        static OPTIONS: &std::ffi::c_char = {
            let options = c"dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0";
            // SAFETY: the first byte of a text that is always there.
            unsafe { &*options.as_ptr() }
        };
    };
}

pub use error::{Error, Result};
#[cfg(feature = "torch")]
pub use inference::Model;
