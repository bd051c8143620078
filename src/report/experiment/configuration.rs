//! The configuration of the run, and the versions that wrote the page.

use super::Part;
use super::folder::{ExpFolder, read_text};
use crate::error::Result;
use crate::nn::device::LIBTORCH;
use crate::report::page::{Html, command_line};
use crate::train::checkpoint;

/// The section.
///
/// # Errors
/// For a file that cannot be read.
pub(super) fn section(exp: &ExpFolder) -> Result<Part> {
    let mut html = Html::default();
    let device = match exp.value(&["device"]).and_then(|value| value.as_str()) {
        Some("auto") => "auto (a GPU where there is one; the run does not record which)".into(),
        Some(device) => device.to_string(),
        None => "not given".into(),
    };
    let mut facts = vec![
        ("Checkpoint".into(), step(exp)?),
        ("Device".into(), device),
        (
            "Page written by unbraid".into(),
            env!("CARGO_PKG_VERSION").into(),
        ),
        ("with libtorch".into(), LIBTORCH.into()),
    ];
    if let Some(threads) = exp.value(&["train", "threads"]) {
        let threads = match threads.as_integer() {
            Some(0) => "all cores".to_string(),
            _ => threads.to_string(),
        };
        facts.push(("Threads".into(), threads));
    }
    html.facts(&facts);
    for name in ["conf.toml", "front_end.toml"] {
        if let Some(path) = exp.file(name) {
            html.file(name, &read_text(&path)?);
        }
    }
    let conf = exp.path().join("conf.toml").display().to_string();
    let words = ["unbraid", "train", "--conf", &conf, "--exp", "exp/again"];
    html.command(&command_line(words));
    Ok(Part::Shown(html))
}

/// The step of the last checkpoint.
fn step(exp: &ExpFolder) -> Result<String> {
    match exp.file("last/state.json") {
        None => Ok("none".into()),
        Some(_) => {
            let state = checkpoint::read_state(&exp.path().join("last"))?;
            Ok(format!("last, step {}", state.step))
        }
    }
}
