//! Which items meet: groups of one label in rooms of one context and one voice, and the tasks that they make.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::{AbxOptions, Item};

/// Items of one context and voice.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) context: u32,
    pub(super) voice: u32,
    /// By label, the numbers of its items.
    pub(super) groups: BTreeMap<u32, Vec<usize>>,
}

/// All rooms, those of one context side by side.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) rooms: Vec<Room>,
    labels: Vec<String>,
    contexts: usize,
    groups_cut: usize,
}

/// One label a of one room, and the rooms that x comes from.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) room: usize,
    pub(super) label: u32,
    /// Whether across voices, and the room.
    pub(super) x_rooms: Vec<(bool, usize)>,
}

/// Everything that there is to do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) tasks: Vec<Task>,
    pub(super) voices_cut: usize,
}

impl Rooms {
    pub(super) fn of(items: &[Item], options: AbxOptions) -> Self {
        let labels = Names::of(items.iter().map(|item| item.label.as_str()));
        let contexts = Names::of(items.iter().map(|item| item.context.as_str()));
        let voices = Names::of(items.iter().map(|item| item.voice.as_str()));
        let mut rooms: BTreeMap<(u32, u32), BTreeMap<u32, Vec<usize>>> = BTreeMap::new();
        for (number, item) in items.iter().enumerate() {
            let room = (contexts.number(&item.context), voices.number(&item.voice));
            let groups = rooms.entry(room).or_default();
            let group = groups.entry(labels.number(&item.label)).or_default();
            group.push(number);
        }
        let mut found = Self {
            rooms: rooms
                .into_iter()
                .map(|((context, voice), groups)| Room {
                    context,
                    voice,
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
            .rooms
            .iter_mut()
            .flat_map(|room| room.groups.values_mut());
        for (stream, group) in (0..).zip(groups) {
            if let Some(drawn) = draw(group, options.most_items, options.seed, stream) {
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
        self.rooms.iter().map(|room| room.groups.len()).sum()
    }

    pub(super) fn groups_cut(&self) -> usize {
        self.groups_cut
    }

    /// Every label that stands beside another in its room, with an x to meet.
    pub(super) fn tasks(&self, options: AbxOptions) -> Plan {
        let mut plan = Plan::default();
        let mut by_label: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for (number, room) in self.rooms.iter().enumerate() {
            for &label in room.groups.keys() {
                by_label
                    .entry((room.context, label))
                    .or_default()
                    .push(number);
            }
        }
        for (number, room) in self.rooms.iter().enumerate() {
            if room.groups.len() < 2 {
                continue;
            }
            for (&label, group) in &room.groups {
                let mut others = by_label[&(room.context, label)].clone();
                others.retain(|&other| other != number);
                let stream = plan.tasks.len() as u64;
                if let Some(drawn) = draw(&others, options.most_voices, options.seed, stream) {
                    others = drawn;
                    plan.voices_cut += 1;
                }
                let own = (group.len() > 1).then_some((false, number));
                let x_rooms: Vec<(bool, usize)> = own
                    .into_iter()
                    .chain(others.into_iter().map(|other| (true, other)))
                    .collect();
                if !x_rooms.is_empty() {
                    plan.tasks.push(Task {
                        room: number,
                        label,
                        x_rooms,
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
