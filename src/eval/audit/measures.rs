//! The stages: each adds its rows to the report, or what it lacks.

use std::path::Path;

use ndarray::Array2;

use super::inputs::{ATTACK_SPEAKERS, Inputs, Measured, among};
use super::{AuditReport, rows};
use crate::dataset::DataDir;
use crate::error::Result;
use crate::eval::abx;
use crate::eval::abx::items::{
    PhoneOptions, Representation as AbxRepresentation, Units, read_items,
};
use crate::eval::attack::source::{Kind, Source};
use crate::eval::attack::{AttackData, Representation, attack};
use crate::eval::factors::{Factor, FactorOptions, factors as score_factors, pooled};
use crate::eval::grouping::Grouping;
use crate::eval::probe::{ProbeData, ProbeSets, Target, probe};
use crate::eval::units::{Codebook, JointCounts, KmeansOptions, Sample, for_each_codes, kmeans};
use crate::io::kaldi::ScpTable;

/// Frames that k-means learns from.
const KMEANS_FRAMES: usize = 20_000;

/// Fewer speakers teach an attacker little.
const FEW_SPEAKERS: usize = 20;

type Progress<'a> = dyn FnMut(&str) + 'a;

/// Why phones are not measured.
fn without_phones(inputs: &Inputs, measured: &Measured) -> Option<&'static str> {
    match (&inputs.aligned, measured.kind) {
        (None, _) => Some("no --alignments"),
        (Some(_), Kind::Vectors) => Some("one vector per utterance"),
        _ => None,
    }
}

fn stage(progress: &mut Progress, what: &str, measured: &Measured) {
    progress(&format!("{what}: {}", measured.name));
}

/// The representations of numbers, which `what` measures; that it does not measure units is noted.
fn framed<'a>(inputs: &'a Inputs, report: &mut AuditReport, what: &str) -> Vec<&'a Measured> {
    let (units, framed): (Vec<_>, Vec<_>) =
        (inputs.measured.iter()).partition(|measured| measured.kind == Kind::Units);
    units
        .iter()
        .for_each(|_| report.lacks(what, "features are units"));
    framed
}

/// Probes for speakers, words and phones.
pub(super) fn probes(
    inputs: &Inputs,
    report: &mut AuditReport,
    progress: &mut Progress,
) -> Result<()> {
    for measured in framed(inputs, report, "probes") {
        let mut one = |target, folder: &Path| -> Result<()> {
            stage(
                progress,
                &format!("{} probe", target_name(target)),
                measured,
            );
            let sets = ProbeSets::Folds {
                of: (folder, measured.path()),
                folds: report.options.folds,
            };
            let data = ProbeData { sets, by: &[] };
            let options = report.options.probe.clone();
            let found = probe(&measured.name, target, data, &options, |_| {});
            let what = format!("{} probe of {}", target_name(target), measured.name);
            if let Some(found) = report.keep(&what, found)? {
                report.rows.extend(rows::of_probe(&found));
                report.probes.push(found);
            }
            Ok(())
        };
        one(Target::Speaker, &inputs.directory("all", &inputs.ids)?)?;
        if let Ok(words) = &inputs.words {
            one(Target::Text, &inputs.directory("words", words)?)?;
        }
        if let (None, Some(aligned)) = (without_phones(inputs, measured), &inputs.aligned) {
            let name = format!("phones {}", measured.name);
            one(
                Target::Frames,
                &inputs.aligned_directory(&name, measured, &aligned.ids)?,
            )?;
        }
    }
    if let Err(why) = &inputs.words {
        report.lacks("words", why.clone());
    }
    if let Some(why) = inputs
        .measured
        .first()
        .and_then(|first| without_phones(inputs, first))
    {
        report.lacks("phones", why);
    }
    Ok(())
}

fn target_name(target: Target) -> &'static str {
    match target {
        Target::Speaker => "speaker",
        Target::Text => "word",
        Target::Frames | Target::Phones => "phone",
    }
}

