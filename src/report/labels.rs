//! Positions of labels in a chart: near their points, without overlaps.

/// An axis-aligned box, in pixels from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Box2 {
    /// Left and right edge.
    pub x: (f64, f64),
    /// Upper and lower edge.
    pub y: (f64, f64),
}

impl Box2 {
    /// A square around a place.
    pub fn around(x: f64, y: f64, half: f64) -> Self {
        Self {
            x: (x - half, x + half),
            y: (y - half, y + half),
        }
    }

    /// The area that two boxes share.
    fn shared(&self, other: &Self) -> f64 {
        let along = |a: (f64, f64), b: (f64, f64)| (a.1.min(b.1) - a.0.max(b.0)).max(0.0);
        along(self.x, other.x) * along(self.y, other.y)
    }

    /// The area of this box that lies outside of `frame`.
    fn outside(&self, frame: &Self) -> f64 {
        (self.x.1 - self.x.0) * (self.y.1 - self.y.0) - self.shared(frame)
    }
}

/// The occupied boxes.
#[derive(Debug)]
pub struct Labels {
    frame: Box2,
    taken: Vec<Box2>,
}

impl Labels {
    /// Labels within `frame` that avoid `taken`.
    pub fn new(frame: Box2, taken: Vec<Box2>) -> Self {
        Self { frame, taken }
    }

    /// A position for a text of this width and height near `(x, y)`: the one with the least overlap, and of equal ones the
    /// nearest.
    pub fn place(&mut self, x: f64, y: f64, width: f64, height: f64) -> Box2 {
        let mut best: Option<(f64, Box2)> = None;
        for distance in [NEAR, 16.0, 28.0] {
            for (across, down) in AROUND {
                let centre_x = x + across * (distance + width / 2.0);
                let centre_y = y + down * (distance + height / 2.0);
                let place = Box2 {
                    x: (centre_x - width / 2.0, centre_x + width / 2.0),
                    y: (centre_y - height / 2.0, centre_y + height / 2.0),
                };
                let covered: f64 = self.taken.iter().map(|other| place.shared(other)).sum();
                // A distant label would be read as another point's; a small overlap is better.
                let cost = covered + 4.0 * place.outside(&self.frame) + 3.0 * (distance - NEAR);
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, place));
                }
            }
        }
        let place = best.map_or(Box2::around(x, y, 0.0), |(_, place)| place);
        self.taken.push(place);
        place
    }
}

/// Pixels from a point to its label.
const NEAR: f64 = 9.0;

/// Right, left, above, below, and the corners, in half widths and heights.
const AROUND: [(f64, f64); 8] = [
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.0, -1.0),
    (0.0, 1.0),
    (1.0, -1.0),
    (1.0, 1.0),
    (-1.0, -1.0),
    (-1.0, 1.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_one_place_do_not_cover_each_other() {
        let frame = Box2 {
            x: (0.0, 300.0),
            y: (0.0, 200.0),
        };
        let mut labels = Labels::new(frame, vec![Box2::around(150.0, 100.0, 6.0)]);
        let placed: Vec<Box2> = (0..4)
            .map(|_| labels.place(150.0, 100.0, 60.0, 14.0))
            .collect();
        for (index, place) in placed.iter().enumerate() {
            assert_eq!(place.outside(&frame), 0.0);
            for other in &placed[..index] {
                assert_eq!(place.shared(other), 0.0);
            }
        }
        // At the right edge there is no space to the right.
        assert!(labels.place(295.0, 50.0, 60.0, 14.0).x.1 < 295.0);
    }
}
