//! Maps of both representations by speaker and by word, or of an image method's codes by class and by set.

use std::path::PathBuf;

use ndarray::Array2;

use super::Part;
use super::folder::{ExpFolder, Field, TestSet};
use crate::dataset::Table;
use crate::error::Result;
use crate::eval::map::{Draw, LEAST_ITEMS, MapItems, MapMethod, TsneOptions, label};
use crate::io::kaldi::ScpTable;
use crate::report::page::{Figure, Grid, Html, command_line};
use crate::report::scatter::{MOST_CLASSES, Scatter, classes, key};

/// Options of the maps.
#[derive(Debug, Clone, Copy)]
pub struct MapsOptions {
    /// The choice of utterances.
    pub draw: Draw,
}

/// The vectors of a map.
struct Representation {
    name: &'static str,
    scp: PathBuf,
}

/// The labels that give points their colours.
struct Colouring {
    name: &'static str,
    labels: Table,
}

/// The section.
///
/// # Errors
/// As [`MapItems::of_list`], [`label`] and [`MapMethod::map`].
pub(super) fn section(
    exp: &ExpFolder,
    data: Option<&TestSet>,
    options: MapsOptions,
) -> Result<Part> {
    let (representations, colourings) = match (exp.field(), data) {
        (Field::Images, _) => of_images(exp)?,
        (Field::Speech, Some(data)) => of_speech(exp, data)?,
        (Field::Speech, None) => return Part::left_out("needs --data, for speakers and texts"),
    };
    if representations.is_empty() {
        return Part::left_out(match (exp.field(), data) {
            (Field::Speech, Some(data)) => {
                let set = data.name();
                format!(
                    "needs phonetic_{set}.scp or speaker_{set}.scp, which unbraid extract writes"
                )
            }
            _ => "needs codes.scp with text, which unbraid image encode --tables writes".into(),
        });
    }
    let mut html = Html::default();
    let mut any = false;
    for representation in &representations {
        any |= add_maps(representation, &colourings, options, &mut html)?;
    }
    match any {
        true => Ok(Part::Shown(html)),
        false => Part::left_out(format!(
            "needs {LEAST_ITEMS} utterances, and labels with 2 to {MOST_CLASSES} classes"
        )),
    }
}

fn of_speech(exp: &ExpFolder, data: &TestSet) -> Result<(Vec<Representation>, Vec<Colouring>)> {
    let named = ["phonetic", "speaker"].map(|name| (name, format!("{name}_{}.scp", data.name())));
    let there = named.into_iter().filter_map(|(name, file)| {
        let scp = exp.file(&file)?;
        Some(Representation { name, scp })
    });
    let mut colourings = Vec::new();
    if let Some(labels) = data.dir.table("utt2spk")? {
        let name = "speaker";
        colourings.push(Colouring { name, labels });
    }
    if let Some(labels) = data.dir.table("text")? {
        let several = labels
            .entries()
            .iter()
            .any(|entry| entry.value.contains(' '));
        let name = if several { "sentence" } else { "word" };
        colourings.push(Colouring { name, labels });
    }
    Ok((there.collect(), colourings))
}

fn of_images(exp: &ExpFolder) -> Result<(Vec<Representation>, Vec<Colouring>)> {
    let mut colourings = Vec::new();
    for (name, file) in [("class", "text"), ("set", "utt2set")] {
        if let Some(path) = exp.file(file) {
            let labels = Table::read(path)?;
            colourings.push(Colouring { name, labels });
        }
    }
    let codes = exp.file("codes.scp").filter(|_| !colourings.is_empty());
    let name = "codes";
    Ok((
        codes
            .map(|scp| Representation { name, scp })
            .into_iter()
            .collect(),
        colourings,
    ))
}

