//! Which items are compared: groups of one label in conditions of one context and one speaker, and the tasks made of them.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::{AbxOptions, Item};

/// Items of one context and speaker.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) context: u32,
    pub(super) speaker: u32,
    /// The indices of the items of each label.
    pub(super) groups: BTreeMap<u32, Vec<usize>>,
}

/// All conditions, sorted by context.
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) conditions: Vec<Condition>,
    labels: Vec<String>,
    contexts: usize,
    groups_cut: usize,
}

/// One label a of one condition, and the conditions that x comes from.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) condition: usize,
    pub(super) label: u32,
    /// Whether x is of another speaker, and the condition.
    pub(super) x_conditions: Vec<(bool, usize)>,
}

/// All tasks.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) tasks: Vec<Task>,
    pub(super) voices_cut: usize,
}

impl Conditions {
    pub(super) fn of(items: &[Item], options: AbxOptions) -> Self {
        let labels = Names::of(items.iter().map(|item| item.label.as_str()));
        let contexts = Names::of(items.iter().map(|item| item.context.as_str()));
        let speakers = Names::of(items.iter().map(|item| item.speaker.as_str()));
        let mut conditions: BTreeMap<(u32, u32), BTreeMap<u32, Vec<usize>>> = BTreeMap::new();
        for (number, item) in items.iter().enumerate() {
            let condition = (
                contexts.number(&item.context),
                speakers.number(&item.speaker),
            );
            let groups = conditions.entry(condition).or_default();
            let group = groups.entry(labels.number(&item.label)).or_default();
            group.push(number);
        }
        let mut found = Self {
            conditions: conditions
                .into_iter()
                .map(|((context, speaker), groups)| Condition {
                    context,
                    speaker,
                    groups,
                })
                .collect(),
            labels: labels.0.iter().map(|name| name.to_string()).collect(),
            contexts: contexts.0.len(),
            groups_cut: 0,
        };
        found.cut(options);
        found
    }

    fn cut(&mut self, options: AbxOptions) {
        let groups = self
            .conditions
            .iter_mut()
            .flat_map(|condition| condition.groups.values_mut());
        for (stream, group) in (0..).zip(groups) {
            if let Some(drawn) = draw(group, options.max_items, options.seed, stream) {
                *group = drawn;
                self.groups_cut += 1;
            }
        }
    }

    /// Whether items differ in context.
    pub(super) fn has_contexts(&self) -> bool {
        self.contexts > 1
    }

    pub(super) fn label(&self, number: u32) -> &str {
        &self.labels[number as usize]
    }

    pub(super) fn groups(&self) -> usize {
        self.conditions
            .iter()
            .map(|condition| condition.groups.len())
            .sum()
    }

    pub(super) fn groups_cut(&self) -> usize {
        self.groups_cut
    }

    /// Every label with another label in its condition and with an x to compare.
    pub(super) fn tasks(&self, options: AbxOptions) -> Plan {
        let mut plan = Plan::default();
        let mut by_label: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for (number, condition) in self.conditions.iter().enumerate() {
            for &label in condition.groups.keys() {
                by_label
                    .entry((condition.context, label))
                    .or_default()
                    .push(number);
            }
        }
        for (number, condition) in self.conditions.iter().enumerate() {
            if condition.groups.len() < 2 {
                continue;
            }
            for (&label, group) in &condition.groups {
                let mut others = by_label[&(condition.context, label)].clone();
                others.retain(|&other| other != number);
                let stream = plan.tasks.len() as u64;
                if let Some(drawn) = draw(&others, options.max_speakers, options.seed, stream) {
                    others = drawn;
                    plan.voices_cut += 1;
                }
                let own = (group.len() > 1).then_some((false, number));
                let x_conditions: Vec<(bool, usize)> = own
                    .into_iter()
                    .chain(others.into_iter().map(|other| (true, other)))
                    .collect();
                if !x_conditions.is_empty() {
                    plan.tasks.push(Task {
                        condition: number,
                        label,
                        x_conditions,
                    });
                }
            }
        }
        plan
    }
}

/// `most` of `from` in their order, when there are more.
fn draw(from: &[usize], most: usize, seed: u64, stream: u64) -> Option<Vec<usize>> {
    if most == 0 || from.len() <= most {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut drawn: Vec<usize> = from.sample(&mut rng, most).copied().collect();
    drawn.sort_unstable();
    Some(drawn)
}

/// Different names, numbered in byte order.
struct Names<'a>(Vec<&'a str>);

impl<'a> Names<'a> {
    fn of(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn number(&self, name: &str) -> u32 {
        self.0.partition_point(|known| *known < name) as u32
    }
}
