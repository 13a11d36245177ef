//! A tensor of one image: an input as it lies in the request, or the result of a step.

mod pool;
mod store;

use std::sync::Arc;

use bytemuck::Pod;
use bytes::Bytes;
use half::f16;
use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{Allocator, DataType, Shape, TensorData};

use store::Store;

/// An element type of tensors.
pub(crate) trait Element: Pod {
    const DATA_TYPE: DataType;
}

macro_rules! elements {
    ($($element:ty: $data_type:ident),+ $(,)?) => {
        $(impl Element for $element {
            const DATA_TYPE: DataType = DataType::$data_type;
        })+
    };
}

elements! { u8: Uint8, i8: Int8, u16: Uint16, i16: Int16, u32: Uint32, i32: Int32, i64: Int64, u64: Uint64,
f16: Fp16, f32: Fp32, f64: Fp64 }

/// The tensor of one image. An output's tensor also holds the rows of the request's earlier images in the same memory,
/// which becomes the response without a copy.
#[derive(Debug, Default)]
pub(crate) struct Tensor {
    data_type: Option<DataType>,
    dims: Shape,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    /// A row of a request's input, aligned to its element type.
    Wire(Bytes),
    Own(Rows),
}

/// The rows of a request. Positions are in bytes.
#[derive(Debug, Default)]
struct Rows {
    store: Store,
    /// What allocates pinned memory, if the rows are for a device.
    pinned: Option<Arc<dyn Allocator>>,
    /// Where the current row begins, after the finished rows.
    start: usize,
    end: usize,
    /// The number of rows from the current one on.
    left: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Memory::Own(Rows { left: 1, ..Rows::default() })
    }
}

impl Tensor {
    /// Makes a tensor of an input's row. Copies it only if its bytes are not aligned.
    pub(crate) fn from_wire(data_type: DataType, dims: Shape, row: Bytes) -> Tensor {
        let alignment = data_type.byte_size().unwrap_or(1);
        let memory = if (row.as_ptr() as usize).is_multiple_of(alignment) {
            Memory::Wire(row)
        } else {
            Memory::Own(Rows { store: Store::of(&row), end: row.len(), ..Rows::default() })
        };
        Tensor { data_type: Some(data_type), dims, memory }
    }

    /// Dims of one image's tensor.
    pub(crate) fn dims(&self) -> &Shape {
        &self.dims
    }

    /// The elements of the current image.
    pub(crate) fn elements<T: Element>(&self) -> Result<&[T]> {
        let bytes = match &self.memory {
            Memory::Wire(bytes) => bytes,
            Memory::Own(rows) => rows.store.bytes().get(rows.start..rows.end).unwrap_or_default(),
        };
        if self.data_type != Some(T::DATA_TYPE) {
            return Err(wrong_type(T::DATA_TYPE));
        }
        bytemuck::try_cast_slice(bytes).map_err(|_| wrong_type(T::DATA_TYPE))
    }

    /// Sets type and dims, and returns the elements, all of which have to be overwritten; their content is undefined.
    pub(crate) fn begin<T: Element>(&mut self, dims: &[i64]) -> Result<&mut [T]> {
        self.data_type = Some(T::DATA_TYPE);
        self.dims = Shape::from(dims);
        let size = self.dims.byte_size(T::DATA_TYPE).ok_or_else(|| no_memory(&self.dims))?;
        if matches!(self.memory, Memory::Wire(_)) {
            self.memory = Memory::default();
        }
        let Memory::Own(rows) = &mut self.memory else { return Err(no_memory(&self.dims)) };
        let row = rows.begin(size).ok_or_else(|| no_memory(&self.dims))?;
        bytemuck::try_cast_slice_mut(row).map_err(|_| no_memory(&self.dims))
    }

    /// Begins a request of `count` images whose rows are collected: this tensor is an output. They are collected in pinned
    /// memory if an allocator is given.
    pub(crate) fn expect_rows(&mut self, count: usize, pinned: Option<&Arc<dyn Allocator>>) {
        if matches!(self.memory, Memory::Wire(_)) {
            self.memory = Memory::default();
        }
        let Memory::Own(rows) = &mut self.memory else { return };
        (rows.start, rows.end, rows.left) = (0, 0, count);
        if pinned.is_some() || rows.pinned.is_some() {
            // What a request that failed has left may be of the other kind.
            std::mem::take(&mut rows.store).give();
            rows.pinned = pinned.cloned();
        }
    }

