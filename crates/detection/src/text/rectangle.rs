//! The smallest rectangle around points, at any angle.

type Point = (i32, i32);

/// A corner of a hull, or a vector.
type Vector = (f32, f32);

/// A rectangle at an angle, in single precision, as OpenCV has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rectangle {
    center: (f32, f32),
    width: f32,
    height: f32,
    /// In degrees, from -90 to below 0.
    angle: f32,
}

impl Rectangle {
    /// The length of the shorter side.
    pub(super) fn shorter(&self) -> f32 {
        self.width.min(self.height)
    }

    /// The corners: upper left, upper right, lower right, lower left of what lies left and right.
    pub(super) fn corners(&self) -> [[f32; 2]; 4] {
        let angle = f64::from(self.angle) * std::f64::consts::PI / 180.0;
        let (cos, sin) = (angle.cos() as f32 * 0.5, angle.sin() as f32 * 0.5);
        let ((x, y), width, height) = (self.center, self.width, self.height);
        let first = [x - sin * height - cos * width, y + cos * height - sin * width];
        let second = [x + sin * height - cos * width, y - cos * height - sin * width];
        let mut corners = [
            first,
            second,
            [x + sin * height + cos * width, y - cos * height + sin * width],
            [x - sin * height + cos * width, y + cos * height + sin * width],
        ];
        corners.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let [first, second, third, fourth] = corners;
        let by_height = |a: [f32; 2], b: [f32; 2]| if b[1] > a[1] { (a, b) } else { (b, a) };
        let (upper_left, lower_left) = by_height(first, second);
        let (upper_right, lower_right) = by_height(third, fourth);
        [upper_left, upper_right, lower_right, lower_left]
    }
}

/// Which of several topmost corners the points of a polygon begin and end at. It decides between edges of a hull that are as good as each
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Top {
    /// Of contours.
    Left,
    /// Of what Clipper has grown.
    Right,
}

/// The smallest rectangle, by rotating calipers around the hull. `None` without points.
pub(super) fn smallest(points: Vec<Point>, top: Top) -> Option<Rectangle> {
    let mut hull = hull(points);
    let topmost = (0..hull.len()).min_by_key(|&at| {
        let (x, y) = hull[at];
        (y, if top == Top::Left { x } else { -x })
    });
    if let Some(topmost) = topmost {
        let first = (topmost + 1) % hull.len();
        hull.rotate_left(first);
    }
    let points: Vec<(f32, f32)> = hull.iter().map(|&(x, y)| (x as f32, y as f32)).collect();
    match points[..] {
        [] => None,
        [center] => Some(Rectangle { center, width: 0.0, height: 0.0, angle: -90.0 }),
        [a, b] => {
            let center = ((a.0 + b.0) * 0.5, (a.1 + b.1) * 0.5);
            let (dx, dy) = (f64::from(b.0 - a.0), f64::from(b.1 - a.1));
            let length = (dx * dx + dy * dy).sqrt() as f32;
            Some(turned(center, length, 0.0, dy.atan2(dx)))
        }
        _ => Some(calipers(&points)),
    }
}

/// A side of the best rectangle so far.
struct Side {
    left: usize,
    bottom: usize,
    base: (f32, f32),
    width: f32,
    height: f32,
}

