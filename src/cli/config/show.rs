//! `unbraid config show`: a configuration as a run resolves it.

use std::path::PathBuf;

use clap::Args;

use crate::error::Result;
use crate::method::old_keys::document;
use crate::method::run::{Overrides, Run};

/// Print a configuration with its base and all defaults, like conf.toml of an experiment.
///
/// A configuration may build on another file, relative to its own folder: base = "base.toml". It has the values of that
/// file except for its own. Tables are merged key by key. A table of another kind (or name), and any array, replaces that of
/// the base. A base may have a base.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid config show --conf conf/default.toml
  unbraid config show --conf conf/default.toml --set train.steps=9 > short.toml")]
pub(super) struct ShowArgs {
    /// Configuration in TOML
    #[arg(long, value_name = "FILE")]
    conf: PathBuf,

    /// Override a key of the configuration, as in 'unbraid train'; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

/// The text of the configuration.
///
/// # Errors
/// What is wrong with it.
pub(super) fn text(args: &ShowArgs) -> Result<String> {
    let document = document(&args.conf)?;
    let overrides = Overrides {
        settings: args.settings.clone(),
        ..Overrides::default()
    };
    let run = Run::of(&document, &overrides)?;
    run.check()?;
    let files: Vec<String> = (document.files())
        .map(|file| file.display().to_string())
        .collect();
    let mut head = format!("# Resolved from {}", files.join(", over "));
    for setting in &args.settings {
        head += &format!(", with --set '{setting}'");
    }
    Ok(format!(
        "{}.\n\n{}",
        head.replace('\n', " "),
        run.resolved()?
    ))
}
