//! The classification extension: the best classes of an output instead of its values.

use bytes::Bytes;
use hippocamp_backend::{Error, OutputTensor, Result};
use hippocamp_tensor::{DataType, Shape, push_element};

use crate::LoadedModel;

/// The highest number of classes that are sorted for a batch entry. It bounds the work that a client can cause with a few
/// bytes, and exceeds the number of classes of any model.
const MAX_CLASSES: usize = 1_000_000;

/// The highest number of classes that a client may request, the limit of 32 bits. A number above that of the classes means
/// all.
const MAX_COUNT: u64 = u32::MAX as u64;

/// Checks the number of classes that a request asks for. A number of more than 32 bits is an error.
pub fn class_count(output: &str, asked: u64) -> Result<usize> {
    match usize::try_from(asked) {
        Ok(count) if asked <= MAX_COUNT => Ok(count),
        _ => Err(Error::invalid_arg(format!(
            "the classification of output '{output}' is expected to be at most {MAX_COUNT} classes, got {asked}"
        ))),
    }
}

/// Whether the values of this type have an order, so that they can be classified.
pub fn can_be_classified(data_type: DataType) -> bool {
    !matches!(data_type, DataType::Fp16 | DataType::Bf16 | DataType::Bool | DataType::Bytes)
}

/// A class of a batch entry.
#[derive(Debug)]
pub struct Class<'a> {
    /// The index of its element, within the batch entry.
    pub index: usize,
    /// Its label, if the output has labels.
    pub label: Option<&'a str>,
    values: &'a Values<'a>,
    /// The index of its element within the tensor.
    element: usize,
}

impl Class<'_> {
    /// The value as a double.
    pub fn value(&self) -> f64 {
        self.values.compared(self.element)
    }

    /// The value as text, as v2 shows it.
    fn text(&self) -> String {
        self.values.text(self.element)
    }
}

/// Calls `each` with the `count` best classes of every batch entry, best first, with the index of the entry. `index` is that of
/// the output in the model's list, `shape` and `data` are those of the tensor. Returns the number of entries and the number of
/// classes of each, which is limited to the number of elements.
pub fn best_classes(
    model: &LoadedModel,
    index: usize,
    shape: &[i64],
    data: &[u8],
    count: usize,
    mut each: impl FnMut(usize, Class<'_>),
) -> Result<(usize, usize)> {
    let spec = model.output(index)?;
    let values = Values::new(spec.data_type, data)?;
    let batched = model.interface.max_batch_size > 0;
    let batch = if batched { shape.first().map_or(0, |&b| b.max(0) as usize) } else { 1 };
    let classes = values.len().checked_div(batch).unwrap_or(0);
    if classes > MAX_CLASSES {
        return Err(Error::invalid_arg(format!(
            "output '{}' of model '{}' has {classes} elements for each batch entry, and at most {MAX_CLASSES} can be \
             classified",
            spec.name, model.name
        )));
    }
    let count = count.min(classes);
    for entry in 0..batch {
        let mut order: Vec<usize> = (0..classes).collect();
        let value = |class: usize| values.compared(entry * classes + class);
        order.sort_by(|&a, &b| value(b).total_cmp(&value(a)));
        for &class in &order[..count] {
            let label = model.label(&spec.name, class);
            each(entry, Class { index: class, label, values: &values, element: entry * classes + class });
        }
    }
    Ok((batch, count))
}

/// The `count` best classes of every batch entry, best first, as BYTES elements `value:index[:label]`. The shape is
/// `[batch,count]`, or `[count]` for a model without a batch dimension; `count` is limited to the number of classes.
pub(crate) fn classify(model: &LoadedModel, output: &OutputTensor, count: usize) -> Result<(Shape, Bytes)> {
    let data = output.data.to_host().map_err(|error| Error::of_memory(&model.name, error))?;
    let mut content = Vec::new();
    let (batch, count) = best_classes(model, output.index, &output.shape, &data, count, |_, class| {
        let mut text = class.text();
        text.push(':');
        text.push_str(&class.index.to_string());
        if let Some(label) = class.label {
            text.push(':');
            text.push_str(label);
        }
        push_element(&mut content, text.as_bytes());
    })?;
    let batched = model.interface.max_batch_size > 0;
    let shape = if batched { Shape::from([batch as i64, count as i64]) } else { Shape::from([count as i64]) };
    Ok((shape, content.into()))
}

/// The elements of a tensor, as numbers.
#[derive(Debug)]
struct Values<'a> {
    data_type: DataType,
    size: usize,
    data: &'a [u8],
}

