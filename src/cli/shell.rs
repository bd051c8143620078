//! `unbraid completions` and `unbraid man`: completions and man pages, from the definitions of the commands.

use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::error::Error;
use crate::io::atomic;
use crate::io::message::STDOUT;

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid completions bash > unbraid.bash
  unbraid completions zsh > _unbraid
  unbraid completions fish > unbraid.fish

Where shells look for them:
  bash   ~/.local/share/bash-completion/completions/unbraid
  zsh    a folder of $fpath, as _unbraid
  fish   ~/.config/fish/completions/unbraid.fish")]
pub(super) struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write a man page for every command.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid man ~/.local/share/man/man1
  man unbraid-train")]
pub(super) struct ManArgs {
    /// Folder of the pages
    #[arg(value_name = "DIR")]
    out: PathBuf,
}

/// Prints completions of `command`.
///
/// # Errors
/// [`Error::Io`] of standard output.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "unbraid", &mut script);
    io::Write::write_all(&mut io::stdout(), &script).map_err(Error::io(STDOUT))?;
    Ok(())
}

/// Writes the pages of `command` and of all below it.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub(super) fn man(args: &ManArgs, mut command: Command) -> anyhow::Result<()> {
    // Full names and usages are made here.
    command.build();
    atomic::create_dir_all(&args.out)?;
    let mut left = vec![command];
    while let Some(command) = left.pop() {
        left.extend(
            command
                .get_subcommands()
                .filter(|c| c.get_name() != "help")
                .cloned(),
        );
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = args.out.join(format!("{name}.1"));
        let mut page = Vec::new();
        Man::new(command)
            .render(&mut page)
            .map_err(Error::io(&path))?;
        atomic::write(path, page)?;
    }
    Ok(())
}
