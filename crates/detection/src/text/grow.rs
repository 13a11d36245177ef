//! Grows a quadrilateral on all sides, with round corners.

/// The deviation from a true arc that Clipper allows.
const ARC_TOLERANCE: f64 = 0.25;

/// The points around `quad` at a distance of `ratio` times its area by its perimeter, as Clipper offsets a closed polygon with round
/// joins; its coordinates are cut to whole numbers before. No points if less than a triangle is left.
pub(super) fn grown(quad: &[[f32; 2]; 4], ratio: f64) -> Vec<(i32, i32)> {
    let corners = quad.map(|[x, y]| (f64::from(x), f64::from(y)));
    let next = |i: usize| (i + 1) % 4;
    let area = (0..4).map(|i| cross(corners[i], corners[next(i)])).sum::<f64>().abs() / 2.0;
    let perimeter: f64 = (0..4).map(|i| distance(corners[i], corners[next(i)])).sum();
    let delta = area * ratio / perimeter;
    let mut path: Vec<(f64, f64)> =
        corners.iter().map(|corner| (corner.0.trunc(), corner.1.trunc())).collect();
    path.dedup();
    while path.len() > 1 && path.first() == path.last() {
        path.pop();
    }
    if path.len() < 3 || !delta.is_finite() || delta <= 0.0 {
        return Vec::new();
    }
    let is_reversed = (0..path.len()).map(|i| cross(path[i], path[(i + 1) % path.len()])).sum::<f64>() < 0.0;
    if is_reversed {
        path.reverse();
    }
    around(&path, delta)
}

fn around(path: &[(f64, f64)], delta: f64) -> Vec<(i32, i32)> {
    let tolerance = ARC_TOLERANCE.min(delta * ARC_TOLERANCE);
    let steps = (std::f64::consts::PI / (1.0 - tolerance / delta).acos()).min(delta * std::f64::consts::PI);
    let (sin, cos) = (std::f64::consts::TAU / steps).sin_cos();
    let normals: Vec<(f64, f64)> = (0..path.len())
        .map(|i| {
            let (from, to) = (path[i], path[(i + 1) % path.len()]);
            let factor = 1.0 / distance(from, to);
            ((to.1 - from.1) * factor, -(to.0 - from.0) * factor)
        })
        .collect();
    let mut points = Vec::new();
    let mut before = path.len() - 1;
    for (at, corner) in path.iter().enumerate() {
        let mut push = |normal: (f64, f64)| {
            points.push((rounded(corner.0 + normal.0 * delta), rounded(corner.1 + normal.1 * delta)));
        };
        let (first, second) = (normals[before], normals[at]);
        before = at;
        let dot = first.0 * second.0 + first.1 * second.1;
        let turn = cross(first, second);
        if (turn * delta).abs() < 1.0 && dot > 0.0 {
            push(first);
            continue;
        }
        let turn = turn.clamp(-1.0, 1.0);
        if turn * delta < 0.0 {
            push(first);
            push((0.0, 0.0));
            push(second);
            continue;
        }
        let arc = (steps / std::f64::consts::TAU * turn.atan2(dot).abs()).round().max(1.0) as usize;
        let mut normal = first;
        for _ in 0..arc {
            push(normal);
            normal = (normal.0 * cos - sin * normal.1, normal.0 * sin + normal.1 * cos);
        }
        push(second);
    }
    points
}

/// Halves go away from zero.
fn rounded(number: f64) -> i32 {
    number.round() as i32
}

fn cross(a: (f64, f64), b: (f64, f64)) -> f64 {
    a.0 * b.1 - b.0 * a.1
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (dx, dy) = (a.0 - b.0, a.1 - b.1);
    (dx * dx + dy * dy).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_area_and_perimeter() {
        // 100 * 20 * 1.5 / 240 = 12.5
        let points = grown(&[[10.0, 10.0], [110.0, 10.0], [110.0, 30.0], [10.0, 30.0]], 1.5);
        let bound = |of: &dyn Fn(&(i32, i32)) -> i32| {
            (points.iter().map(of).min().unwrap(), points.iter().map(of).max().unwrap())
        };
        assert_eq!((bound(&|point| point.0), bound(&|point| point.1)), ((-3, 123), (-3, 43)));
        assert!(points.len() > 8, "the corners are round");
    }

    #[test]
    fn a_line_does_not_grow() {
        assert!(grown(&[[1.0, 1.0], [1.2, 1.1], [1.3, 1.4], [1.0, 1.9]], 1.6).is_empty());
        assert!(grown(&[[0.0, 0.0], [5.0, 0.0], [5.0, 0.0], [0.0, 0.0]], 1.6).is_empty());
        assert!(grown(&[[f32::NAN; 2]; 4], 1.6).is_empty());
    }
}