/// Adds both maps of a representation for every label that can be shown; returns whether there was one.
fn add_maps(
    representation: &Representation,
    colourings: &[Colouring],
    options: MapsOptions,
    html: &mut Html,
) -> Result<bool> {
    if ScpTable::<Array2<f32>>::open(&representation.scp)?
        .keys()
        .len()
        < LEAST_ITEMS
    {
        return Ok(false);
    }
    let items = MapItems::of_list(&representation.scp, options.draw, &mut |_| Ok(()))?;
    let mut shown = Vec::new();
    for colouring in colourings {
        let labels = items.ids.iter().map(|id| label(&colouring.labels, id));
        let labels = labels.collect::<Result<Vec<&str>>>()?;
        let (classes, names) = classes(&labels);
        if (2..=MOST_CLASSES).contains(&names.len()) {
            shown.push((colouring, classes, names));
        }
    }
    if shown.is_empty() {
        return Ok(false);
    }
    html.words("h3", &title(representation.name));
    let of = match items.ids.len() == items.all {
        true => format!("All {} of the list", items.all),
        false => format!(
            "{} of {}, a random subset (seed {})",
            items.ids.len(),
            items.all,
            options.draw.seed
        ),
    };
    html.note(&format!(
        "{of}; {} averaged over time. t-SNE keeps neighbours together; its distances between groups mean little.",
        match representation.name {
            "phonetic" => "codes",
            _ => "vectors",
        }
    ));
    let hints = hints(&items, colourings)?;
    let mut commands = Vec::new();
    for method in [MapMethod::Tsne, MapMethod::Pca] {
        let tsne = TsneOptions {
            seed: options.draw.seed,
            ..TsneOptions::default()
        };
        let map = method.map(&items.vectors, &tsne)?;
        let mut wrong = None;
        html.grid(Grid::Two, |html| {
            for (colouring, classes, names) in &shown {
                let caption = format!(
                    "{} by {}: {}",
                    title(representation.name),
                    colouring.name,
                    method.name()
                );
                let scatter = Scatter {
                    title: caption.clone(),
                    subtitle: String::new(),
                    axes: method.axes().map(String::from),
                    points: map.rows().into_iter().map(|row| (row[0], row[1])).collect(),
                    hints: hints.clone(),
                    classes: classes.clone(),
                    names: names.clone(),
                };
                match scatter.bare() {
                    Ok(picture) => {
                        let marks = names.iter().enumerate();
                        let legend: Vec<_> = marks
                            .map(|(class, name)| (key(class), name.as_str()))
                            .collect();
                        let figure = Figure {
                            picture: &picture,
                            most: 520,
                            caption: &caption,
                        };
                        html.map(figure, &legend);
                    }
                    Err(error) => wrong = Some(error),
                }
            }
        });
        if let Some(error) = wrong {
            return Err(error);
        }
        commands.extend(
            shown
                .iter()
                .map(|(colouring, ..)| command(representation, colouring, method, options)),
        );
    }
    html.command(&commands.join("\n"));
    Ok(true)
}

fn title(representation: &str) -> String {
    match representation {
        "codes" => "Codes".into(),
        _ => {
            let mut letters = representation.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            format!(
                "{} representation",
                first.chain(letters).collect::<String>()
            )
        }
    }
}

/// The name and the labels of each utterance.
fn hints(items: &MapItems, colourings: &[Colouring]) -> Result<Vec<String>> {
    let hint = |id: &String| {
        let mut parts = vec![id.clone()];
        for colouring in colourings {
            let label = label(&colouring.labels, id)?;
            // Short, since a map may have a thousand of them.
            parts.push(label.chars().take(60).collect());
        }
        Ok(parts.join(" · "))
    };
    items.ids.iter().map(hint).collect()
}

fn command(
    representation: &Representation,
    colouring: &Colouring,
    method: MapMethod,
    options: MapsOptions,
) -> String {
    let name = match method {
        MapMethod::Pca => "pca",
        MapMethod::Tsne => "tsne",
    };
    let out = format!("{}_{}_{name}.svg", representation.name, colouring.name);
    command_line([
        "unbraid",
        "plot",
        "map",
        &representation.scp.display().to_string(),
        "--labels",
        &colouring.labels.path().display().to_string(),
        "--method",
        name,
        "--max-points",
        &options.draw.most.to_string(),
        "--seed",
        &options.draw.seed.to_string(),
        "--out",
        &out,
    ])
}
