//! How far two tensors are apart.

use half::{bf16, f16};
use hippocamp_client::Tensor;
use hippocamp_tensor::{BytesElements, DataType};

use crate::args::Tolerance;

/// A difference and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Largest {
    pub(crate) difference: f64,
    /// The number of the input, from 0.
    pub(crate) sample: u32,
    pub(crate) index: Vec<i64>,
    pub(crate) a: f64,
    pub(crate) b: f64,
}

/// What is known of an output after some answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Differences {
    pub(crate) elements: u64,
    /// How many elements are not the same.
    pub(crate) different: u64,
    /// How many are further apart than the tolerance.
    pub(crate) above: u64,
    /// The largest difference; `None` if there is none, or the elements are texts.
    pub(crate) absolute: Option<Largest>,
    /// The largest difference in relation to the larger of the two numbers: at most 2.
    pub(crate) relative: Option<Largest>,
    /// The first text that is not the same: the number of the input and the index.
    pub(crate) first_text: Option<(u32, Vec<i64>)>,
    /// Shapes or types that are not the same, of the first input that has any: A's and B's. Their elements are not compared.
    pub(crate) form: Option<(u32, String, String)>,
}

/// Two elements at the same place.
#[derive(Clone, Copy)]
struct Element {
    place: usize,
    a: f64,
    b: f64,
    difference: f64,
}

impl Differences {
    /// Adds the answers to an input.
    pub(crate) fn add(&mut self, sample: u32, a: &Tensor, b: &Tensor, tolerance: Tolerance) {
        if a.shape != b.shape || a.data_type != b.data_type {
            let form =
                |tensor: &Tensor| format!("{} {}", tensor.data_type, hippocamp_client::dims(&tensor.shape));
            self.form.get_or_insert_with(|| (sample, form(a), form(b)));
            return;
        }
        if a.data_type == DataType::Bytes {
            self.texts(sample, a, b);
            return;
        }
        self.elements += a.data.len() as u64 / a.data_type.byte_size().unwrap_or(1).max(1) as u64;
        // What is the same is not looked at.
        if a.data == b.data {
            return;
        }
        each(a, b, |element| self.element(sample, &a.shape, element, tolerance));
    }

    fn element(&mut self, sample: u32, shape: &[i64], element: Element, tolerance: Tolerance) {
        let Element { place, a, b, difference } = element;
        if difference == 0.0 {
            return;
        }
        self.different += 1;
        self.above += u64::from(tolerance.is_exceeded(difference, b));
        let larger = a.abs().max(b.abs());
        let relative = if difference.is_finite() { difference / larger } else { difference };
        for (largest, difference) in [(&mut self.absolute, difference), (&mut self.relative, relative)] {
            if largest.as_ref().is_none_or(|largest| difference > largest.difference) {
                *largest = Some(Largest { difference, sample, index: index(shape, place), a, b });
            }
        }
    }

    fn texts(&mut self, sample: u32, a: &Tensor, b: &Tensor) {
        let mut others = BytesElements::new(&b.data);
        for (place, text) in BytesElements::new(&a.data).enumerate() {
            self.elements += 1;
            let is_same = matches!((text, others.next()), (Ok(a), Some(Ok(b))) if a == b);
            if !is_same {
                self.different += 1;
                self.above += 1;
                self.first_text.get_or_insert_with(|| (sample, index(&a.shape, place)));
            }
        }
    }

    /// Whether all is as near as the tolerance asks for.
    pub(crate) fn is_within(&self) -> bool {
        self.above == 0 && self.form.is_none()
    }
}

/// The index of an element by its place in the memory.
fn index(shape: &[i64], mut place: usize) -> Vec<i64> {
    let mut index = vec![0; shape.len()];
    for (at, size) in index.iter_mut().zip(shape).rev() {
        let size = usize::try_from(*size).unwrap_or(1).max(1);
        *at = (place % size) as i64;
        place /= size;
    }
    index
}

/// Two floats: no number is as far from a number as can be, and is the same as no number.
#[expect(clippy::float_cmp, reason = "exactly the same is meant")]
fn float(place: usize, a: f64, b: f64) -> Element {
    let difference = if a == b || (a.is_nan() && b.is_nan()) {
        0.0
    } else if a.is_finite() && b.is_finite() {
        (a - b).abs()
    } else {
        f64::INFINITY
    };
    Element { place, a, b, difference }
}

/// Two integers, whose difference is exact.
fn integer(place: usize, a: i128, b: i128) -> Element {
    Element { place, a: a as f64, b: b as f64, difference: a.abs_diff(b) as f64 }
}

/// Calls `visit` with each pair of elements.
fn each(a: &Tensor, b: &Tensor, mut visit: impl FnMut(Element)) {
    macro_rules! visit {
        ($size:literal, $make:ident, $convert:expr) => {{
            let (a, b) = (a.data.as_chunks::<$size>().0, b.data.as_chunks::<$size>().0);
            for (place, (a, b)) in a.iter().zip(b).enumerate() {
                visit($make(place, $convert(*a), $convert(*b)));
            }
        }};
    }
    match a.data_type {
        DataType::Bool => visit!(1, integer, |x: [u8; 1]| i128::from(x[0] != 0)),
        DataType::Uint8 => visit!(1, integer, |x| i128::from(u8::from_le_bytes(x))),
        DataType::Int8 => visit!(1, integer, |x| i128::from(i8::from_le_bytes(x))),
        DataType::Uint16 => visit!(2, integer, |x| i128::from(u16::from_le_bytes(x))),
        DataType::Int16 => visit!(2, integer, |x| i128::from(i16::from_le_bytes(x))),
        DataType::Uint32 => visit!(4, integer, |x| i128::from(u32::from_le_bytes(x))),
        DataType::Int32 => visit!(4, integer, |x| i128::from(i32::from_le_bytes(x))),
        DataType::Uint64 => visit!(8, integer, |x| i128::from(u64::from_le_bytes(x))),
        DataType::Int64 => visit!(8, integer, |x| i128::from(i64::from_le_bytes(x))),
        DataType::Fp16 => visit!(2, float, |x| f64::from(f16::from_le_bytes(x))),
        DataType::Bf16 => visit!(2, float, |x| f64::from(bf16::from_le_bytes(x))),
        DataType::Fp32 => visit!(4, float, |x| f64::from(f32::from_le_bytes(x))),
        DataType::Fp64 => visit!(8, float, f64::from_le_bytes),
        DataType::Bytes => {}
    }
}

#[cfg(test)]
mod tests;
