//! Formats a response as text in columns.

use std::fmt::Write;

use hippocamp_tensor::DataType;

use crate::answer::{Answer, Tensor, dims};
use crate::elements::texts;
use crate::found::{Found, is_part};

/// The number of rows of a tensor that are shown; the rest is only counted.
const MAX_ROWS: usize = 32;

/// The number of elements of a row that are shown.
const MAX_COLUMNS: usize = 16;

/// Formats all outputs; detections with a score above `threshold` become one table.
pub(crate) fn render(answer: &Answer, found: Option<&[Vec<Found>]>, threshold: f32) -> String {
    let mut text = format!("model {}, version {}\n", answer.model, answer.version);
    if let Some(pictures) = found {
        for (number, picture) in pictures.iter().enumerate() {
            let title = if pictures.len() > 1 { format!("picture {}: ", number + 1) } else { String::new() };
            detections(&mut text, &title, picture, threshold);
        }
    }
    for tensor in &answer.outputs {
        if found.is_none() || !is_part(tensor) {
            elements(&mut text, tensor);
        }
    }
    text
}

fn detections(text: &mut String, title: &str, all: &[Found], threshold: f32) {
    let shown: Vec<&Found> = all.iter().filter(|found| found.score > threshold).collect();
    let _ = writeln!(text, "\n{title}{} found with a score above {threshold}", shown.len());
    if shown.is_empty() {
        return;
    }
    let digits = if shown.iter().any(|found| found.is_ratio) { 3 } else { 1 };
    let place = |number: f32| format!("{number:.digits$}");
    let mut rows = vec![
        vec!["#", "score", "category", "left", "top", "right", "bottom", "landmarks"]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    for (number, found) in shown.iter().enumerate() {
        let category = found.category.map_or_else(String::new, |category| category.to_string());
        let mut row = vec![(number + 1).to_string(), format!("{:.3}", found.score)];
        row.push(found.label.clone().unwrap_or(category));
        row.extend(found.corners.map(place));
        let points = found.landmarks.as_chunks::<2>().0.iter();
        row.push(points.map(|[x, y]| format!("{},{}", place(*x), place(*y))).collect::<Vec<_>>().join(" "));
        rows.push(row);
    }
    // Empty columns are left out.
    for column in (0..rows[0].len()).rev() {
        if rows[1..].iter().all(|row| row[column].is_empty()) {
            for row in &mut rows {
                row.remove(column);
            }
        }
    }
    columns(text, &rows);
}

fn elements(text: &mut String, tensor: &Tensor) {
    let all = texts(tensor);
    let _ = writeln!(text, "\n{} {} {}", tensor.name, tensor.data_type, dims(&tensor.shape));
    if tensor.data_type == DataType::Bytes {
        for element in all.iter().take(MAX_ROWS) {
            let _ = writeln!(text, "  {element}");
        }
    } else {
        let width = tensor.shape.last().and_then(|&width| usize::try_from(width).ok()).unwrap_or(1).max(1);
        let row = |row: &[String]| {
            let mut shown = row[..row.len().min(MAX_COLUMNS)].to_vec();
            if row.len() > MAX_COLUMNS {
                shown.push("...".to_owned());
            }
            shown
        };
        let rows: Vec<Vec<String>> = all.chunks(width).take(MAX_ROWS).map(row).collect();
        columns(text, &rows);
        if width > MAX_COLUMNS || all.len() > width * MAX_ROWS {
            let _ = writeln!(text, "  {} elements in all; --json prints them", all.len());
        }
        return;
    }
    if all.len() > MAX_ROWS {
        let _ = writeln!(text, "  {} elements in all; --json prints them", all.len());
    }
}

/// Formats cells right-aligned in columns; a last column of texts is left-aligned.
fn columns(text: &mut String, rows: &[Vec<String>]) {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = if cell.contains(' ') || cell == "landmarks" {
                write!(line, "  {cell:<width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outputs: Vec<Tensor>) -> Answer {
        Answer { model: "m".to_owned(), version: "1".to_owned(), outputs }
    }

    fn integers(name: &str, shape: &[i64], numbers: impl IntoIterator<Item = i32>) -> Tensor {
        let data: Vec<u8> = numbers.into_iter().flat_map(i32::to_le_bytes).collect();
        Tensor { name: name.to_owned(), data_type: DataType::Int32, shape: shape.to_vec(), data: data.into() }
    }

    #[test]
    fn rows_are_aligned() {
        let text = render(&answer(vec![integers("OUT", &[2, 3], [1, -20, 3, 400, 5, 6])]), None, 0.5);
        assert_eq!(text, "model m, version 1\n\nOUT INT32 [2,3]\n    1  -20  3\n  400    5  6\n");
    }

    #[test]
    fn much_is_cut() {
        let text = render(&answer(vec![integers("OUT", &[1, 100], 0..100)]), None, 0.5);
        assert!(text.contains("15  ...\n  100 elements in all; --json prints them\n"), "{text}");
        let text = render(&answer(vec![integers("OUT", &[100, 1], 0..100)]), None, 0.5);
        assert!(text.ends_with("31\n  100 elements in all; --json prints them\n"), "{text}");
        let scalar = render(&answer(vec![integers("OUT", &[], [7])]), None, 0.5);
        assert!(scalar.ends_with("OUT INT32 []\n  7\n"), "{scalar}");
    }

    #[test]
    fn detections_are_one_table() {
        let face = Found {
            score: 0.9088,
            category: Some(0),
            corners: [180.1, 58.0, 270.64, 175.8],
            landmarks: vec![202.9, 101.8, 249.2, 102.4],
            ..Found::default()
        };
        let low = Found { score: 0.1, ..face.clone() };
        let text = render(&answer(Vec::new()), Some(&[vec![face, low]]), 0.5);
        let want = "model m, version 1\n\n1 found with a score above 0.5\n  \
                    #  score  category   left   top  right  bottom  landmarks\n  \
                    1  0.909         0  180.1  58.0  270.6   175.8  202.9,101.8 249.2,102.4\n";
        assert_eq!(text, want);
        let bare = Found { score: 0.9, corners: [0.1; 4], is_ratio: true, ..Found::default() };
        let text = render(&answer(Vec::new()), Some(&[vec![bare], vec![]]), 0.5);
        assert!(text.contains("picture 1: 1 found"), "{text}");
        assert!(text.contains("  1  0.900  0.100  0.100  0.100   0.100\n"), "{text}");
        assert!(text.ends_with("picture 2: 0 found with a score above 0.5\n"), "{text}");
    }
}
