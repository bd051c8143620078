//! Draws the few images whose labels are used.

use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// Indices of `count` images, sorted: `count / classes` of each class, and one more of some classes drawn at random, if
/// there is a remainder.
///
/// # Errors
/// [`Error::Option`] for no classes, fewer images than classes, a label out of range, or a class with too few images.
pub fn draw_labelled(
    labels: &[usize],
    classes: usize,
    count: usize,
    seed: u64,
) -> Result<Vec<usize>> {
    let wrong =
        |expected: String, found: String| Err(Error::option("data.labelled", expected, found));
    if classes == 0 {
        return wrong("images with labels".into(), "none".into());
    }
    if count < classes {
        let expected = format!("at least {classes}, one per class");
        return wrong(expected, count.to_string());
    }
    let mut by_class = vec![Vec::new(); classes];
    for (number, &label) in labels.iter().enumerate() {
        match by_class.get_mut(label) {
            Some(class) => class.push(number),
            None => return wrong(format!("labels below {classes}"), label.to_string()),
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..classes).collect();
    order.shuffle(&mut rng);
    let mut drawn = Vec::new();
    for (place, class) in order.into_iter().enumerate() {
        let needed = count / classes + usize::from(place < count % classes);
        let there = by_class[class].len();
        if needed > there {
            let expected = format!("at most {there} images of class {class}, all there are");
            return wrong(expected, format!("{count}, which needs {needed}"));
        }
        drawn.extend(by_class[class].sample(&mut rng, needed).copied());
    }
    drawn.sort_unstable();
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [usize; 12] = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 0];

    fn by_class(drawn: &[usize]) -> Vec<usize> {
        let of = |class| drawn.iter().filter(|&&n| LABELS[n] == class).count();
        (0..3).map(of).collect()
    }

    #[test]
    fn classes_have_equal_numbers() {
        let drawn = draw_labelled(&LABELS, 3, 6, 1).unwrap();
        assert_eq!(by_class(&drawn), [2, 2, 2]);
        assert!(drawn.is_sorted_by(|a, b| a < b));
        assert_eq!(draw_labelled(&LABELS, 3, 6, 1).unwrap(), drawn);
        assert!((2..9).any(|seed| draw_labelled(&LABELS, 3, 6, seed).unwrap() != drawn));
        let mut favoured = vec![0; 3];
        for seed in 0..40 {
            let counts = by_class(&draw_labelled(&LABELS, 3, 4, seed).unwrap());
            assert_eq!(counts.iter().sum::<usize>(), 4);
            favoured[counts.iter().position(|&n| n == 2).unwrap()] += 1;
        }
        assert!(favoured.iter().all(|&times| times > 3), "{favoured:?}");
    }

    #[test]
    fn too_many_images_are_refused() {
        let refused = |classes, count| {
            let drawn = draw_labelled(&LABELS, classes, count, 0);
            drawn.unwrap_err().to_string()
        };
        assert_eq!(
            refused(3, 2),
            "data.labelled: expected at least 3, one per class, found 2"
        );
        assert_eq!(
            refused(3, 12),
            "data.labelled: expected at most 3 images of class 2, all there are, found 12, which needs 4"
        );
        assert_eq!(
            refused(2, 4),
            "data.labelled: expected labels below 2, found 2"
        );
        assert!(refused(0, 4).ends_with("expected images with labels, found none"));
    }
}
