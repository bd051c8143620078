//! How many speakers an attacker finds: what `unbraid eval attack` wrote.

use super::Part;
use super::folder::ExpFolder;
use crate::error::Result;
use crate::eval::attack::AttackReport;
use crate::io::json;
use crate::report::attack::{chart, comparison, summary, table};
use crate::report::page::Html;

/// The section.
///
/// # Errors
/// For a damaged file.
pub(super) fn section(exp: &ExpFolder) -> Result<Part> {
    let files = exp.files("", "attack", ".json")?;
    if files.is_empty() {
        return Part::left_out("needs attack.json (unbraid eval attack --out EXP/attack)");
    }
    let mut html = Html::default();
    html.paragraph(
        "An attacker averages several utterances of a person on each side and names the person among the unseen speakers. \
         Codes without any speaker lie at chance. Random codes, words, phones and durations show what speakers are found by \
         without their voice.",
    );
    for file in files {
        let report: AttackReport =
            json::read(exp.path().join(&file), "results of unbraid eval attack")?;
        let caption = format!(
            "{file}: the strongest attacker on held-out training speakers. {}",
            summary(&report).trim()
        );
        html.chart(&chart(&report).svg(), &caption);
        html.table("The strongest attackers", &table(&report, false));
        html.table(
            "All attackers: identification rate over utterances",
            &comparison(&report),
        );
    }
    Ok(Part::Shown(html))
}
