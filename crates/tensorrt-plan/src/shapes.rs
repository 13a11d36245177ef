//! The ranges of shapes on the command line.

use std::str::FromStr;

/// What `--shapes` gives: for an input the least, the best and the largest shape. `x:1x3x320x320`, `x:1x3x320x320..8x3x320x320`, or
/// `x:MIN..OPT..MAX`. The last colon divides, as names may have some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeRange {
    pub(crate) input: String,
    /// Least, best, largest: sizes, or values of a shape tensor.
    pub(crate) bounds: [Vec<i64>; 3],
}

impl FromStr for ShapeRange {
    type Err = String;

    fn from_str(text: &str) -> Result<ShapeRange, String> {
        let expected = "expected INPUT:MIN..OPT..MAX, with shapes such as 1x3x320x320";
        let (input, range) = text.rsplit_once(':').filter(|(input, _)| !input.is_empty()).ok_or(expected)?;
        let shapes = range.split("..").map(shape).collect::<Option<Vec<Vec<i64>>>>().ok_or(expected)?;
        let bounds = match <[Vec<i64>; 3]>::try_from(shapes) {
            Ok(bounds) => bounds,
            Err(mut shapes) => match (shapes.pop(), shapes.pop()) {
                (Some(only), None) => [only.clone(), only.clone(), only],
                // The best is then the largest, which is what a server under load sees.
                (Some(max), Some(min)) if shapes.is_empty() => [min, max.clone(), max],
                _ => return Err(expected.to_owned()),
            },
        };
        let [min, opt, max] = &bounds;
        if min.len() != opt.len() || opt.len() != max.len() {
            return Err(format!(
                "the shapes of '{input}' have {}, {} and {} sizes",
                min.len(),
                opt.len(),
                max.len()
            ));
        }
        if min.iter().zip(opt).chain(opt.iter().zip(max)).any(|(low, high)| low > high) {
            return Err(format!("the shapes of '{input}' have to grow from MIN over OPT to MAX"));
        }
        Ok(ShapeRange { input: input.to_owned(), bounds })
    }
}

fn shape(text: &str) -> Option<Vec<i64>> {
    text.split('x').map(|size| size.trim().parse().ok().filter(|size| *size >= 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(text: &str) -> Result<[Vec<i64>; 3], String> {
        text.parse::<ShapeRange>().map(|range| range.bounds)
    }

    #[test]
    fn ranges_have_one_to_three_shapes() {
        assert_eq!(bounds("x:2x3").unwrap(), [[2, 3], [2, 3], [2, 3]]);
        assert_eq!(bounds("x:1x3..8x3").unwrap(), [[1, 3], [8, 3], [8, 3]]);
        assert_eq!(bounds("x:1..4..8").unwrap(), [[1], [4], [8]]);
        assert_eq!("serving_default:0:1..8".parse::<ShapeRange>().unwrap().input, "serving_default:0");
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(bounds("x").unwrap_err().starts_with("expected INPUT:MIN..OPT..MAX"));
        assert!(bounds("x:1..2..3..4").unwrap_err().starts_with("expected"));
        assert!(bounds("x:1xa").unwrap_err().starts_with("expected"));
        assert_eq!(bounds("x:1x3..8").unwrap_err(), "the shapes of 'x' have 2, 1 and 1 sizes");
        assert_eq!(bounds("x:8..1").unwrap_err(), "the shapes of 'x' have to grow from MIN over OPT to MAX");
    }
}
