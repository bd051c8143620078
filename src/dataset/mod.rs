//! Corpora of speech and images: data directories, image sets, samplers and batches.

pub mod alignment;
pub mod augment;
#[cfg(feature = "torch")]
pub mod batch;
pub mod blocks;
pub mod combine;
pub mod computed;
pub mod contents;
#[cfg(feature = "torch")]
pub mod corpus;
pub mod datadir;
pub mod feats;
mod files;
pub mod fix;
#[cfg(feature = "torch")]
pub mod image_batch;
#[cfg(feature = "pictures")]
pub mod images;
pub mod label_kind;
pub mod labels;
pub mod layout;
pub mod loader;
pub mod make;
pub mod normalisation;
pub mod parts;
pub mod pitch;
pub mod recordings;
pub mod relabel;
mod rows;
pub mod sampler;
pub mod segments;
pub mod shard;
pub mod shares;
pub mod split;
pub mod strings;
pub mod subset;
pub mod table;
pub mod trials;
pub mod validate;

pub use blocks::UtteranceBlocks;
pub use datadir::DataDir;
pub use recordings::{RecordingOptions, Recordings};
pub use segments::{Segment, Segments};
pub use table::Table;

/// Data directories for tests.
#[cfg(test)]
mod made {
    /// A folder with these files.
    pub(super) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        dir
    }
}
