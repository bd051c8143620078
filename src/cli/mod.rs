//! The command line: one file per command, which parses, calls the library and prints. Folders are groups of commands.

// Commands, and groups of them.
mod asr;
mod config;
mod convert;
mod data;
mod eval;
mod export;
mod extract;
mod feats;
mod image;
mod plot;
mod report;
mod shell;
mod stream;
mod train;
mod units;
mod verify;

// What commands share.
mod arguments;
mod choices;
mod failures;
mod messages;
mod named_files;
mod old_names;
mod progress;
mod recordings;
mod result_files;
mod resynthesis;

use std::env::args_os;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Disentangle speech into phonetic codes and speaker embeddings.
#[derive(Debug, Parser)]
#[command(
    name = "unbraid",
    version,
    propagate_version = true,
    after_long_help = "\
Examples, from recordings to codes, and to a probe of the codes:
  unbraid data validate --no-feats data/train
  unbraid feats fbank --conf conf/fbank.toml scp:data/train/wav.scp \\
    ark,scp:data/train/feats.ark,data/train/feats.scp
  unbraid train --conf conf/default.toml --exp exp/default
  unbraid extract --exp exp/default --output phonetic scp:data/test/feats.scp \\
    ark,scp:z.ark,z.scp
  unbraid eval probe data/train data/test --target speaker \\
    --representation phonetic=z_train.scp,z.scp

'unbraid help COMMAND' explains a command, with examples. The guide is in
docs/guide, whole experiments are in recipes."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Data(data::DataArgs),
    Feats(feats::FeatsArgs),
    Units(units::UnitsArgs),
    Train(train::TrainArgs),
    Config(config::ConfigArgs),
    Extract(extract::ExtractArgs),
    Convert(convert::ConvertArgs),
    Stream(stream::StreamArgs),
    Export(export::ExportArgs),
    Eval(eval::EvalArgs),
    Verify(verify::VerifyArgs),
    Asr(asr::AsrArgs),
    Image(image::ImageArgs),
    Plot(plot::PlotArgs),
    Report(report::ReportArgs),
    #[command(hide = true)]
    Completions(shell::CompletionsArgs),
    #[command(hide = true)]
    Man(shell::ManArgs),
}

/// What `unbraid --help` shows, and under which headings.
const HEADINGS: &[(&str, &[&str])] = &[
    ("Data and features", &["data", "feats", "units"]),
    (
        "Train and use",
        &["train", "config", "extract", "convert", "stream", "export"],
    ),
    ("Evaluate", &["eval", "verify", "asr"]),
    ("Images", &["image"]),
    ("Plots and reports", &["plot", "report"]),
];

/// Runs the command line of this process.
///
/// # Errors
/// The error of the command, which names file and line or key.
pub fn run() -> anyhow::Result<()> {
    messages::install();
    let command = command();
    let words = old_names::renew(args_os().collect(), &command);
    let parsed = Cli::from_arg_matches(&command.get_matches_from(words));
    match parsed.unwrap_or_else(|error| error.exit()).command {
        Command::Data(args) => data::run(args),
        Command::Feats(args) => feats::run(args),
        Command::Units(args) => units::run(args),
        Command::Train(args) => train::run(args),
        Command::Config(args) => config::run(args),
        Command::Extract(args) => extract::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Stream(args) => stream::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Eval(args) => eval::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Asr(args) => asr::run(args),
        Command::Image(args) => image::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Report(args) => report::run(args),
        Command::Completions(args) => shell::completions(&args, self::command()),
        Command::Man(args) => shell::man(&args, self::command()),
    }
}

/// All commands, with their options and their help.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let template = help_template(&command);
    command.help_template(template)
}

/// clap's own, with [`HEADINGS`] over the commands, for which it has none.
fn help_template(command: &clap::Command) -> String {
    let style = command.get_styles();
    let (header, literal) = (style.get_header(), style.get_literal());
    let mut template = "{about-with-newline}\n{usage-heading} {usage}\n\n".to_string();
    for (heading, names) in HEADINGS {
        template += &format!("{header}{heading}:{header:#}\n");
        for name in *names {
            let about = command.find_subcommand(name).and_then(|c| c.get_about());
            let about = about.cloned().unwrap_or_default();
            template += &format!("  {literal}{name:<9}{literal:#}{about}\n");
        }
        template += "\n";
    }
    template + &format!("{header}Options:{header:#}\n{{options}}{{after-help}}")
}
