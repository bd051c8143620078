//! `unbraid config`: what a configuration says, and what it may say.

mod show;

use std::io::{Write, stdout};

use clap::{Args, Subcommand};

use crate::error::Error;
use crate::io::message::STDOUT;
use crate::method::reference::reference;
use crate::method::schema::schema;

/// Show a configuration with all its values, and every key there is.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  unbraid config show --conf conf/default.toml
  unbraid config reference > configuration.md
  unbraid config schema > unbraid.schema.json")]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::ShowArgs),
    /// Print every key of a configuration in Markdown: type, default and meaning.
    Reference,
    /// Print a JSON schema of configurations, for editors that check and complete TOML.
    ///
    /// In the first line of a configuration it is named as '#:schema ./unbraid.schema.json' (taplo, Even Better TOML).
    Schema,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with a configuration.
pub fn run(args: ConfigArgs) -> anyhow::Result<()> {
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