impl<'a> Values<'a> {
    fn new(data_type: DataType, data: &'a [u8]) -> Result<Values<'a>> {
        match data_type.byte_size().filter(|_| can_be_classified(data_type)) {
            None => Err(Error::invalid_arg(format!(
                "class result not available for output due to unsupported type '{data_type}'"
            ))),
            Some(size) => Ok(Values { data_type, size, data }),
        }
    }

    fn len(&self) -> usize {
        self.data.len() / self.size
    }

    fn bytes<const N: usize>(&self, index: usize) -> [u8; N] {
        let element = &self.data[index * self.size..][..self.size];
        element.try_into().expect("the element has the size of its type")
    }

    /// The number as a double, for comparison only. Two 64-bit integers with the same double may come in either order.
    fn compared(&self, index: usize) -> f64 {
        match self.data_type {
            DataType::Uint8 => f64::from(u8::from_le_bytes(self.bytes(index))),
            DataType::Uint16 => f64::from(u16::from_le_bytes(self.bytes(index))),
            DataType::Uint32 => f64::from(u32::from_le_bytes(self.bytes(index))),
            DataType::Uint64 => u64::from_le_bytes(self.bytes(index)) as f64,
            DataType::Int8 => f64::from(i8::from_le_bytes(self.bytes(index))),
            DataType::Int16 => f64::from(i16::from_le_bytes(self.bytes(index))),
            DataType::Int32 => f64::from(i32::from_le_bytes(self.bytes(index))),
            DataType::Int64 => i64::from_le_bytes(self.bytes(index)) as f64,
            DataType::Fp32 => f64::from(f32::from_le_bytes(self.bytes(index))),
            _ => f64::from_le_bytes(self.bytes(index)),
        }
    }

    /// The number as C++ prints it: integers plain, floats with six decimals.
    fn text(&self, index: usize) -> String {
        match self.data_type {
            DataType::Fp32 => format!("{:.6}", f32::from_le_bytes(self.bytes(index))),
            DataType::Fp64 => format!("{:.6}", f64::from_le_bytes(self.bytes(index))),
            DataType::Uint64 => u64::from_le_bytes(self.bytes(index)).to_string(),
            DataType::Int64 => i64::from_le_bytes(self.bytes(index)).to_string(),
            _ => format!("{}", self.compared(index)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_numbers_as_cpp_does() {
        let fp32 = [0.5f32, -1e20].map(f32::to_le_bytes).concat();
        let values = Values::new(DataType::Fp32, &fp32).unwrap();
        assert_eq!(values.text(0), "0.500000");
        assert_eq!(values.text(1), "-100000002004087734272.000000");
        let int8 = [0xFFu8, 7];
        let values = Values::new(DataType::Int8, &int8).unwrap();
        assert_eq!((values.len(), values.text(0), values.text(1)), (2, "-1".into(), "7".into()));
    }

    #[test]
    fn refuses_types_without_an_order() {
        for data_type in [DataType::Fp16, DataType::Bf16, DataType::Bool, DataType::Bytes] {
            let error = Values::new(data_type, &[]).err().unwrap();
            let name = data_type.protocol_name();
            let text = format!("class result not available for output due to unsupported type '{name}'");
            assert_eq!(error.message(), text);
        }
    }
}
