//! The binary as a user runs it. One test program: it links once.

mod abx;
mod audio;
mod augment;
mod backend;
mod cmvn;
mod copy_feats;
mod data;
mod extract;
mod factors;
mod feature_operations;
mod features;
mod floors;
mod frontier;
mod kaldi_archives;
mod memory;
mod methods;
mod mini_data;
mod pitch;
mod plot;
mod probe;
mod recipes;
mod score;
mod setup;
mod support;
mod sweep;
mod train;
