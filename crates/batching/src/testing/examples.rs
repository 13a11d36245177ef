//! Examples for the conformance kit, of models that several backends have.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_tensor::{DataType, Shape, push_element};

use super::model::Loaded;
use super::tensors::{input, numbers};
use crate::conformance::{Example, MakeExample, Subject};

/// Checks all promises with a model, which `more` may tell more of.
///
/// # Panics
/// If one is broken.
pub fn verify<'a>(model: &'a Loaded, example: &'a MakeExample<'a>, more: impl FnOnce(&mut Subject<'a>)) {
    let (config, interface) = (Arc::clone(&model.config), Arc::clone(&model.interface));
    let mut subject = Subject::new(&*model.model, config, interface, example);
    more(&mut subject);
    subject.verify();
}

/// Two rows of 16 INT32, and their sum and their difference.
pub fn sums_and_differences(n: usize, rows: usize) -> Example {
    let (count, shape) = (16 * rows as i32, [rows as i64, 16]);
    let values = |factor: i32| (0..count).map(move |i| i * factor + n as i32);
    let sums = values(3).zip(values(5)).map(|(a, b)| a + b);
    let differences = values(3).zip(values(5)).map(|(a, b)| a - b);
    let output = |values| Some((Shape::from(shape), values));
    Example {
        inputs: vec![input(&shape, numbers(values(3))), input(&shape, numbers(values(5)))],
        responses: vec![vec![output(numbers(sums)), output(numbers(differences))]],
    }
}

/// Elements that tell which request they belong to.
pub fn content(data_type: DataType, n: usize, count: usize) -> Bytes {
    match data_type {
        DataType::Bytes => {
            let mut wire = Vec::new();
            (0..count)
                .for_each(|i| push_element(&mut wire, format!("{n}:{}", "x".repeat(i % 40)).as_bytes()));
            wire.into()
        }
        DataType::Bool => (0..count).map(|i| ((n + i) % 2) as u8).collect(),
        _ => (0..count * data_type.byte_size().unwrap()).map(|i| (i * 7 + n * 31) as u8 & 0x3f).collect(),
    }
}

/// An input that is the output.
pub fn pass(shape: &[i64], data: Bytes) -> Example {
    Example {
        inputs: vec![input(shape, data.clone())],
        responses: vec![vec![Some((Shape::from(shape), data))]],
    }
}
