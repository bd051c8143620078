//! Units compared with aligned phones, or another class per frame, by the measures of HuBERT (Hsu et al. 2021).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::eval::interval::bootstrap_of;

/// The number of frames of each pair of phone and unit.
#[derive(Debug, Clone, Default)]
pub struct JointCounts {
    counts: Counts,
    /// Those of each utterance, for intervals.
    utterances: Vec<Vec<((i32, i32), u64)>>,
}

type Counts = BTreeMap<(i32, i32), u64>;

/// The information of units about phones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitScores {
    /// Frames counted.
    pub frames: u64,
    /// Phones that occur.
    pub phones: usize,
    /// Units that occur.
    pub units: usize,
    /// Phone purity: accuracy when each unit is mapped to its most frequent phone, 0 to 1. Grows with the number of units.
    pub phone_purity: f64,
    /// Its 95 % bootstrap interval over utterances; none with a single one.
    pub phone_purity_interval: Option<(f64, f64)>,
    /// Share of the most frequent phone: the phone purity of a single unit.
    pub chance: f64,
    /// Cluster purity: accuracy when each phone is mapped to its most frequent unit. Falls with the number of units.
    pub cluster_purity: f64,
    /// Mutual information of phone and unit, in bits; estimated from counts, which is biased upwards for few frames.
    pub bits: f64,
    /// Its 95 % bootstrap interval over utterances; none with a single one.
    pub bits_interval: Option<(f64, f64)>,
    /// Entropy of the phones, in bits.
    pub phone_entropy: f64,
    /// `bits / phone_entropy`, 0 to 1; none for a single phone.
    pub pnmi: Option<f64>,
    /// Its 95 % bootstrap interval over utterances; none with a single one.
    pub pnmi_interval: Option<(f64, f64)>,
}

impl JointCounts {
    /// Counts the frames of an utterance, each with a phone and a unit.
    pub fn add(&mut self, phones: &[i32], units: &[i32]) {
        let mut own = Counts::new();
        for (&phone, &unit) in phones.iter().zip(units) {
            *own.entry((phone, unit)).or_default() += 1;
        }
        for (&pair, count) in &own {
            *self.counts.entry(pair).or_default() += count;
        }
        self.utterances.push(own.into_iter().collect());
    }

    /// The scores of the counted frames; none without frames.
    pub fn scores(&self) -> Option<UnitScores> {
        let scores = scores(&self.counts)?;
        Some(UnitScores {
            phone_purity_interval: self.interval(|drawn| Some(drawn.phone_purity)),
            bits_interval: self.interval(|drawn| Some(drawn.bits)),
            pnmi_interval: self.interval(|drawn| drawn.pnmi),
            ..scores
        })
    }

    /// Of a score, over utterances.
    fn interval(&self, of: impl Fn(&UnitScores) -> Option<f64> + Sync) -> Option<(f64, f64)> {
        let places: BTreeMap<(i32, i32), usize> = self.counts.keys().copied().zip(0..).collect();
        let utterances: Vec<Vec<(usize, u64)>> = self
            .utterances
            .iter()
            .map(|own| {
                own.iter()
                    .map(|(pair, count)| (places[pair], *count))
                    .collect()
            })
            .collect();
        (utterances.len() > 1).then(|| {
            bootstrap_of(utterances.len(), 0, |times| {
                let mut drawn = vec![0; places.len()];
                for (utterance, &times) in utterances.iter().zip(times) {
                    for &(place, count) in utterance {
                        drawn[place] += count * times as u64;
                    }
                }
                let counts = places
                    .keys()
                    .copied()
                    .zip(drawn)
                    .filter(|(_, count)| *count > 0);
                scores(&counts.collect())
                    .as_ref()
                    .and_then(&of)
                    .unwrap_or(f64::NAN)
            })
        })
    }
}

/// Without intervals.
fn scores(counts: &Counts) -> Option<UnitScores> {
    let phones = Margin::new(counts.iter().map(|(&(phone, _), &n)| (phone, n)));
    let units = Margin::new(counts.iter().map(|(&(_, unit), &n)| (unit, n)));
    let frames: u64 = counts.values().sum();
    if frames == 0 {
        return None;
    }
    let all = frames as f64;
    let parts = counts.iter().map(|(&(phone, unit), &count)| {
        let (count, product) = (count as f64, phones.total(phone) * units.total(unit));
        count / all * (count * all / product).log2()
    });
    let bits = parts.sum::<f64>().max(0.0);
    let phone_entropy = phones.entropy(all);
    Some(UnitScores {
        frames,
        phones: phones.0.len(),
        units: units.0.len(),
        phone_purity: units.most_met() / all,
        phone_purity_interval: None,
        chance: phones.greatest() / all,
        cluster_purity: phones.most_met() / all,
        bits,
        bits_interval: None,
        phone_entropy,
        pnmi: (phones.0.len() > 1).then(|| bits / phone_entropy),
        pnmi_interval: None,
    })
}

/// Per phone, or per unit: its frames, and its frames with the most frequent partner on the other side.
struct Margin<K>(BTreeMap<K, (u64, u64)>);

