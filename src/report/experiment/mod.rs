//! The report of experiments: all results in an experiment's folder and beside it, on one page. Every number is read from a
//! file; the command that computes it stands below it. Missing parts are listed at the end.

mod attack;
mod configuration;
mod detection;
mod folder;
mod gallery;
mod listen;
mod maps;
mod summary;
mod tradeoff;
mod training;

pub use folder::{ExpFolder, Field, TestSet};
pub use listen::ListenOptions;
pub use maps::MapsOptions;

use super::page::{Chapter, Html, Page, Section};
use crate::error::Result;
use crate::inference::Model;

/// The contents of a report.
#[derive(Debug)]
pub struct Report<'a> {
    /// The experiments, at least one.
    pub exps: &'a [ExpFolder],
    /// The data directory that they were tested on, if it is known.
    pub data: Option<&'a TestSet>,
    /// For each experiment its model, or why it has none.
    pub models: &'a [Result<Model, String>],
    /// Options of the audio section.
    pub listen: ListenOptions,
    /// Options of the maps.
    pub maps: MapsOptions,
}

/// A section, or why it is missing.
#[derive(Debug)]
enum Part {
    Shown(Html),
    /// What it needs.
    LeftOut(String),
}

impl Part {
    fn left_out(need: impl Into<String>) -> Result<Self> {
        Ok(Self::LeftOut(need.into()))
    }
}

/// Sections in the order of the page, and the missing ones.
#[derive(Debug, Default)]
struct Sections {
    shown: Vec<Section>,
    left_out: Vec<String>,
}

impl Sections {
    fn add(&mut self, title: &str, part: Part) {
        match part {
            Part::Shown(body) => self.shown.push(Section {
                title: title.to_string(),
                body,
            }),
            Part::LeftOut(need) => self.left_out.push(format!("{title}: {need}")),
        }
    }
}

impl Report<'_> {
    /// The number of sections that may be there.
    pub fn len(&self) -> usize {
        1 + 7 * self.exps.len()
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.exps.is_empty()
    }

    /// The page. `progress` is called with the name of each part before its work.
    ///
    /// # Errors
    /// For a damaged file. Missing files are no error: their sections are left out.
    pub fn page(&self, mut progress: impl FnMut(&str)) -> Result<Page> {
        let several = self.exps.len() > 1;
        let (mut chapters, mut left_out) = (Vec::new(), Vec::new());
        progress("content and speaker");
        let mut together = Sections::default();
        if self.exps.iter().any(|exp| exp.field() == Field::Speech) {
            together.add(
                "Retained content and speaker leakage",
                tradeoff::section(self.exps)?,
            );
        }
        if several {
            let title = Some("Comparison".into());
            let sections = std::mem::take(&mut together.shown);
            if !sections.is_empty() {
                chapters.push(Chapter { title, sections });
            }
        }
        for (exp, model) in self.exps.iter().zip(self.models) {
            let mut own = self.of_one(exp, model, &mut progress)?;
            // On the page of a single experiment the comparison follows its summary.
            let place = own.shown.len().min(1);
            own.shown
                .splice(place..place, std::mem::take(&mut together.shown));
            let missing = own.left_out.into_iter();
            left_out.extend(missing.map(|line| match several {
                true => format!("{}: {line}", exp.name()),
                false => line,
            }));
            chapters.push(Chapter {
                title: several.then(|| exp.name().to_string()),
                sections: own.shown,
            });
        }
        left_out.splice(0..0, together.left_out);
        Ok(Page {
            title: self.title(),
            lead: self.lead(),
            chapters,
            left_out,
            written_by: format!("Written by unbraid {}.", env!("CARGO_PKG_VERSION")),
        })
    }

    fn of_one(
        &self,
        exp: &ExpFolder,
        model: &Result<Model, String>,
        progress: &mut impl FnMut(&str),
    ) -> Result<Sections> {
        let mut sections = Sections::default();
        progress("summary");
        sections.add("Summary", summary::section(exp, self.data)?);
        progress("training");
        sections.add("Training", training::section(exp)?);
        if exp.field() == Field::Speech {
            progress("attack");
            sections.add("Attack", attack::section(exp)?);
            progress("verification");
            sections.add(
                "Detection error trade-off",
                detection::section(exp, self.data)?,
            );
        }
        progress("maps");
        sections.add("Maps", maps::section(exp, self.data, self.maps)?);
        if exp.field() == Field::Speech {
            progress("sound");
            sections.add(
                "Listen",
                listen::section(exp, self.data, model, self.listen)?,
            );
        } else {
            progress("pictures");
            sections.add("Images", gallery::section(exp)?);
        }
        progress("configuration");
        sections.add(
            "Configuration and environment",
            configuration::section(exp)?,
        );
        Ok(sections)
    }

    fn title(&self) -> String {
        let names: Vec<&str> = self.exps.iter().map(ExpFolder::name).collect();
        names.join(", ")
    }

    fn lead(&self) -> String {
        match self.exps {
            [only] => format!("One run of the method {}.", only.method()),
            all => format!("Comparison of {} runs.", all.len()),
        }
    }
}
