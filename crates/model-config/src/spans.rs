//! The places of the fields in the text of a config, so that a fault that is found later can name its line.

use std::collections::HashMap;

use hippocamp_interface::Position;

/// The places of a config's fields, by path.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    fields: HashMap<String, Position>,
    /// Elements of scalar lists, by the path of the list: a path for each would take far more room than the number.
    elements: HashMap<String, Vec<Position>>,
}

impl Spans {
    /// Line and column, both from 1, of a field such as `input[0].dims[1]`. A field that was not written has the place
    /// of the nearest one around it that was; `None` if there is none.
    pub fn locate(&self, path: &str) -> Option<(u32, u32)> {
        self.position(path).map(|at| (at.line, at.column))
    }

    pub(crate) fn position(&self, path: &str) -> Option<Position> {
        let mut path = path;
        while !path.is_empty() {
            if let Some(position) = self.exact(path) {
                return Some(position);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
        None
    }

    pub(crate) fn add_field(&mut self, path: &str, position: Position) {
        // The first place of a repeated field stands for the whole.
        self.fields.entry(path.to_owned()).or_insert(position);
    }

    pub(crate) fn add_element(&mut self, list: &str, position: Position) {
        match self.elements.get_mut(list) {
            Some(positions) => positions.push(position),
            None => {
                self.elements.insert(list.to_owned(), vec![position]);
            }
        }
    }

    fn exact(&self, path: &str) -> Option<Position> {
        if let Some(position) = self.fields.get(path) {
            return Some(*position);
        }
        let (list, index) = path.strip_suffix(']')?.rsplit_once('[')?;
        self.elements.get(list)?.get(index.parse::<usize>().ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    #[test]
    fn falls_back_to_what_is_around() {
        let mut spans = Spans::default();
        spans.add_field("input", at(1, 1));
        spans.add_field("input[0]", at(2, 3));
        spans.add_field("input[0].dims", at(4, 5));
        spans.add_field("input", at(9, 9));
        spans.add_element("input[0].dims", at(4, 7));
        assert_eq!(spans.locate("input"), Some((1, 1)));
        assert_eq!(spans.locate("input[0].dims[0]"), Some((4, 7)));
        assert_eq!(spans.locate("input[0].dims[1]"), Some((4, 5)));
        assert_eq!(spans.locate("input[0].data_type"), Some((2, 3)));
        assert_eq!(spans.locate("input[7].data_type"), Some((1, 1)));
        assert_eq!(spans.locate("output"), None);
        assert_eq!(spans.locate(""), None);
    }
}