impl<K: Ord> Margin<K> {
    fn new(pairs: impl Iterator<Item = (K, u64)>) -> Self {
        let mut margin = BTreeMap::new();
        for (key, count) in pairs {
            let (total, most) = margin.entry(key).or_insert((0, 0));
            *total += count;
            *most = count.max(*most);
        }
        Self(margin)
    }

    fn total(&self, key: K) -> f64 {
        self.0.get(&key).map_or(0.0, |(total, _)| *total as f64)
    }

    fn most_met(&self) -> f64 {
        self.0.values().map(|(_, most)| *most as f64).sum()
    }

    fn greatest(&self) -> f64 {
        let totals = self.0.values().map(|(total, _)| *total);
        totals.max().unwrap_or(0) as f64
    }

    fn entropy(&self, all: f64) -> f64 {
        let shares = self.0.values().map(|(total, _)| *total as f64 / all);
        shares.map(|share| -share * share.log2()).sum()
    }
}

/// Labels for `frames` units of `every` labels each: the middle one's, the earlier of two; the last label for a unit
/// whose middle lies behind it. None when the lengths differ by `every` labels or more.
pub fn middle_labels(labels: &[i32], frames: usize, every: usize) -> Option<Vec<i32>> {
    let last = labels.len().checked_sub(1)?;
    if frames.checked_mul(every)?.abs_diff(labels.len()) >= every {
        return None;
    }
    let middle = |frame: usize| labels[(frame * every + (every - 1) / 2).min(last)];
    Some((0..frames).map(middle).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(pairs: &[(i32, i32)]) -> UnitScores {
        let mut counts = JointCounts::default();
        let (phones, units): (Vec<i32>, Vec<i32>) = pairs.iter().copied().unzip();
        counts.add(&phones, &units);
        counts.scores().unwrap()
    }

    #[test]
    fn units_that_are_phones_have_all_information() {
        let found = scores(&[(3, 9), (5, 0), (7, 1), (3, 9)]);
        assert_eq!((found.phone_purity, found.cluster_purity), (1.0, 1.0));
        assert_eq!((found.chance, found.phone_entropy), (0.5, 1.5));
        assert_eq!((found.bits, found.pnmi), (1.5, Some(1.0)));
        assert_eq!((found.frames, found.phones, found.units), (4, 3, 3));
    }

    #[test]
    fn intervals_are_over_utterances() {
        let mut counts = JointCounts::default();
        for utterance in 0..40 {
            // One unit is right in three of four utterances.
            counts.add(&[0, 1], &[0, i32::from(utterance % 4 > 0)]);
        }
        let found = counts.scores().unwrap();
        let (low, high) = found.phone_purity_interval.unwrap();
        assert!(
            low < found.phone_purity && found.phone_purity < high,
            "{low} {high}"
        );
        assert!((found.phone_purity - 0.875).abs() < 1e-12);
        // Half of a proportion of 40: 0.5 * 1.96 * sqrt(0.75 * 0.25 / 40).
        assert!((high - low - 2.0 * 0.067).abs() < 0.03, "{low} {high}");
        assert!(found.pnmi_interval.is_some());
        assert_eq!(scores(&[(0, 0), (1, 1)]).phone_purity_interval, None);
    }

    #[test]
    fn units_independent_of_phones_have_no_information() {
        let found = scores(&[(0, 0), (0, 1), (1, 0), (1, 1)]);
        assert_eq!((found.bits, found.pnmi), (0.0, Some(0.0)));
        assert_eq!((found.phone_purity, found.chance), (0.5, 0.5));
        assert_eq!(scores(&[(4, 0), (4, 1)]).pnmi, None);
        assert_eq!(JointCounts::default().scores(), None);
    }

    #[test]
    fn purities_and_information_by_hand() {
        // Unit 0: two of phone 0, one of phone 1; unit 1: one of phone 1; unit 2: one of phone 1.
        let found = scores(&[(0, 0), (0, 0), (1, 0), (1, 1), (1, 2)]);
        assert!((found.phone_purity - 0.8).abs() < 1e-12);
        assert!((found.cluster_purity - 0.6).abs() < 1e-12);
        assert!((found.chance - 0.6).abs() < 1e-12);
        let entropy = |shares: &[f64]| -> f64 { shares.iter().map(|p| -p * p.log2()).sum() };
        let whole = entropy(&[0.4, 0.6]);
        let left = 0.6 * entropy(&[2.0 / 3.0, 1.0 / 3.0]);
        assert!((found.bits - (whole - left)).abs() < 1e-12);
        assert!((found.pnmi.unwrap() - (1.0 - left / whole)).abs() < 1e-12);
    }

    #[test]
    fn a_unit_has_the_label_of_its_middle() {
        let labels = [0, 1, 2, 3, 4, 5, 6, 7];
        let of = |frames, every| middle_labels(&labels, frames, every);
        assert_eq!(of(8, 1).unwrap(), labels);
        assert_eq!(of(4, 2).unwrap(), [0, 2, 4, 6]);
        assert_eq!(of(2, 3).unwrap(), [1, 4]);
        assert_eq!(of(3, 3).unwrap(), [1, 4, 7]);
        assert_eq!(of(2, 5).unwrap(), [2, 7]);
        assert_eq!(of(3, 4), None);
        assert_eq!(of(7, 1), None);
        assert_eq!(middle_labels(&[], 1, 4), None);
        assert_eq!(of(usize::MAX, 2), None);
    }
}
