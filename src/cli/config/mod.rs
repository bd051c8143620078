//! `unbraid config`: a configuration with all its values, and all keys.

mod show;

use std::io::{Write, stdout};

use clap::{Args, Subcommand};

use crate::error::Error;
use crate::io::message::STDOUT;
use crate::method::reference::reference;
use crate::method::schema::schema;

/// Show a configuration with all its values, or every key there is.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid config show --conf conf/default.toml
  unbraid config reference > configuration.md
  unbraid config schema > unbraid.schema.json")]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::ShowArgs),
    /// Print every key of a configuration in Markdown: type, default and meaning.
    #[command(after_long_help = "\
Examples:
  unbraid config reference > configuration.md")]
    Reference,
    /// Print a JSON schema of configurations, for editors that check and complete TOML.
    ///
    /// Name it in the first line of a configuration: '#:schema ./unbraid.schema.json' (taplo, Even Better TOML).
    #[command(after_long_help = "\
Examples:
  unbraid config schema > unbraid.schema.json")]
    Schema,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with a configuration.
pub(super) fn run(args: ConfigArgs) -> anyhow::Result<()> {
    let text = match args.command {
        Command::Show(args) => show::text(&args)?,
        Command::Reference => reference(),
        Command::Schema => serde_json::to_string_pretty(&schema())? + "\n",
    };
    stdout()
        .write_all(text.as_bytes())
        .map_err(Error::io(STDOUT))?;
    Ok(())
}
