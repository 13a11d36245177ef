//! Rows of different shapes, filled up with zeros or empty texts.

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{BytesElements, DataType, LENGTH_PREFIX, Shape, TensorData};

use super::gather::Row;

/// Up to this size, padded items may be as much larger than the items as they are.
const ALWAYS_ALLOWED: usize = 64 << 20;

/// Beyond it, how many times the size of the items they may have: a few long items among many, each long in another dimension, would
/// take memory that nobody has sent.
const MOST_TIMES: usize = 16;

/// The rows one after the other, each padded at the end of each dimension to `shape`, which is as large as the largest.
pub(crate) fn padded(rows: Vec<Row>, shape: &Shape, data_type: DataType) -> Result<TensorData> {
    let unit = data_type.byte_size().unwrap_or(LENGTH_PREFIX);
    let too_large = || Error::invalid_arg(format!("the items are too large to be padded to {shape}"));
    let elements = shape.element_count().ok_or_else(too_large)?;
    let mut size =
        elements.checked_mul(rows.len()).and_then(|all| all.checked_mul(unit)).ok_or_else(too_large)?;
    let given = rows.iter().map(|(_, data)| data.len()).fold(0usize, usize::saturating_add);
    if data_type == DataType::Bytes {
        // Beside the length of each element.
        size = size.saturating_add(given);
    }
    if size > ALWAYS_ALLOWED.max(given.saturating_mul(MOST_TIMES)) {
        return Err(Error::invalid_arg(format!(
            "{} items of {given} bytes would take {size} bytes when they are padded to {shape}, which is more than {MOST_TIMES} times as much",
            rows.len()
        )));
    }
    let mut out: Vec<u8> = Vec::new();
    out.try_reserve_exact(size)
        .map_err(|_| Error::unavailable(format!("there is no memory for {size} bytes of padded items")))?;
    for (from, data) in rows {
        let bytes = data.to_host()?;
        let mut source = Source { bytes: &bytes, unit: data_type.byte_size() };
        source.fill(&from, shape, unit, &mut out).ok_or_else(|| {
            Error::internal(format!(
                "an item of shape {from} has {} bytes, which is not what that takes",
                bytes.len()
            ))
        })?;
    }
    Ok(Bytes::from(out).into())
}

/// The elements of a row that are not copied yet.
struct Source<'a> {
    bytes: &'a [u8],
    /// The size of an element; `None` for BYTES.
    unit: Option<usize>,
}

impl Source<'_> {
    /// Appends the row of shape `from`, padded to `to`. `None` if there are too few bytes.
    fn fill(&mut self, from: &[i64], to: &[i64], unit: usize, out: &mut Vec<u8>) -> Option<()> {
        let count =
            |dims: &[i64]| dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).product::<usize>();
        let (Some((&rows, from_row)), Some((&all, to_row))) = (from.split_first(), to.split_first()) else {
            return self.copy(1, out);
        };
        if from_row == to_row {
            self.copy(count(from), out)?;
        } else {
            for _ in 0..rows {
                self.fill(from_row, to_row, unit, out)?;
            }
        }
        let missing = usize::try_from(all - rows).unwrap_or(0) * count(to_row) * unit;
        out.resize(out.len() + missing, 0);
        Some(())
    }

    /// Appends the next elements.
    fn copy(&mut self, elements: usize, out: &mut Vec<u8>) -> Option<()> {
        let size = match self.unit {
            Some(unit) => elements.checked_mul(unit)?,
            None => BytesElements::new(self.bytes)
                .take(elements)
                .try_fold(0, |size, element| Some(size + LENGTH_PREFIX + element.ok()?.len()))?,
        };
        let (taken, rest) = self.bytes.split_at_checked(size)?;
        out.extend_from_slice(taken);
        self.bytes = rest;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[i64]) -> Shape {
        dims.into()
    }

    #[test]
    fn pads_every_dimension_at_its_end() {
        let rows = vec![
            (shape(&[1, 3]), Bytes::from_static(&[1, 2, 3]).into()),
            (shape(&[2, 1]), Bytes::from_static(&[4, 5]).into()),
        ];
        let got = padded(rows, &shape(&[2, 3]), DataType::Uint8).unwrap().to_host().unwrap();
        assert_eq!(&got[..], [1, 2, 3, 0, 0, 0, 4, 0, 0, 5, 0, 0]);
    }

    #[test]
    fn pads_texts_with_empty_ones() {
        let rows = vec![
            (shape(&[2]), Bytes::from_static(b"\x01\0\0\0a\x02\0\0\0bc").into()),
            (shape(&[0]), Bytes::new().into()),
        ];
        let got = padded(rows, &shape(&[2]), DataType::Bytes).unwrap().to_host().unwrap();
        assert_eq!(&got[..], b"\x01\0\0\0a\x02\0\0\0bc\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn refuses_to_take_far_more_memory_than_the_items() {
        let long = 6000;
        let items = |count: usize| -> Vec<Row> {
            let item = Bytes::from(vec![1; long as usize]);
            let shapes = (0..count).map(|n| if n % 2 == 0 { shape(&[1, long]) } else { shape(&[long, 1]) });
            shapes.map(|shape| (shape, item.clone().into())).collect()
        };
        let error = padded(items(4), &shape(&[long, long]), DataType::Uint8).unwrap_err();
        assert!(
            error.message().contains("4 items of 24000 bytes would take 144000000 bytes"),
            "{}",
            error.message()
        );
        // A single one is below what is always allowed.
        let got = padded(items(1), &shape(&[long, long]), DataType::Uint8).unwrap();
        assert_eq!(got.len() as i64, long * long);
    }

    #[test]
    fn refuses_bytes_that_are_not_what_the_shape_says() {
        let rows = vec![(shape(&[3]), Bytes::from_static(&[1, 2]).into())];
        assert!(padded(rows, &shape(&[4]), DataType::Uint8).unwrap_err().message().contains("has 2 bytes"));
        let rows = vec![(shape(&[1]), Bytes::from_static(&[9, 0, 0, 0]).into())];
        assert!(padded(rows, &shape(&[2]), DataType::Bytes).is_err());
    }
}
