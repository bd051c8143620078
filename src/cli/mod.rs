//! The command line: one file per command, which parses, calls the library and prints. Folders are groups of commands.

// Commands, and groups of them.
mod asr;
#[cfg(feature = "torch")]
mod config;
#[cfg(feature = "torch")]
mod convert;
mod data;
mod eval;
#[cfg(feature = "torch")]
mod export;
#[cfg(feature = "torch")]
mod extract;
mod feats;
#[cfg(feature = "torch")]
mod image;
mod plot;
#[cfg(feature = "torch")]
mod report;
#[cfg(feature = "torch")]
mod same;
#[cfg(feature = "torch")]
mod shell;
#[cfg(feature = "torch")]
mod stream;
#[cfg(feature = "torch")]
mod train;
mod units;
mod verify;

// What commands share; parts of it serve only those that need networks.
mod arguments;
mod choices;
#[cfg_attr(not(feature = "torch"), allow(dead_code))]
mod failures;
mod messages;
#[cfg(feature = "torch")]
mod models;
mod named_files;
#[cfg(any(not(feature = "torch"), test))]
#[cfg_attr(feature = "torch", allow(dead_code))]
mod networks;
mod old_names;
mod process;
#[cfg_attr(not(feature = "torch"), allow(dead_code))]
mod progress;
#[cfg_attr(not(feature = "torch"), allow(dead_code))]
mod recordings;
mod result_files;
#[cfg_attr(not(feature = "torch"), allow(dead_code))]
mod resynthesis;
#[cfg(feature = "torch")]
mod training_bar;

use std::env::args_os;
use std::io::Write;

pub use process::main;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::io::message::STDOUT;

/// Disentangle speech into phonetic codes and speaker embeddings.
#[derive(Debug, Parser)]
#[command(
    name = "unbraid",
    version,
    propagate_version = true,
    after_long_help = "\
Examples, with a model that comes with unbraid ('unbraid models' lists them):
  unbraid extract --model en-16k --out codes.json a.wav b.flac
  unbraid same --model en-16k a.wav b.wav

From recordings to codes of a model of your own, and to a probe of the codes:
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
    #[cfg(feature = "torch")]
    Train(train::TrainArgs),
    #[cfg(feature = "torch")]
    Config(config::ConfigArgs),
    #[cfg(feature = "torch")]
    Extract(extract::ExtractArgs),
    #[cfg(feature = "torch")]
    Convert(convert::ConvertArgs),
    #[cfg(feature = "torch")]
    Stream(stream::StreamArgs),
    #[cfg(feature = "torch")]
    Export(export::ExportArgs),
    Eval(eval::EvalArgs),
    Verify(verify::VerifyArgs),
    Asr(asr::AsrArgs),
    #[cfg(feature = "torch")]
    Image(image::ImageArgs),
    Plot(plot::PlotArgs),
    #[cfg(feature = "torch")]
    Report(report::ReportArgs),
    #[cfg(feature = "torch")]
    #[command(hide = true)]
    Models(models::ModelsArgs),
    #[cfg(feature = "torch")]
    #[command(hide = true)]
    Same(same::SameArgs),
    #[cfg(feature = "torch")]
    #[command(hide = true)]
    Completions(shell::CompletionsArgs),
    #[cfg(feature = "torch")]
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
    #[cfg(not(feature = "torch"))]
    if networks::asks_for_one(&words, &command) {
        match networks::become_it()? {}
    }
    let matches = command.try_get_matches_from(words);
    let parsed = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(parsed) => parsed,
        Err(wrong) if wrong.use_stderr() => wrong.exit(),
        Err(help) => return Ok(print_help(&help)?),
    };
    match parsed.command {
        Command::Data(args) => data::run(args),
        Command::Feats(args) => feats::run(args),
        Command::Units(args) => units::run(args),
        #[cfg(feature = "torch")]
        Command::Train(args) => train::run(args),
        #[cfg(feature = "torch")]
        Command::Config(args) => config::run(args),
        #[cfg(feature = "torch")]
        Command::Extract(args) => extract::run(args),
        #[cfg(feature = "torch")]
        Command::Convert(args) => convert::run(args),
        #[cfg(feature = "torch")]
        Command::Stream(args) => stream::run(&args),
        #[cfg(feature = "torch")]
        Command::Export(args) => export::run(&args),
        Command::Eval(args) => eval::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Asr(args) => asr::run(args),
        #[cfg(feature = "torch")]
        Command::Image(args) => image::run(args),
        Command::Plot(args) => plot::run(args),
        #[cfg(feature = "torch")]
        Command::Report(args) => report::run(args),
        #[cfg(feature = "torch")]
        Command::Models(args) => models::run(&args),
        #[cfg(feature = "torch")]
        Command::Same(args) => same::run(&args),
        #[cfg(feature = "torch")]
        Command::Completions(args) => shell::completions(&args, self::command()),
        #[cfg(feature = "torch")]
        Command::Man(args) => shell::man(&args, self::command()),
    }
}

/// Prints help or the version, which clap hands over as errors.
fn print_help(help: &clap::Error) -> crate::Result<()> {
    let printed = help.print().and_then(|()| std::io::stdout().flush());
    printed.map_err(crate::Error::io(STDOUT))
}

/// All commands, with their options and their help.
pub fn command() -> clap::Command {
    let command = Cli::command();
    #[cfg(not(feature = "torch"))]
    let command = networks::declare(command);
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
