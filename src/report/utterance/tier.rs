//! Tiers over time: voiced frames, and phones with their boundaries.

use ndarray::ArrayView1;

use super::super::picture::{Anchor, Colour, text_width};
use super::{FrameTimes, GAP, GREEN, GREY, INK, NUMBERS, PALE, Sheet, TimedPhone, frame_start};

const PHONE: f64 = 13.0;
const LEAST_PHONE: f64 = 9.0;
const ROW: f64 = 20.0;
/// Pixels between a name and its boundaries.
const AIR: f64 = 4.0;
const STRIP: f64 = 14.0;
const RIBBON: f64 = 10.0;
/// The smallest mean distance of boundaries, in pixels, with which they are drawn through panels.
const LEAST_PITCH: f64 = 8.0;
/// Beside [`PALE`].
const SHADE: Colour = Colour([160, 160, 160, 255]);
/// Boundaries run through all panels, semi-transparent.
const BOUNDARY: Colour = Colour([255, 255, 255, 110]);

/// Start and end of a phone, in pixels.
type Span = (f64, f64);

/// Pixels per second with which the names of nine of ten phones fit.
pub(super) fn pace(phones: &[TimedPhone<String>]) -> f64 {
    let mut needs: Vec<f64> = phones
        .iter()
        .filter(|phone| phone.duration > 0.0)
        .map(|phone| (text_width(&phone.phone, PHONE) + AIR) / phone.duration)
        .collect();
    needs.sort_by(f64::total_cmp);
    needs.get(needs.len() * 9 / 10).copied().unwrap_or(0.0)
}

/// A bar over each run of voiced frames.
pub(super) fn voiced(sheet: &mut Sheet, voiced: ArrayView1<'_, f32>, times: FrameTimes) {
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

/// Names of phones below or between their boundaries, which run through the panels of colours too.
pub(super) fn phones(sheet: &mut Sheet, phones: &[TimedPhone<String>]) {
    let places: Vec<Span> = phones
        .iter()
        .map(|phone| {
            (
                sheet.time.at(phone.start),
                sheet.time.at(phone.start + phone.duration),
            )
        })
        .collect();
    boundaries(sheet, &places);
    let fits = |(phone, (begin, end)): (&TimedPhone<String>, &Span)| {
        text_width(&phone.phone, PHONE) + AIR <= end - begin
    };
    let height = match phones.iter().zip(&places).all(fits) {
        true => boxes(sheet, phones, &places),
        false => ribbon(sheet, phones, &places),
    };
    name(sheet, sheet.top + height / 2.0, "phones");
    sheet.top += height + GAP;
}

/// Lines through the panels of colours, unless they would cover them.
fn boundaries(sheet: &mut Sheet, places: &[Span]) {
    if sheet.time.width() < LEAST_PITCH * places.len() as f64 {
        return;
    }
    for (top, height) in sheet.rasters.clone() {
        for x in places.iter().flat_map(|(begin, end)| [*begin, *end]) {
            let ends = vec![(x, top + 1.0), (x, top + height - 1.0)];
            sheet.line(ends, BOUNDARY, 1.0);
        }
    }
}

/// A row of boxes, where all names fit between their boundaries. Returns its height.
fn boxes(sheet: &mut Sheet, phones: &[TimedPhone<String>], places: &[Span]) -> f64 {
    let top = sheet.top;
    for (phone, (begin, end)) in phones.iter().zip(places) {
        for x in [*begin, *end] {
            sheet.line(vec![(x, top), (x, top + ROW)], GREY, 1.0);
        }
        let at = ((begin + end) / 2.0, top + ROW / 2.0 + PHONE * 0.36);
        sheet.text(at, &phone.phone, Anchor::Middle, PHONE, INK);
    }
    sheet.frame(top, ROW);
    ROW
}

/// Where they do not: a ribbon of phones, and below it their names, alternating between two rows, in a smaller size where
/// necessary. A name that would still overlap the one before it is left out. Returns the height.
fn ribbon(sheet: &mut Sheet, phones: &[TimedPhone<String>], places: &[Span]) -> f64 {
    let top = sheet.top;
    for (index, (begin, end)) in places.iter().enumerate() {
        let fill = if index % 2 == 0 { SHADE } else { PALE };
        sheet.rectangle((*begin, top), (end - begin, RIBBON), fill);
    }
    let mut ends = [f64::NEG_INFINITY; 2];
    for (index, (phone, (begin, end))) in phones.iter().zip(places).enumerate() {
        let (row, space) = (index % 2, space(places, index));
        let mut size = PHONE;
        while size > LEAST_PHONE && text_width(&phone.phone, size) + AIR > space {
            size -= 1.0;
        }
        let half = text_width(&phone.phone, size) / 2.0;
        let (left, right) = sheet.time.pixels;
        let middle = (begin + end) / 2.0;
        let centre = middle.clamp(left + half, (right - half).max(left + half));
        if centre - half < ends[row] {
            continue;
        }
        ends[row] = centre + half + 1.0;
        let line = top + RIBBON + row as f64 * ROW;
        let stem = vec![(middle, top + RIBBON), (middle, line + 5.0)];
        sheet.line(stem, SHADE, 1.0);
        let at = (centre, line + 5.0 + size);
        sheet.text(at, &phone.phone, Anchor::Middle, size, INK);
    }
    RIBBON + 2.0 * ROW
}

/// The width for a phone's name in a row in which its neighbours' names are absent.
fn space(places: &[Span], index: usize) -> f64 {
    let centre = |(begin, end): &Span| (begin + end) / 2.0;
    let here = centre(&places[index]);
    let before = index.checked_sub(2).map(|at| here - centre(&places[at]));
    let behind = places.get(index + 2).map(|place| centre(place) - here);
    let near = before
        .into_iter()
        .chain(behind)
        .fold(f64::INFINITY, f64::min);
    near.max(places[index].1 - places[index].0)
}

/// A tier's name beside it.
fn name(sheet: &mut Sheet, middle: f64, words: &str) {
    let at = (sheet.time.pixels.0 - 8.0, middle + NUMBERS * 0.36);
    sheet.text(at, words, Anchor::End, NUMBERS, INK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_phones_make_the_picture_wider() {
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
        assert_eq!(space(&places, 2), 18.0);
        assert_eq!(space(&places, 1), 19.5);
    }
}