/// ABX errors of phones and words.
pub(super) fn abx(
    inputs: &Inputs,
    report: &mut AuditReport,
    progress: &mut Progress,
) -> Result<()> {
    for measured in framed(inputs, report, "ABX") {
        let mut one = |what: &str, units: Units| -> Result<()> {
            stage(progress, &format!("ABX of {what}s"), measured);
            let options = report.options.abx;
            let items = read_items(&AbxRepresentation::Feats(measured.path().into()), units)?.items;
            let found = abx::abx(&items, options, measured.path(), |_, _| {});
            let name = format!("ABX of {what}s of {}", measured.name);
            if let Some(found) = report.keep(&name, found)? {
                report
                    .rows
                    .extend(rows::of_abx(&measured.name, what, &found));
            }
            Ok(())
        };
        if let Ok(words) = &inputs.words {
            one(
                "word",
                Units::Utterances(&inputs.directory("words", words)?),
            )?;
        }
        if let (None, Some(aligned)) = (without_phones(inputs, measured), &inputs.aligned) {
            let phones = PhoneOptions {
                alignments: aligned.path.clone(),
                frame_shift_ms: measured.times.shift_ms,
                first_frame_ms: Some(measured.times.first_ms),
                in_context: false,
                ..PhoneOptions::default()
            };
            let folder = inputs.directory("aligned", &aligned.ids)?;
            one("phone", Units::Phones(&folder, &phones))?;
        }
    }
    Ok(())
}

/// Disentanglement of speaker and text, where texts are repeated.
pub(super) fn factors(
    inputs: &Inputs,
    report: &mut AuditReport,
    progress: &mut Progress,
) -> Result<()> {
    let words = match &inputs.words {
        Ok(words) => words,
        Err(why) => {
            report.lacks("factors", format!("speaker alone: {why}"));
            return Ok(());
        }
    };
    let dir = DataDir::open(inputs.directory("words", words)?)?;
    let mut known = Vec::new();
    for name in ["speaker", "text"] {
        let (name, classes) = (name.to_string(), Grouping::read(name, &dir)?.classes().1);
        known.push(Factor { name, classes });
    }
    for measured in framed(inputs, report, "factors") {
        stage(progress, "factors", measured);
        let options = FactorOptions {
            seed: report.options.seed,
            ..FactorOptions::default()
        };
        let found = score_factors(&pooled(&dir, measured.path())?, &known, options);
        if let Some(found) = report.keep(&format!("factors of {}", measured.name), found)? {
            report.rows.extend(rows::of_factors(&measured.name, &found));
            report.factors.push((measured.name.clone(), found));
        }
    }
    Ok(())
}

/// Information of units on phones and speakers: of those that are given, and of k-means of every representation.
pub(super) fn units(
    inputs: &Inputs,
    report: &mut AuditReport,
    progress: &mut Progress,
) -> Result<()> {
    let given = report.data.units.clone();
    for measured in &inputs.measured {
        let mut counts = Counts::new(inputs, measured);
        if measured.kind == Kind::Units {
            counts.add_all(&measured.place)?;
            report.rows.extend(counts.rows(&measured.name, "units"));
        } else if report.options.clusters > 0 && measured.kind == Kind::Matrices {
            stage(progress, "units", measured);
            let book = clusters(inputs, measured, report)?;
            let what = format!("units of {}", measured.name);
            if let Some(book) = report.keep(&what, book)? {
                let name = format!("k-means, {}", book.clusters());
                each(inputs, measured, |id, frames| {
                    let nearest = book.nearest(frames.view());
                    let units: Vec<i32> = nearest.iter().map(|found| found.unit as i32).collect();
                    counts.add(id, &units)
                })?;
                report.rows.extend(counts.rows(&measured.name, &name));
            }
        }
    }
    if let (Some(place), Some(first)) = (given, inputs.measured.first()) {
        let mut counts = Counts::new(inputs, first);
        counts.add_all(&place)?;
        report.rows.extend(counts.rows("units", "given"));
    }
    Ok(())
}

fn clusters(
    inputs: &Inputs,
    measured: &Measured,
    report: &AuditReport,
) -> Result<Result<Codebook>> {
    let options = KmeansOptions {
        clusters: report.options.clusters,
        seed: report.options.seed,
        ..KmeansOptions::default()
    };
    let mut sample = Sample::new(KMEANS_FRAMES, report.options.seed);
    each(inputs, measured, |_, frames| {
        sample.push(frames, 0);
        Ok(())
    })?;
    let (frames, _) = sample.into_parts();
    Ok(kmeans(&frames, &options).map(|found| found.codebook))
}