    /// Finishes the current row; the next one follows it in memory.
    pub(crate) fn keep_row(&mut self) {
        if let Memory::Own(rows) = &mut self.memory {
            rows.start = rows.end;
            rows.left = rows.left.saturating_sub(1);
        }
    }

    /// Takes out all finished rows. Their memory goes back when they are dropped.
    pub(crate) fn take_rows(&mut self) -> TensorData {
        match &mut self.memory {
            Memory::Wire(bytes) => std::mem::take(bytes).into(),
            Memory::Own(rows) => {
                let end = std::mem::take(&mut rows.start);
                rows.end = 0;
                std::mem::take(&mut rows.store).into_data(end)
            }
        }
    }
}

impl Rows {
    fn begin(&mut self, size: usize) -> Option<&mut [u8]> {
        self.end = self.start.checked_add(size)?;
        if self.end > self.store.bytes().len() {
            let all = self.start.checked_add(size.checked_mul(self.left.max(1))?)?;
            self.grow(all.max(self.end))?;
        }
        self.store.bytes_mut().get_mut(self.start..self.end)
    }

    /// Makes room for `size` bytes; keeps what was written.
    fn grow(&mut self, size: usize) -> Option<()> {
        let store = std::mem::take(&mut self.store);
        self.store = if self.start == 0 {
            // There is no finished row to copy, and the old memory may be of use to another tensor.
            store.give();
            Store::take(size, self.pinned.as_deref())?
        } else {
            store.grown(size)?
        };
        Some(())
    }
}

#[cold]
fn no_memory(dims: &Shape) -> Error {
    Error::internal(format!("there is no memory for a tensor of shape {dims}"))
}

#[cold]
fn wrong_type(wanted: DataType) -> Error {
    Error::internal(format!("a tensor was promised to have elements of type {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_each_other_in_one_piece() {
        let mut tensor = Tensor::default();
        tensor.expect_rows(2, None);
        for row in [[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]] {
            tensor.begin::<f32>(&[3]).unwrap().copy_from_slice(&row);
            assert_eq!(tensor.elements::<f32>().unwrap(), row);
            tensor.keep_row();
        }
        let bytes = tensor.take_rows().to_host().unwrap();
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn a_value_that_stays_is_written_over() {
        let mut tensor = Tensor::default();
        for value in [7u8, 9] {
            tensor.begin::<u8>(&[1]).unwrap()[0] = value;
            assert_eq!(tensor.elements::<u8>().unwrap(), [value]);
        }
    }

    #[test]
    fn an_input_is_read_where_it_lies_if_it_can_be() {
        let mut bytes = vec![0u8; 16];
        bytes[4..8].copy_from_slice(&5i32.to_le_bytes());
        let bytes = Bytes::from(bytes);
        for begin in 0..8 {
            let row = bytes.slice(begin..begin + 4);
            let tensor = Tensor::from_wire(DataType::Int32, Shape::from([1]), row.clone());
            let elements = tensor.elements::<i32>().unwrap();
            assert_eq!(elements[0].to_le_bytes(), row[..]);
            let in_place = elements.as_ptr().cast() == row.as_ptr();
            assert_eq!(in_place, (row.as_ptr() as usize).is_multiple_of(4));
        }
    }

    #[test]
    fn memory_of_a_response_that_was_sent_is_written_again() {
        let mut tensor = Tensor::default();
        let mut fill = |value: u8| {
            tensor.expect_rows(1, None);
            tensor.begin::<u8>(&[1 << 20]).unwrap().fill(value);
            tensor.keep_row();
            tensor.take_rows().to_host().unwrap()
        };
        let (first, second) = (fill(1), fill(2));
        assert!(first.iter().all(|v| *v == 1), "it is not written while somebody holds it");
        let place = first.as_ptr();
        drop(first);
        assert_eq!(fill(3).as_ptr(), place);
        assert!(second.iter().all(|v| *v == 2));
    }

    #[test]
    fn another_type_or_too_much_is_an_error() {
        let mut tensor = Tensor::default();
        tensor.begin::<u8>(&[4]).unwrap();
        assert!(tensor.elements::<f32>().is_err());
        assert!(tensor.begin::<f32>(&[i64::MAX, 2]).is_err());
        assert!(tensor.begin::<f32>(&[1 << 50]).is_err());
    }
}
