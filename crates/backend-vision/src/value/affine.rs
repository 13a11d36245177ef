//! Affine maps of the plane.

use std::ops::Mul;

/// An affine map `x' = a x + b y + c`, `y' = d x + e y + f` as `[a, b, c, d, e, f]`: the two rows of a 2x3 matrix.
///
/// The origin is the image's upper left corner: the centre of the first pixel is at 0.5, and an image of width W
/// reaches from 0 to W.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine(pub(crate) [f64; 6]);

impl Affine {
    pub(crate) const IDENTITY: Affine = Affine([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);

    pub(crate) const fn scale(x: f64, y: f64) -> Affine {
        Affine([x, 0.0, 0.0, 0.0, y, 0.0])
    }

    pub(crate) const fn shift(x: f64, y: f64) -> Affine {
        Affine([1.0, 0.0, x, 0.0, 1.0, y])
    }

    pub(crate) fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let m = &self.0;
        (m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5])
    }

    /// The inverse; `None` if the map is singular or the inverse is not finite.
    pub(crate) fn inverse(&self) -> Option<Affine> {
        let m = &self.0;
        let determinant = m[0] * m[4] - m[1] * m[3];
        let inverse = [
            m[4] / determinant,
            -m[1] / determinant,
            (m[1] * m[5] - m[2] * m[4]) / determinant,
            -m[3] / determinant,
            m[0] / determinant,
            (m[2] * m[3] - m[0] * m[5]) / determinant,
        ];
        inverse.iter().all(|v| v.is_finite()).then_some(Affine(inverse))
    }

    /// The rows of the 2x3 matrix as FP32.
    pub(crate) fn rows(&self) -> [f32; 6] {
        self.0.map(|v| v as f32)
    }
}

impl Default for Affine {
    fn default() -> Self {
        Affine::IDENTITY
    }
}

impl Mul for Affine {
    type Output = Affine;

    /// The composition: `inner` is applied first.
    fn mul(self, inner: Affine) -> Affine {
        let (m, n) = (&self.0, &inner.0);
        Affine([
            m[0] * n[0] + m[1] * n[3],
            m[0] * n[1] + m[1] * n[4],
            m[0] * n[2] + m[1] * n[5] + m[2],
            m[3] * n[0] + m[4] * n[3],
            m[3] * n[1] + m[4] * n[4],
            m[3] * n[2] + m[4] * n[5] + m[5],
        ])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_inner_one_comes_first() {
        let map = Affine::shift(1.0, 2.0) * Affine::scale(10.0, 100.0);
        assert_eq!(map.apply(1.0, 1.0), (11.0, 102.0));
        assert_eq!(map, Affine([10.0, 0.0, 1.0, 0.0, 100.0, 2.0]));
    }

    #[test]
    fn a_line_has_no_way_back() {
        assert_eq!(Affine::scale(1.0, 0.0).inverse(), None);
        assert_eq!(Affine([f64::NAN; 6]).inverse(), None);
    }

    proptest! {
        #[test]
        fn there_and_back(
            turn in -3.0..3.0f64, scale in 0.01..100.0f64, x in -1e4..1e4f64, y in -1e4..1e4f64,
        ) {
            let (sin, cos) = turn.sin_cos();
            let map = Affine([cos * scale, -sin * scale, x, sin * scale, cos * scale, y]);
            let back = map.inverse().unwrap() * map;
            for (got, want) in back.0.iter().zip(Affine::IDENTITY.0) {
                prop_assert!((got - want).abs() < 1e-6, "{back:?}");
            }
        }
    }
}
