//! The binary as a user runs it. One test program: it links once.

mod abx;
mod audio;
mod cmvn;
mod copy_feats;
mod data;
mod extract;
mod factors;
mod features;
mod floors;
mod frontier;
mod kaldi_archives;
mod memory;
mod methods;
mod mini_data;
mod probe;
mod recipes;
mod score;
mod setup;
mod support;
mod sweep;
mod train;
