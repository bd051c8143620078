//! Training curves: a panel a value of `log.jsonl`, by player.

use std::collections::BTreeMap;

use super::Part;
use super::folder::ExpFolder;
use crate::error::Result;
use crate::report::curves::{Panel, keys};
use crate::report::page::{Figure, Grid, Html, command_line};
use crate::train::log::{LogLine, read};

/// The section.
///
/// # Errors
/// As [`read`].
pub fn section(exp: &ExpFolder) -> Result<Part> {
    let Some(path) = exp.file("log.jsonl") else {
        return Part::left_out("needs log.jsonl, which unbraid train writes");
    };
    let lines = read(&path)?;
    if lines.is_empty() {
        return Part::left_out("log.jsonl has no line yet");
    }
    let mut html = Html::default();
    html.paragraph("Every value that training logged, and the network that it is of.");
    let panels = panels(&lines);
    let validated = panels.iter().any(|panel| !panel.valid.is_empty());
    let names = [("training batches", true), ("validation set", validated)];
    html.element("p", &[("class", "note")], |note| {
        for (picture, (name, _)) in keys().iter().zip(names).filter(|(_, (_, shown))| *shown) {
            note.element("span", &[("class", "key")], |key| {
                key.markup(&picture.inline_svg(picture.width));
                key.text(name);
            });
        }
    });
    html.grid(Grid::Many, |html| {
        for panel in &panels {
            let picture = panel.picture();
            html.figure(Figure {
                picture: &picture,
                most: 440,
                caption: "",
            });
        }
    });
    let folder = exp.path().display().to_string();
    let conf = exp.path().join("conf.toml").display().to_string();
    let train = ["unbraid", "train", "--conf", &conf, "--exp", "exp/again"];
    let board = command_line(["tensorboard", "--logdir", &folder]);
    html.command(&format!("{}\n{board}", command_line(train)));
    Ok(Part::Shown(html))
}

/// A panel a value, player after player, what is of the whole method first.
fn panels(lines: &[LogLine]) -> Vec<Panel> {
    let steps = lines.iter().map(|line| line.step).max().unwrap_or(0) as f64;
    let mut panels: BTreeMap<(bool, &str), Panel> = BTreeMap::new();
    for line in lines {
        for (name, &value) in &line.values {
            let (player, term) = name.split_once('/').unwrap_or(("method", name));
            let own = panels.entry((name.contains('/'), name));
            let panel = own.or_insert_with(|| Panel {
                title: term.replace('_', " "),
                subtitle: player.replace('_', " "),
                train: Vec::new(),
                valid: Vec::new(),
                steps,
            });
            let curve = match line.split.as_str() {
                "valid" => &mut panel.valid,
                _ => &mut panel.train,
            };
            curve.push((line.step as f64, value));
        }
    }
    panels.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_under_their_players() {
        let line = |step, split: &str, names: &[&str]| LogLine {
            step,
            split: split.into(),
            seconds: 1.0,
            values: names.iter().map(|name| (name.to_string(), 0.5)).collect(),
        };
        let lines = [
            line(10, "train", &["b/x_y", "loss", "a/x"]),
            line(20, "valid", &["b/x_y", "loss"]),
        ];
        let found = panels(&lines);
        let names: Vec<&str> = found.iter().map(|panel| panel.subtitle.as_str()).collect();
        assert_eq!(names, ["method", "a", "b"]);
        let panel = &found[2];
        assert_eq!((panel.title.as_str(), panel.steps), ("x y", 20.0));
        assert_eq!(panel.train, [(10.0, 0.5)]);
        assert_eq!(panel.valid, [(20.0, 0.5)]);
    }
}
