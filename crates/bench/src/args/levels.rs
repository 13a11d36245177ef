//! The levels of a load that are measured one after the other.

use std::str::FromStr;

/// Levels in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels(Vec<u32>);

impl Levels {
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }
}

/// The most levels that one run may have.
const MAX: usize = 1000;

impl FromStr for Levels {
    type Err = String;

    /// Parses `1,4,16`, or `FIRST:LAST` and `FIRST:LAST:STEP` with both ends.
    fn from_str(text: &str) -> Result<Levels, String> {
        let wanted = || "expected whole numbers above 0: 4, or 1,4,16, or FIRST:LAST:STEP".to_owned();
        let level = |text: &str| text.trim().parse().ok().filter(|&level: &u32| level > 0).ok_or_else(wanted);
        let mut levels = Vec::new();
        for part in text.split(',') {
            match part.split(':').collect::<Vec<_>>()[..] {
                [one] => levels.push(level(one)?),
                [first, last] => levels.extend((level(first)?..=level(last)?).take(MAX + 1)),
                [first, last, step] => {
                    levels
                        .extend((level(first)?..=level(last)?).step_by(level(step)? as usize).take(MAX + 1));
                }
                _ => return Err(wanted()),
            }
        }
        match levels.len() {
            0 => Err("the range is empty: FIRST is to be at most LAST".to_owned()),
            1..=MAX => Ok(Levels(levels)),
            _ => Err(format!("these are more than {MAX} levels")),
        }
    }
}
