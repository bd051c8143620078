//! A table, in aligned columns for the terminal, as TSV and as Markdown.

use std::fmt;

/// A table of text cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub fn new(header: &[&str]) -> Self {
        Self {
            header: header.iter().map(|name| name.to_string()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells beyond the header are dropped.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The rows, in order.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Tab-separated lines, the header first.
    pub fn to_tsv(&self) -> String {
        let line = |cells: &Vec<String>| cells.join("\t") + "\n";
        std::iter::once(&self.header)
            .chain(&self.rows)
            .map(line)
            .collect()
    }

    /// A table in Markdown.
    pub fn to_markdown(&self) -> String {
        let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = format!("|{}\n", "---|".repeat(self.header.len()));
        line(&self.header) + &rule + &self.rows.iter().map(line).collect::<String>()
    }
}

/// The ends of an interval as a cell, with so many decimals; `-` for none.
pub fn interval(ends: impl Into<Option<(f64, f64)>>, decimals: usize) -> String {
    ends.into().map_or("-".into(), |(low, high)| {
        format!("{low:.decimals$}..{high:.decimals$}")
    })
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let width = |column: usize| {
            lines()
                .filter_map(|cells| cells.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        for (index, cells) in lines().enumerate() {
            let padded = cells
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:<width$}"));
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
            if index == 0 {
                let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
                writeln!(f, "{}", rules.join("  "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["representation", "x"]);
        table.row(vec!["log-mel".into(), "1".into()]);
        assert_eq!(
            table.to_string(),
            "representation  x\n--------------  -\nlog-mel         1\n"
        );
        assert_eq!(table.to_tsv(), "representation\tx\nlog-mel\t1\n");
        assert_eq!(
            table.to_markdown(),
            "| representation | x |\n|---|---|\n| log-mel | 1 |\n"
        );
    }
}
