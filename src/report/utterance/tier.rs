//! Strips over time: voiced frames, and phones between their boundaries.

use ndarray::ArrayView1;

use super::super::picture::{Anchor, Colour, text_width};
use super::{
    FrameTimes, GAP, GREEN, GREY, INK, NUMBERS, PALE, Sheet, TOP, TimedPhone, frame_start,
};

const PHONE: f64 = 13.0;
const LEAST_PHONE: f64 = 9.0;
const ROW: f64 = 20.0;
/// Between a name and its boundaries.
const AIR: f64 = 4.0;
const STRIP: f64 = 14.0;
/// Boundaries run through all panels, and let what lies below shine through.
const BOUNDARY: Colour = Colour([255, 255, 255, 110]);

/// Pixels that a second needs for the names of nine phones of ten to fit.
pub fn pace(phones: &[TimedPhone<String>]) -> f64 {
    let mut needs: Vec<f64> = phones
        .iter()
        .filter(|phone| phone.duration > 0.0)
        .map(|phone| (text_width(&phone.phone, PHONE) + AIR) / phone.duration)
        .collect();
    needs.sort_by(f64::total_cmp);
    needs.get(needs.len() * 9 / 10).copied().unwrap_or(0.0)
}

/// A bar over each run of voiced frames.
pub fn voiced(sheet: &mut Sheet, voiced: ArrayView1<'_, f32>, times: FrameTimes) {
    let top = sheet.top;
    name(sheet, top + STRIP / 2.0, "voiced");
    let (left, _) = sheet.time.pixels;
    let width = sheet.time.width();
    sheet.rectangle((left, top), (width, STRIP), PALE);
    let mut frame = 0;
    while frame < voiced.len() {
        let run = voiced.iter().skip(frame);
        let length = run
            .take_while(|&&value| (value > 0.5) == (voiced[frame] > 0.5))
            .count();
        if voiced[frame] > 0.5 {
            let begin = sheet.time.at(frame_start(frame, times));
            let end = sheet.time.at(frame_start(frame + length, times));
            sheet.rectangle((begin, top), (end - begin, STRIP), GREEN);
        }
        frame += length;
    }
    sheet.top += STRIP + GAP;
}

/// Names of phones between their boundaries, which run up through the panels. Names that are too wide stand in
/// two rows in turn, and smaller if that does not do.
pub fn phones(sheet: &mut Sheet, phones: &[TimedPhone<String>]) {
    let top = sheet.top;
    let places: Vec<(f64, f64)> = phones
        .iter()
        .map(|phone| {
            (
                sheet.time.at(phone.start),
                sheet.time.at(phone.start + phone.duration),
            )
        })
        .collect();
    let tight = |size: f64, room: f64, name: &str| text_width(name, size) + AIR > room;
    let narrow = |(phone, (begin, end)): (&TimedPhone<String>, &(f64, f64))| {
        tight(PHONE, end - begin, &phone.phone)
    };
    let rows = if phones.iter().zip(&places).any(narrow) {
        2
    } else {
        1
    };
    let height = rows as f64 * ROW;
    name(sheet, top + height / 2.0, "phones");
    for (begin, end) in &places {
        for x in [*begin, *end] {
            sheet.line(vec![(x, TOP), (x, top - GAP)], BOUNDARY, 1.0);
            sheet.line(vec![(x, top), (x, top + height)], GREY, 1.0);
        }
    }
    for (index, (phone, (begin, end))) in phones.iter().zip(&places).enumerate() {
        let room = match rows {
            1 => end - begin,
            _ => room(&places, index),
        };
        let mut size = PHONE;
        while size > LEAST_PHONE && tight(size, room, &phone.phone) {
            size -= 1.0;
        }
        let base = top + (index % rows) as f64 * ROW + ROW / 2.0 + size * 0.36;
        let half = text_width(&phone.phone, size) / 2.0;
        let (left, right) = sheet.time.pixels;
        let centre = ((begin + end) / 2.0).clamp(left + half, (right - half).max(left + half));
        sheet.text((centre, base), &phone.phone, Anchor::Middle, size, INK);
    }
    sheet.frame(top, height);
    sheet.top += height + GAP;
}

/// What a phone may take in a row where its neighbours stand in the other one.
fn room(places: &[(f64, f64)], index: usize) -> f64 {
    let centre = |(begin, end): &(f64, f64)| (begin + end) / 2.0;
    let here = centre(&places[index]);
    let before = index.checked_sub(2).map(|at| here - centre(&places[at]));
    let behind = places.get(index + 2).map(|place| centre(place) - here);
    let near = before
        .into_iter()
        .chain(behind)
        .fold(f64::INFINITY, f64::min);
    near.max(places[index].1 - places[index].0)
}

/// A strip's name beside it.
fn name(sheet: &mut Sheet, middle: f64, words: &str) {
    let at = (sheet.time.pixels.0 - 8.0, middle + NUMBERS * 0.36);
    sheet.text(at, words, Anchor::End, NUMBERS, INK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_phones_ask_for_room() {
        let phone = |duration: f64| TimedPhone {
            start: 0.0,
            duration,
            phone: "m".into(),
        };
        let needs = text_width("m", PHONE) + AIR;
        assert!((pace(&[phone(0.1)]) - needs / 0.1).abs() < 1e-9);
        assert_eq!(pace(&[phone(0.0)]), 0.0);
        let mut many = vec![phone(0.1); 95];
        many.extend(vec![phone(0.001); 5]);
        assert!((pace(&many) - needs / 0.1).abs() < 1e-9);
    }

    #[test]
    fn neighbours_in_the_same_row_limit_a_name() {
        let places = [(0.0, 10.0), (10.0, 12.0), (12.0, 30.0), (30.0, 31.0)];
        assert_eq!(room(&places, 2), 18.0);
        assert_eq!(room(&places, 1), 19.5);
    }
}
