//! Training curves: one panel per value of `log.jsonl`, sorted by module.

use std::collections::BTreeMap;

use super::Part;
use super::folder::{ExpFolder, Field};
use crate::error::Result;
use crate::method::speech::ModelInfo;
use crate::report::curves::{Panel, keys};
use crate::report::page::{Figure, Grid, Html, command_line};
use crate::train::log::{LogLine, read};

/// The section.
///
/// # Errors
/// As [`read`].
pub(super) fn section(exp: &ExpFolder) -> Result<Part> {
    let Some(path) = exp.file("log.jsonl") else {
        return Part::left_out("needs log.jsonl, which unbraid train writes");
    };
    let lines = read(&path)?;
    if lines.is_empty() {
        return Part::left_out("log.jsonl has no line yet");
    }
    let mut html = Html::default();
    for verdict in exp.verdict()? {
        html.paragraph(&format!("Verdict: {verdict}."));
    }
    html.paragraph("Every logged value of training, with the module that it belongs to.");
    let mut panels = panels(&lines);
    let chances = Chances::read(exp)?;
    for ((_, name), panel) in &mut panels {
        panel.chance = chances.of(name);
    }
    let panels: Vec<Panel> = panels.into_values().collect();
    let any = |shown: fn(&Panel) -> bool| panels.iter().any(shown);
    let names = [
        ("training batches", true),
        ("validation set", any(|panel| !panel.valid.is_empty())),
        ("chance", any(|panel| panel.chance.is_some())),
    ];
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

/// The chance levels of adversaries and label heads.
struct Chances {
    labels: usize,
    /// For each adversary, the number of its classes.
    of_adversaries: Vec<usize>,
}

impl Chances {
    fn read(exp: &ExpFolder) -> Result<Self> {
        let (mut speakers, mut labels) = (0, 0);
        if exp.field() == Field::Speech && exp.file("inventory.json").is_some() {
            let info: ModelInfo = exp.experiment().read_json("inventory.json")?;
            speakers = info.inventory.speakers.len();
            labels = info.inventory.labels.len();
        }
        let in_batch = exp.value(&["data", "sampler", "speakers"]);
        let in_batch = in_batch
            .and_then(|speakers| speakers.as_integer())
            .unwrap_or(0) as usize;
        let adversaries = exp.value(&["method", "adversaries"]);
        let adversaries = adversaries.and_then(|all| all.as_array());
        let classes =
            |adversary: &toml::Value| match adversary.get("input").and_then(|input| input.as_str())
            {
                Some("pairs") => 2,
                Some("enrolment") => in_batch,
                _ => speakers,
            };
        Ok(Self {
            labels,
            of_adversaries: adversaries.into_iter().flatten().map(classes).collect(),
        })
    }

    /// The chance level of a logged value for equally frequent classes: one over their number, or its logarithm.
    fn of(&self, name: &str) -> Option<f64> {
        let (module, term) = name.split_once('/')?;
        let classes = match module.strip_prefix("speaker_adversary") {
            Some(rest) => {
                // The first has no number, the second is speaker_adversary_2.
                let number = rest
                    .strip_prefix('_')
                    .map_or(Ok(1), str::parse::<usize>)
                    .ok()?;
                *self.of_adversaries.get(number.checked_sub(1)?)?
            }
            None if module == "label_head" => self.labels,
            None => 0,
        };
        match term {
            _ if classes == 0 => None,
            "accuracy" => Some(1.0 / classes as f64),
            "cross_entropy" => Some((classes as f64).ln()),
            _ => None,
        }
    }
}

/// One panel per value, sorted by module, values of the whole method first.
fn panels(lines: &[LogLine]) -> BTreeMap<(bool, &str), Panel> {
    let steps = lines.iter().map(|line| line.step).max().unwrap_or(0) as f64;
    let mut panels: BTreeMap<(bool, &str), Panel> = BTreeMap::new();
    for line in lines {
        for (name, &value) in &line.values {
            let (module, term) = name.split_once('/').unwrap_or(("method", name));
            let own = panels.entry((name.contains('/'), name));
            let panel = own.or_insert_with(|| Panel {
                title: term.replace('_', " "),
                subtitle: module.replace('_', " "),
                train: Vec::new(),
                valid: Vec::new(),
                steps,
                chance: None,
            });
            let curve = match line.split.as_str() {
                "valid" => &mut panel.valid,
                _ => &mut panel.train,
            };
            curve.push((line.step as f64, value));
        }
    }
    panels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sorted_by_module() {
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
        let found: Vec<Panel> = panels(&lines).into_values().collect();
        let names: Vec<&str> = found.iter().map(|panel| panel.subtitle.as_str()).collect();
        assert_eq!(names, ["method", "a", "b"]);
        let panel = &found[2];
        assert_eq!((panel.title.as_str(), panel.steps), ("x y", 20.0));
        assert_eq!(panel.train, [(10.0, 0.5)]);
        assert_eq!(panel.valid, [(20.0, 0.5)]);
    }

    #[test]
    fn chance_depends_on_the_number_of_classes() {
        let chances = Chances {
            labels: 4,
            of_adversaries: vec![8, 2],
        };
        for (name, expected) in [
            ("speaker_adversary/accuracy", Some(0.125)),
            ("speaker_adversary/cross_entropy", Some(8f64.ln())),
            ("speaker_adversary_2/accuracy", Some(0.5)),
            ("speaker_adversary_2/accuracy", Some(0.5)),
            ("speaker_adversary_3/accuracy", None),
            ("speaker_adversary/score_gap", None),
            ("label_head/accuracy", Some(0.25)),
            ("decoder/accuracy", None),
            ("loss", None),
        ] {
            assert_eq!(chances.of(name), expected, "{name}");
        }
    }
}
