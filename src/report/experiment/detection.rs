//! DET curves from the scores of `unbraid verify score --scores` and the trials of the data directory.

use std::path::Path;

use super::Part;
use super::folder::{ExpFolder, TestSet};
use super::summary::name_of;
use crate::error::Result;
use crate::eval::trials::{are_of, read_scored};
use crate::report::det::det_picture;
use crate::report::page::{Figure, Grid, Html, command_line};

/// The section.
///
/// # Errors
/// As [`read_scored`], and of trials of a single kind.
pub(super) fn section(exp: &ExpFolder, data: Option<&TestSet>) -> Result<Part> {
    let files = exp.files("", "scores_", "")?;
    if files.is_empty() {
        return Part::left_out("needs scores_NAME, which unbraid verify score --scores writes");
    }
    let Some(data) = data else {
        return Part::left_out("needs --data, for its trials");
    };
    let Some(trials) = data.dir.file("trials") else {
        let path = data.dir.path().join("trials");
        return Part::left_out(format!("needs {}", path.display()));
    };
    let mut curves = Vec::new();
    for file in &files {
        let scores = exp.path().join(file);
        // An experiment may have scores of several lists.
        if are_of(&trials, &scores)? {
            let detection = read_scored(&trials, &scores)?.detection(&trials)?;
            let name = name_of(file, "scores_", "");
            let eer = detection.verification().eer;
            curves.push((name, det_picture(name, &detection.det_curve(), eer)));
        }
    }
    if curves.is_empty() {
        let found = files.join(", ");
        return Part::left_out(format!(
            "{found}: of other trials than {}",
            trials.display()
        ));
    }
    let mut html = Html::default();
    html.paragraph(
        "Miss rate over false alarm rate for all thresholds, on axes of normal deviates, on which normal scores make a \
         straight line. The disc is the equal error rate. Chance is the falling diagonal, where both rates sum to 100 %.",
    );
    html.grid(Grid::Two, |html| {
        for (_, picture) in &curves {
            html.figure(Figure {
                picture,
                most: 470,
                caption: "",
            });
        }
    });
    let path = |path: &Path| path.display().to_string();
    let commands = curves.iter().map(|(name, _)| {
        let set = data.name();
        let of_set = name.strip_suffix(&format!("_{set}")).unwrap_or(name);
        let vectors = [
            format!("mean_{of_set}_{set}.scp"),
            format!("{of_set}_{set}.scp"),
        ];
        let vectors = vectors.into_iter().find(|name| exp.file(name).is_some());
        let vectors = exp
            .path()
            .join(vectors.unwrap_or_else(|| "EMBEDDINGS.scp".into()));
        command_line([
            "unbraid",
            "verify",
            "score",
            "--trials",
            &path(&trials),
            "--det",
            &format!("{name}.svg"),
            &format!("scp:{}", path(&vectors)),
        ])
    });
    html.command(&commands.collect::<Vec<_>>().join("\n"));
    Ok(Part::Shown(html))
}
