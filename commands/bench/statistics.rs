//! What several runs of the same come to.

/// The middle one; of an even number the mean of the two in the middle. Zero when there are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// How far the runs lie apart: half of the distance from the lowest to the highest, as a share of the median. Zero when there are
/// none.
pub fn spread(values: &[f64]) -> f64 {
    let (low, high) = range(values);
    let middle = median(values);
    if middle == 0.0 { 0.0 } else { (high - low) / 2.0 / middle }
}

/// The lowest and the highest; zeroes when there are none.
pub fn range(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().reduce(f64::min);
    let high = values.iter().copied().reduce(f64::max);
    (low.unwrap_or(0.0), high.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_run_does_not_move_the_median() {
        assert_eq!(median(&[100.0, 1.0, 102.0, 99.0, 101.0]), 100.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!((median(&[7.0]), median(&[])), (7.0, 0.0));
    }

    #[test]
    fn the_spread_is_a_share_of_the_median() {
        assert_eq!(spread(&[90.0, 100.0, 110.0]), 0.1);
        assert_eq!((spread(&[5.0]), spread(&[]), spread(&[0.0, 0.0])), (0.0, 0.0, 0.0));
        assert_eq!(range(&[3.0, 1.0, 2.0]), (1.0, 3.0));
    }
}