/// The frames of every utterance that is measured.
fn each(
    inputs: &Inputs,
    measured: &Measured,
    mut take: impl FnMut(&str, &Array2<f32>) -> Result<()>,
) -> Result<()> {
    let known = among(&inputs.ids);
    for_each_codes(&measured.specifier(), None, |id, frames| {
        match known.contains(id) {
            true => take(id, &frames),
            false => Ok(()),
        }
    })
}

/// How often units meet phones and speakers.
struct Counts<'a> {
    inputs: &'a Inputs,
    measured: &'a Measured,
    phones: JointCounts,
    speakers: JointCounts,
}

impl<'a> Counts<'a> {
    fn new(inputs: &'a Inputs, measured: &'a Measured) -> Self {
        Self {
            inputs,
            measured,
            phones: JointCounts::default(),
            speakers: JointCounts::default(),
        }
    }

    fn add(&mut self, id: &str, units: &[i32]) -> Result<()> {
        let speaker = vec![self.inputs.speaker(id); units.len()];
        self.speakers.add(&speaker, units);
        if let Some(aligned) = &self.inputs.aligned
            && aligned.has(id)
        {
            let phones = aligned.classes(id, units.len(), self.measured.times)?;
            self.phones.add(&phones, units);
        }
        Ok(())
    }

    fn add_all(&mut self, place: &str) -> Result<()> {
        let table = ScpTable::<Vec<i32>>::open(place)?;
        for id in &self.inputs.ids {
            self.add(id, &table.get(id)?)?;
        }
        Ok(())
    }

    fn rows(&self, representation: &str, units: &str) -> Vec<super::AuditRow> {
        let (phones, speakers) = (self.phones.scores(), self.speakers.scores());
        rows::of_units((representation, units), phones, speakers)
    }
}

/// Attacks on half of the speakers, learned from the others.
pub(super) fn attacks(
    inputs: &Inputs,
    report: &mut AuditReport,
    progress: &mut Progress,
) -> Result<()> {
    let Some((train, test)) = &inputs.attacked else {
        let found = inputs.speakers.names().len();
        report.lacks(
            "attack",
            format!("expected {ATTACK_SPEAKERS} speakers, found {found}"),
        );
        return Ok(());
    };
    progress("attack");
    let (train, test) = (inputs.ids_of(train), inputs.ids_of(test));
    let source = |place: &str| -> Result<(Source, Source)> {
        let source = Source::open(place)?;
        Ok((source.among(among(&train)), source.among(among(&test))))
    };
    let mut places: Vec<(String, String)> = Vec::new();
    for measured in &inputs.measured {
        places.push((measured.name.clone(), measured.place.clone()));
    }
    places.extend(
        report
            .data
            .units
            .clone()
            .map(|place| ("units".to_string(), place)),
    );
    let mut representations = Vec::new();
    for (name, place) in places {
        let (train, test) = source(&place)?;
        representations.push(Representation { name, train, test });
    }
    let folders = [("attack/train", &train), ("attack/test", &test)].map(|(name, ids)| {
        match (&inputs.aligned, inputs.measured.first()) {
            // Phones stand beside codes where every utterance has some.
            (Some(aligned), Some(first))
                if first.kind == Kind::Matrices && aligned.ids.len() == inputs.ids.len() =>
            {
                inputs.aligned_directory(name, first, ids)
            }
            _ => inputs.directory(name, ids),
        }
    });
    let [train, test] = folders;
    let data = AttackData {
        train: train?,
        test: test?,
        representations,
        ..AttackData::default()
    };
    let options = report.options.attack.clone();
    let found = attack(&data, &options, |name| {
        progress(&format!("attack: {name} done"))
    })?;
    report.rows.extend(rows::of_attack(&found));
    // Their data directories are gone when somebody reads it.
    let own = format!("{}/", inputs.folder.path().display());
    report
        .notes
        .extend(found.notes.iter().map(|note| note.replace(&own, "")));
    if found.train_speakers < FEW_SPEAKERS {
        let (learn, choose) = (found.train_speakers, found.dev_speakers);
        report.notes.push(format!(
            "attack: attackers learned from {learn} speakers and were chosen on {choose}: with more they would be stronger"
        ));
    }
    report.attack = Some(found);
    Ok(())
}
