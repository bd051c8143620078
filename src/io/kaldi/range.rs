//! The ranges after the file of an `scp` line, as `[10:19,0:2]`: rows and columns, both ends included.

use ndarray::Slice;

use super::mismatch::Mismatch;

/// Rows by which a range may exceed the end, where it is clipped: Kaldi's `length_tolerance`, for segment ends that are a
/// frame or two too late because of rounding.
const ROW_TOLERANCE: usize = 3;

/// First and last row and column; none means all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    rows: Option<(usize, usize)>,
    cols: Option<(usize, usize)>,
}

impl Range {
    /// Parses the content of the brackets: `r1:r2` or `r1:r2,c1:c2`, where `:` (or, beyond Kaldi, nothing)
    /// means all.
    pub(super) fn parse(text: &str) -> Option<Range> {
        let (rows, cols) = text.split_once(',').unwrap_or((text, ""));
        Some(Range {
            rows: parse_span(rows)?,
            cols: parse_span(cols)?,
        })
    }

    /// The rows and columns to take of a matrix of such a shape.
    pub(super) fn of(&self, (rows, cols): (usize, usize)) -> Result<(Slice, Slice), Mismatch> {
        let (r, c) = self.bounds((rows, cols))?;
        Ok((Slice::from(r.0..r.1), Slice::from(c.0..c.1)))
    }

    /// The elements to take of a vector of such a length.
    pub(super) fn of_vector(&self, len: usize) -> Result<std::ops::Range<usize>, Mismatch> {
        if self.cols.is_some() {
            return Err(Mismatch::new("a range [first:last]", "a range of columns"));
        }
        let (start, end) = bound(self.rows, len, ROW_TOLERANCE, "elements")?;
        Ok(start..end)
    }

    /// The shape of the range of an object of `shape`.
    pub(super) fn shape(&self, shape: (usize, usize)) -> Result<(usize, usize), Mismatch> {
        let (r, c) = self.bounds(shape)?;
        Ok((r.1 - r.0, c.1 - c.0))
    }

    #[expect(clippy::type_complexity, reason = "two half-open spans")]
    fn bounds(
        &self,
        (rows, cols): (usize, usize),
    ) -> Result<((usize, usize), (usize, usize)), Mismatch> {
        Ok((
            bound(self.rows, rows, ROW_TOLERANCE, "rows")?,
            bound(self.cols, cols, 0, "columns")?,
        ))
    }
}

/// `first:last`, or all for nothing or `:`.
fn parse_span(text: &str) -> Option<Option<(usize, usize)>> {
    if text.is_empty() || text == ":" {
        return Some(None);
    }
    let (first, last) = text.split_once(':')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(Some((first, last)))
}

/// The half-open span of `span` within `len`.
fn bound(
    span: Option<(usize, usize)>,
    len: usize,
    tolerance: usize,
    what: &str,
) -> Result<(usize, usize), Mismatch> {
    let Some((first, last)) = span else {
        return Ok((0, len));
    };
    if first >= len || last >= len + tolerance {
        return Err(Mismatch::new(
            format!("a range within {len} {what}"),
            format!("{first}:{last}"),
        ));
    }
    Ok((first, (last + 1).min(len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_included() {
        let range = Range::parse("1:2,0:0").unwrap();
        assert_eq!(range.shape((4, 3)).unwrap(), (2, 1));
        assert_eq!(Range::parse(",1:2").unwrap().shape((4, 3)).unwrap(), (4, 2));
        assert_eq!(Range::parse(":").unwrap().shape((4, 3)).unwrap(), (4, 3));
    }

    #[test]
    fn rows_are_cut_at_the_end_within_the_tolerance() {
        let range = |text| Range::parse(text).unwrap().shape((4, 3));
        assert_eq!(range("2:6").unwrap(), (2, 3));
        assert!(range("2:7").is_err());
        assert!(range("4:5").is_err());
        assert!(range("0:1,0:3").is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["3:1", "a:b", "-1:2", "1", "1:2,3", "1:2,3:4,5:6"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }
}