fn calipers(points: &[(f32, f32)]) -> Rectangle {
    let count = points.len();
    let edges: Vec<(f32, f32)> = (0..count)
        .map(|i| {
            let (from, to) = (points[i], points[(i + 1) % count]);
            (to.0 - from.0, to.1 - from.1)
        })
        .collect();
    let extreme = |is_more: fn(Vector, Vector) -> bool| {
        (1..count).fold(0, |best, i| if is_more(points[i], points[best]) { i } else { best })
    };
    // Where the four sides touch: the lowest y, the right, the highest y, the left.
    let mut touched = [
        extreme(|a, b| a.1 < b.1),
        extreme(|a, b| a.0 > b.0),
        extreme(|a, b| a.1 > b.1),
        extreme(|a, b| a.0 < b.0),
    ];
    let mut best: Option<(f32, Side)> = None;
    for _ in 0..count {
        let at = touched.map(|index| edges[index]);
        let turned = [at[0], (at[1].1, -at[1].0), (-at[2].0, -at[2].1), (-at[3].1, at[3].0)];
        let mut main = 0;
        for side in 1..4 {
            if turned[side].1 * turned[main].0 - turned[side].0 * turned[main].1 < 0.0 {
                main = side;
            }
        }
        let edge = edges[touched[main]];
        let (dx, dy) = (f64::from(edge.0), f64::from(edge.1));
        let inverse = (1.0 / (dx * dx + dy * dy).sqrt()) as f32;
        let (x, y) = (edge.0 * inverse, edge.1 * inverse);
        let base = [(x, y), (y, -x), (-x, -y), (-y, x)][main];
        touched[main] = (touched[main] + 1) % count;
        let across = |from: usize, to: usize| (points[to].0 - points[from].0, points[to].1 - points[from].1);
        let (dx, dy) = across(touched[3], touched[1]);
        let width = dx * base.0 + dy * base.1;
        let (dx, dy) = across(touched[0], touched[2]);
        let height = -dx * base.1 + dy * base.0;
        let area = width * height;
        if best.as_ref().is_none_or(|(least, _)| area <= *least) {
            best = Some((area, Side { left: touched[3], bottom: touched[0], base, width, height }));
        }
    }
    let (_, Side { left, bottom, base: (a, b), width, height }) =
        best.unwrap_or((0.0, Side { left: 0, bottom: 0, base: (1.0, 0.0), width: 0.0, height: 0.0 }));
    let first = a * points[left].0 + points[left].1 * b;
    let second = -b * points[bottom].0 + points[bottom].1 * a;
    let inverse = 1.0 / (a * a - -b * b);
    let corner = ((first * a - second * b) * inverse, (a * second - -b * first) * inverse);
    let (along, up) = ((a * width, b * width), (-b * height, a * height));
    let center = (corner.0 + (along.0 + up.0) * 0.5, corner.1 + (along.1 + up.1) * 0.5);
    let length = |(x, y): (f32, f32)| {
        let (x, y) = (f64::from(x), f64::from(y));
        (x * x + y * y).sqrt() as f32
    };
    turned(center, length(along), length(up), f64::from(along.1).atan2(f64::from(along.0)))
}

/// The rectangle with its angle, in radians, brought into the range.
fn turned(center: (f32, f32), mut width: f32, mut height: f32, angle: f64) -> Rectangle {
    let mut angle = angle * 180.0 / std::f64::consts::PI;
    while angle >= 0.0 {
        angle -= 90.0;
        (width, height) = (height, width);
    }
    while angle < -90.0 {
        angle += 90.0;
        (width, height) = (height, width);
    }
    Rectangle { center, width, height, angle: angle as f32 }
}

/// The corners of the convex hull.
fn hull(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_unstable();
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..]
                && cross(a, b, point) <= 0
            {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut all = half(&mut points.iter().copied());
    all.extend(half(&mut points.iter().rev().copied()));
    all
}

fn cross(a: Point, b: Point, c: Point) -> i64 {
    let of = |from: i32, to: i32| i64::from(to) - i64::from(from);
    of(a.0, b.0) * of(a.1, c.1) - of(a.1, b.1) * of(a.0, c.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn corners(points: &[Point]) -> [[f32; 2]; 4] {
        smallest(points.to_vec(), Top::Left).unwrap().corners()
    }

    #[test]
    fn upright_ones_are_exact() {
        let got = corners(&[(3, 4), (20, 4), (20, 9), (3, 9), (7, 6)]);
        assert_eq!(got, [[3.0, 4.0], [20.0, 4.0], [20.0, 9.0], [3.0, 9.0]]);
        assert_eq!(smallest(vec![(3, 4), (20, 4), (3, 9)], Top::Left).unwrap().shorter(), 5.0);
    }

    #[test]
    fn a_point_and_a_line_have_no_height() {
        assert_eq!(corners(&[(5, 6), (5, 6)]), [[5.0, 6.0]; 4]);
        assert_eq!(smallest(vec![(0, 0), (1, 1), (4, 4)], Top::Left).unwrap().shorter(), 0.0);
        assert!(smallest(Vec::new(), Top::Left).is_none());
    }

    /// What OpenCV 5.0 gives for the same points.
    #[test]
    fn is_as_opencv_has_it() {
        let got = corners(&[(10, 10), (60, 30), (57, 41), (5, 22), (30, 25)]);
        let want =
            [[9.457_094, 9.801_632], [61.457_096, 28.801_628], [56.999_996, 41.0], [4.999_998, 22.000_002]];
        for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
            assert!((got - want).abs() < 1e-4, "{got} {want}");
        }
    }

    proptest! {
        #[test]
        fn all_points_are_within(points in prop::collection::vec((-300i32..300, -300i32..300), 3..40)) {
            let corners = corners(&points);
            // Each point is on the same side of all edges, or on them.
            for (x, y) in points {
                let side = |at: usize| {
                    let (from, to) = (corners[at], corners[(at + 1) % 4]);
                    (to[0] - from[0]) * (y as f32 - from[1]) - (to[1] - from[1]) * (x as f32 - from[0])
                };
                let sides = [0, 1, 2, 3].map(side);
                prop_assert!(sides.iter().all(|s| *s > -1.0) || sides.iter().all(|s| *s < 1.0), "{sides:?}");
            }
        }
    }
}
