//! The mappings of this process, as the kernel lists them.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

/// A mapping.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) range: Range<usize>,
    /// Whether it may be read and written.
    pub(super) is_writable: bool,
    /// Its file, if it has one; with what the kernel puts behind the name of a file that was removed.
    pub(super) path: Option<PathBuf>,
}

/// All of them; none where the kernel does not say.
pub(super) fn mappings() -> impl Iterator<Item = Mapping> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let found: Vec<Mapping> = maps.lines().filter_map(mapping).collect();
    found.into_iter()
}

fn mapping(line: &str) -> Option<Mapping> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let path = rest.find('/').map(|at| PathBuf::from(&rest[at..]));
    Some(Mapping { range: number(start)?..number(end)?, is_writable: rest.starts_with("rw"), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_how_and_of_which_file() {
        let line = "7f00-8f00 rw-s 00000000 00:1a 42   /dev/shm/a b (deleted)";
        let path = Some(PathBuf::from("/dev/shm/a b (deleted)"));
        assert_eq!(mapping(line), Some(Mapping { range: 0x7f00..0x8f00, is_writable: true, path }));
        let line = "7f00-8f00 r-xp 00000000 00:00 0 [vdso]";
        assert_eq!(mapping(line), Some(Mapping { range: 0x7f00..0x8f00, is_writable: false, path: None }));
        assert_eq!(mapping("nothing"), None);
        let own = std::ptr::from_ref(&line).addr();
        assert!(mappings().any(|mapping| mapping.is_writable && mapping.range.contains(&own)));
    }
}
