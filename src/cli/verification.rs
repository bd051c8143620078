//! How well scores tell, as a table for people and as files.

use std::io::{self, Write};
use std::path::Path;

use crate::eval::trials::Verification;
use crate::io::atomic;
use crate::report::table::Table;

/// Prints the measures; with a prefix, writes PREFIX.json and PREFIX.tsv too.
///
/// # Errors
/// What cannot be written.
pub fn tell(found: &Verification, out: Option<&Path>) -> anyhow::Result<()> {
    let table = table(found);
    if let Some(prefix) = out {
        let json = serde_json::to_string_pretty(found)?;
        atomic::write(format!("{}.json", prefix.display()), json + "\n")?;
        atomic::write(format!("{}.tsv", prefix.display()), table.to_tsv())?;
    }
    write!(io::stdout(), "{table}")?;
    Ok(())
}

fn table(found: &Verification) -> Table {
    // The first column is what recipes average.
    let mut table = Table::new(&[
        "EER %",
        "threshold",
        "minDCF(0.01)",
        "minDCF(0.05)",
        "minCllr",
        "Cllr",
        "targets",
        "nontargets",
    ]);
    table.row(vec![
        format!("{:.2}", 100.0 * found.eer),
        format!("{:.3}", found.threshold),
        format!("{:.3}", found.min_dcf_01),
        format!("{:.3}", found.min_dcf_05),
        format!("{:.3}", found.min_cllr),
        format!("{:.3}", found.cllr),
        found.targets.to_string(),
        found.nontargets.to_string(),
    ]);
    table
}
