//! Measures of verification, printed as a table and written as files.

use std::path::Path;

use crate::cli::result_files::ResultFiles;
use crate::eval::trials::Verification;
use crate::io::message::output;
use crate::report::table::Table;

/// Prints the measures, those of log-likelihood ratios where the scores are `ratios`; with a prefix, writes PREFIX.json
/// (all measures) and PREFIX.tsv too.
///
/// # Errors
/// What cannot be written.
pub(super) fn print(found: &Verification, ratios: bool, out: Option<&Path>) -> anyhow::Result<()> {
    let table = table(found, ratios);
    if let Some(prefix) = out {
        ResultFiles::new(prefix, found, &table)?.write()?;
    }
    output(format_args!("{table}"))?;
    Ok(())
}

fn table(found: &Verification, ratios: bool) -> Table {
    // The first column is what recipes average.
    let mut cells = vec![
        ("EER %", format!("{:.2}", 100.0 * found.eer)),
        ("threshold", format!("{:.3}", found.threshold)),
        ("minDCF(0.01)", format!("{:.3}", found.min_dcf_01)),
        ("minDCF(0.05)", format!("{:.3}", found.min_dcf_05)),
    ];
    if ratios {
        cells.push(("minCllr", format!("{:.3}", found.min_cllr)));
        cells.push(("Cllr", format!("{:.3}", found.cllr)));
    }
    cells.push(("targets", found.targets.to_string()));
    cells.push(("nontargets", found.nontargets.to_string()));
    let (header, row): (Vec<&str>, Vec<String>) = cells.into_iter().unzip();
    let mut table = Table::new(&header);
    table.row(row);
    table
}
