//! How probable it is that a quadrilateral is text.

/// The mean of `map` within a quadrilateral, whose coordinates are cut to whole pixels, and how many pixels were read for it. The mean is
/// 0 where there is none.
pub(super) fn mean_within(map: &[f32], width: usize, quad: &[[f32; 2]; 4]) -> (f64, usize) {
    let height = map.len().checked_div(width).unwrap_or(0);
    if height == 0 || quad.as_flattened().iter().any(|number| !number.is_finite()) {
        return (0.0, 0);
    }
    let range = |axis: usize, side: usize| {
        let of =
            |pick: fn(f32, f32) -> f32, start: f32| quad.iter().map(|point| point[axis]).fold(start, pick);
        let bound = |number: f32| (number as i64).clamp(0, side as i64 - 1);
        let first = bound(of(f32::min, f32::INFINITY).floor());
        (first, bound(of(f32::max, f32::NEG_INFINITY).ceil()))
    };
    let ((left, right), (top, bottom)) = (range(0, width), range(1, height));
    let corners = quad.map(|[x, y]| ((x - left as f32) as i64, (y - top as f32) as i64));
    // The first and last column of each row.
    let mut rows = vec![(i64::MAX, i64::MIN); (bottom - top + 1) as usize];
    for (at, from) in corners.iter().enumerate() {
        walk(*from, corners[(at + 1) % 4], |x, y| {
            if let Some((first, last)) = usize::try_from(y).ok().and_then(|y| rows.get_mut(y)) {
                (*first, *last) = ((*first).min(x), (*last).max(x));
            }
        });
    }
    let (mut sum, mut count) = (0.0, 0usize);
    for (y, (first, last)) in rows.into_iter().enumerate() {
        let (first, last) = (first.max(0), last.min(right - left));
        if first > last {
            continue;
        }
        let row = &map[(top as usize + y) * width..][..width];
        let part = &row[(left + first) as usize..=(left + last) as usize];
        sum += part.iter().map(|&number| f64::from(number)).sum::<f64>();
        count += part.len();
    }
    if count == 0 { (0.0, 0) } else { (sum / count as f64, count) }
}

/// Visits the pixels of a line.
fn walk(from: (i64, i64), to: (i64, i64), mut visit: impl FnMut(i64, i64)) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let steps = dx.abs().max(dy.abs());
    if steps == 0 {
        return visit(from.0, from.1);
    }
    // The nearest pixel at each step along the longer side.
    let at = |start: i64, delta: i64, step: i64| start + (2 * delta * step + steps).div_euclid(2 * steps);
    for step in 0..=steps {
        visit(at(from.0, dx, step), at(from.1, dy, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rim_counts() {
        let mut map = vec![0.0; 10 * 6];
        for y in 1..=3 {
            map[y * 10 + 2..=y * 10 + 5].fill(1.0);
        }
        let quad = [[2.0, 1.0], [5.0, 1.0], [5.0, 3.0], [2.0, 3.0]];
        assert_eq!(mean_within(&map, 10, &quad), (1.0, 12));
        let larger = [[2.0, 1.0], [6.9, 1.0], [6.9, 3.0], [2.0, 3.0]];
        assert_eq!(mean_within(&map, 10, &larger), (0.8, 15));
    }

    #[test]
    fn what_lies_outside_does_not_count() {
        let map = vec![1.0; 12];
        let around = [[-9.0, -9.0], [90.0, -9.0], [90.0, 90.0], [-9.0, 90.0]];
        assert_eq!(mean_within(&map, 4, &around), (1.0, 12));
        assert_eq!(mean_within(&[], 4, &[[0.0; 2]; 4]), (0.0, 0));
        assert_eq!(mean_within(&map, 4, &[[f32::NAN; 2]; 4]), (0.0, 0));
        let partly = [[0.0, 0.0], [f32::INFINITY, 0.0], [3.0, 2.0], [0.0, 2.0]];
        assert_eq!(mean_within(&map, 4, &partly), (0.0, 0));
    }
}
