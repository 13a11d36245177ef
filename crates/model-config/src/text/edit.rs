//! Changes of a text that leave the rest as it is: comments, spaces, the order and the style of the fields.

use std::ops::Range;

use hippocamp_interface::Faults;

use super::ast::{Field, Node, Value};
use super::parser;

/// A byte order mark, which places in a text do not count.
const MARK: &str = "\u{feff}";

/// One change of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Gives the field another value, written as in a text. A repeated field has this value alone then, and one that is not
    /// there is added to the message that it belongs to.
    Set { path: String, value: String },
    /// Removes the field.
    Remove { path: String },
    /// Replaces the name that stands at this place, line and column from 1, if it is `from`.
    Rename { line: u32, column: u32, from: String, to: String },
}

/// The text with these changes; `None` if one of them has no place in it, or two have the same one.
pub fn edited(text: &str, edits: &[Edit]) -> Option<String> {
    let (mark, body) = match text.strip_prefix(MARK) {
        Some(body) => (MARK, body),
        None => ("", text),
    };
    // Faults were told by whoever wants to mend them.
    let tree = parser::parse(body, &mut Faults::new(""));
    let mut replacements = Vec::new();
    for edit in edits {
        match edit {
            Edit::Set { path, value } => set(body, &tree.fields, path, value, &mut replacements)?,
            Edit::Remove { path } => {
                let found = fields(&tree.fields, path)?;
                replacements.extend(found.iter().map(|field| (removed(body, field), String::new())));
            }
            Edit::Rename { line, column, from, to } => {
                replacements.push((name_at(body, *line, *column, from)?, to.clone()));
            }
        }
    }
    replacements.sort_by_key(|(range, _)| (range.start, range.end));
    replacements.dedup();
    if replacements.windows(2).any(|pair| pair[0].0.end > pair[1].0.start) {
        return None;
    }
    let mut out = String::from(mark);
    let mut at = 0;
    for (range, with) in replacements {
        out.push_str(body.get(at..range.start)?);
        out.push_str(&with);
        at = range.end;
    }
    out.push_str(body.get(at..)?);
    Some(out)
}

/// The values of a field as they are written, one for each time that it is given; none if it has no place in the text.
pub fn written_values(text: &str, path: &str) -> Vec<String> {
    let body = text.strip_prefix(MARK).unwrap_or(text);
    let tree = parser::parse(body, &mut Faults::new(""));
    let found = fields(&tree.fields, path).unwrap_or_default();
    found.iter().map(|field| body[field.value.span.clone()].to_owned()).collect()
}

type Replacements = Vec<(Range<usize>, String)>;

fn set(
    body: &str,
    tree: &[Field<'_>],
    path: &str,
    value: &str,
    replacements: &mut Replacements,
) -> Option<()> {
    let found = fields(tree, path).unwrap_or_default();
    if let Some((first, others)) = found.split_first() {
        replacements.push((first.value.span.clone(), value.to_owned()));
        replacements.extend(others.iter().map(|field| (removed(body, field), String::new())));
        return Some(());
    }
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    if name.is_empty() || !name.chars().all(is_word) {
        return None;
    }
    let siblings = match parent {
        "" => tree,
        parent => match &message(tree, parent)?.value {
            Value::Message(siblings) => siblings,
            _ => return None,
        },
    };
    replacements.push(added(body, siblings, name, value)?);
    Some(())
}

/// The new field behind the last one of its message, in the style of that.
fn added(body: &str, siblings: &[Field<'_>], name: &str, value: &str) -> Option<(Range<usize>, String)> {
    let last = siblings.last()?;
    let has_commas = siblings.iter().any(|field| body[field.span.end..field.end].ends_with(','));
    let comma = if has_commas && last.end == last.span.end { "," } else { "" };
    let line = body[..last.span.start].rfind('\n').map_or(0, |end| end + 1);
    let before = &body[line..last.span.start];
    let space = if before.trim().is_empty() { format!("\n{before}") } else { " ".to_owned() };
    // Behind the comment of the last field, if that has one.
    let rest = &body[last.end..];
    let rest = &rest[..rest.find('\n').unwrap_or(rest.len())];
    if space != " " && rest.trim_start().starts_with('#') {
        let at = last.end + rest.trim_end().len();
        // The comma has its place before the comment, where there is none: separators may be left out.
        return Some((at..at, format!("{space}{name}: {value}")));
    }
    Some((last.end..last.end, format!("{comma}{space}{name}: {value}")))
}

/// What goes with a field that is removed: the separator, and the line where nothing else stands on it.
fn removed(body: &str, field: &Field<'_>) -> Range<usize> {
    let line = body[..field.span.start].rfind('\n').map_or(0, |end| end + 1);
    let end = body[field.end..].find('\n').map_or(body.len(), |end| field.end + end);
    let is_alone = body[line..field.span.start].trim().is_empty();
    match (is_alone, body[field.end..end].trim().is_empty()) {
        (true, true) => line..(end + 1).min(body.len()),
        (true, false) => {
            let rest = &body[field.end..];
            field.span.start..field.end + rest.len() - rest.trim_start_matches([' ', '\t']).len()
        }
        (false, _) => {
            let before = body[..field.span.start].trim_end_matches([' ', '\t']).len();
            before..field.end
        }
    }
}

/// All fields that the path names: several of a repeated one. `None` if there is none.
fn fields<'t, 'a>(tree: &'t [Field<'a>], path: &str) -> Option<Vec<&'t Field<'a>>> {
    let (siblings, name) = match path.rsplit_once('.') {
        Some((parent, name)) => match &message(tree, parent)?.value {
            Value::Message(siblings) => (siblings.as_slice(), name),
            _ => return None,
        },
        None => (tree, path),
    };
    let found: Vec<_> = siblings.iter().filter(|field| field.name == name).collect();
    (!found.is_empty()).then_some(found)
}

/// The message at a path such as `ensemble_scheduling.step[0]`.
fn message<'t, 'a>(tree: &'t [Field<'a>], path: &str) -> Option<&'t Node<'a>> {
    let mut siblings = tree;
    let mut found = None;
    for part in path.split('.') {
        let (name, index) = match part.strip_suffix(']').and_then(|part| part.rsplit_once('[')) {
            Some((name, index)) => (name, index.parse().ok()?),
            None => (part, 0),
        };
        let node = elements(siblings, name).nth(index)?;
        siblings = match &node.value {
            Value::Message(fields) => fields,
            _ => &[],
        };
        found = Some(node);
    }
    found
}

/// The values of a field in their order, whether they are given one by one or as lists.
fn elements<'t, 'a: 't>(
    siblings: &'t [Field<'a>],
    name: &str,
) -> impl Iterator<Item = &'t Node<'a>> + use<'t, 'a> {
    let name = name.to_owned();
    siblings.iter().filter(move |field| field.name == name).flat_map(|field| match &field.value.value {
        Value::List(elements) => elements.iter().collect::<Vec<_>>(),
        _ => vec![&field.value],
    })
}

/// The bytes of the name at a place.
fn name_at(body: &str, line: u32, column: u32, name: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for _ in 1..line {
        start += body[start..].find('\n')? + 1;
    }
    let ahead = body[start..].char_indices().nth((column as usize).checked_sub(1)?)?.0;
    let range = start + ahead..start + ahead + name.len();
    let is_whole = !body.get(range.end..)?.starts_with(is_word);
    (is_whole && body.get(range.clone())? == name).then_some(range)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests;
