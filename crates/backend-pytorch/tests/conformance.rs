//! Runs the conformance kit on models of every kind.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use bytes::Bytes;
use hippocamp_backend::InputTensor;
use hippocamp_batching::conformance::{Example, MakeExample};
use hippocamp_batching::testing::{self, content, pass, sums_and_differences};
use hippocamp_tensor::{DataType, Shape};
use kit::script::Script;
use kit::{Loaded, input, load, numbers};

type Make<'a> = &'a MakeExample<'a>;

fn verify<'a>(
    model: &'a Loaded,
    example: Make<'a>,
    empty: Option<Make<'a>>,
    refused: Option<Vec<Option<InputTensor>>>,
) {
    testing::verify(model, example, |subject| {
        subject.empty = empty;
        subject.refused = refused;
    });
}

const ADD_SUB: &str = "max_batch_size: 8 \
    input [ { name: \"INPUT__0\" data_type: TYPE_INT32 dims: 16 }, { name: \"INPUT__1\" data_type: TYPE_INT32 dims: 16 } ] \
    output [ { name: \"OUTPUT__0\" data_type: TYPE_INT32 dims: 16 }, { name: \"OUTPUT__1\" data_type: TYPE_INT32 dims: 16 } ]";

#[test]
fn two_inputs_two_outputs() {
    let script = Script::new(
        "a: Tensor,\n    b: Tensor -> Tuple[Tensor, Tensor]",
        "return (torch.add(a, b), torch.sub(a, b))",
    );
    verify(&load(&script, ADD_SUB).unwrap(), &sums_and_differences, None, None);
}

#[test]
fn dictionaries() {
    let script = Script::new(
        "x: Dict[str, Tensor] -> Dict[str, Tensor]",
        "a, b = x[\"INPUT__0\"], x[\"INPUT__1\"]\nreturn {\"OUTPUT__1\": torch.sub(a, b), \"OUTPUT__0\": torch.add(a, b)}",
    );
    verify(&load(&script, ADD_SUB).unwrap(), &sums_and_differences, None, None);
}

/// A model that writes to its inputs: they are copied.
#[test]
fn inputs_that_are_written_to() {
    let script = Script::new(
        "a: Tensor,\n    b: Tensor -> Tuple[Tensor, Tensor]",
        "d = torch.sub(a, b)\nreturn (torch.add_(a, b), d)",
    );
    verify(&load(&script, ADD_SUB).unwrap(), &sums_and_differences, None, None);
}

#[test]
fn every_type_in_batches_and_without() {
    let script = Script::new("x: Tensor -> Tensor", "return torch.clone(x)");
    for data_type in DataType::ALL.into_iter().filter(|data_type| *data_type != DataType::Bytes) {
        let text = |batch: i32| {
            let kind = data_type.config_name();
            format!(
                "max_batch_size: {batch} input {{ name: \"x\" data_type: {kind} dims: -1 }} \
                 output {{ name: \"y\" data_type: {kind} dims: -1 }}"
            )
        };
        let batched = |n: usize, rows: usize| pass(&[rows as i64, 5], content(data_type, n, 5 * rows));
        let no_columns = |_: usize, rows: usize| pass(&[rows as i64, 0], Bytes::new());
        verify(&load(&script, &text(8)).unwrap(), &batched, Some(&no_columns), None);
        let plain = |n: usize, _: usize| pass(&[(n % 7 + 1) as i64], content(data_type, n, n % 7 + 1));
        let nothing = |_: usize, _: usize| pass(&[0], Bytes::new());
        verify(&load(&script, &text(0)).unwrap(), &plain, Some(&nothing), None);
    }
}

#[test]
fn strings_in_batches_and_without() {
    let script = Script::new("x: List[str] -> List[str]", "return x");
    let text = "max_batch_size: 8 input { name: \"x\" data_type: TYPE_STRING dims: 1 reshape { shape: [] } } \
                output { name: \"y\" data_type: TYPE_STRING dims: 1 reshape { shape: [] } }";
    let batched = |n: usize, rows: usize| pass(&[rows as i64, 1], content(DataType::Bytes, n, rows));
    verify(&load(&script, text).unwrap(), &batched, None, None);
    let text = "input { name: \"x\" data_type: TYPE_STRING dims: -1 } output { name: \"y\" data_type: TYPE_STRING dims: -1 }";
    let plain = |n: usize, _: usize| pass(&[(n % 7 + 1) as i64], content(DataType::Bytes, n, n % 7 + 1));
    let nothing = |_: usize, _: usize| pass(&[0], Bytes::new());
    verify(&load(&script, text).unwrap(), &plain, Some(&nothing), None);
}

fn wide(name: &str) -> String {
    format!("{{ name: \"{name}\" data_type: TYPE_FP32 dims: 40000 }}")
}

/// Large outputs: one that shares the library's memory, one that is the input, and a part of that.
#[test]
fn outputs_that_are_shared_with_the_library_or_with_an_input() {
    const COLUMNS: usize = 40_000;
    let script = Script::new(
        "x: Tensor -> Tuple[Tensor, Tensor, Tensor]",
        "return (torch.neg(x), x, torch.slice(x, 1, 0, 20000))",
    );
    let half = wide("c").replace("40000", "20000");
    let text =
        format!("max_batch_size: 6 input {} output [ {}, {}, {half} ]", wide("x"), wide("a"), wide("b"));
    let example = |n: usize, rows: usize| {
        let value = |i: usize| (i + n) as f32;
        let shape = |columns: usize| Shape::from([rows as i64, columns as i64]);
        let all = 0..rows * COLUMNS;
        let same = numbers(all.clone().map(value));
        let first = all.clone().filter(|i| i % COLUMNS < COLUMNS / 2).map(value);
        let outputs = [
            (shape(COLUMNS), numbers(all.map(|i| -value(i)))),
            (shape(COLUMNS), same.clone()),
            (shape(COLUMNS / 2), numbers(first)),
        ];
        Example { inputs: vec![input(&shape(COLUMNS), same)], responses: vec![outputs.map(Some).to_vec()] }
    };
    verify(&load(&script, &text).unwrap(), &example, None, None);
}

/// An index that the table does not have fails its own request, and not those that it is batched with.
#[test]
fn a_model_that_can_fail() {
    let script = Script::new(
        "i: Tensor -> Tensor",
        "t = torch.mul(torch.add(torch.arange(3), 1), 10)\n\
         return torch.reshape(torch.index_select(t, 0, torch.flatten(i)), [-1, 2])",
    );
    let text = "max_batch_size: 4 input { name: \"i\" data_type: TYPE_INT64 dims: 2 } \
                output { name: \"y\" data_type: TYPE_INT64 dims: 2 }";
    let example = |n: usize, rows: usize| {
        let (picks, shape) = ((0..2 * rows).map(|i| (n + i) % 3), [rows as i64, 2]);
        let output = Some((Shape::from(shape), numbers(picks.clone().map(|p| 10 * (p as i64 + 1)))));
        Example {
            inputs: vec![input(&shape, numbers(picks.map(|p| p as i64)))],
            responses: vec![vec![output]],
        }
    };
    verify(&load(&script, text).unwrap(), &example, None, Some(vec![input(&[1, 2], numbers([0i64, 3]))]));
}

/// A module that keeps its input: each instance has a module of its own.
#[test]
fn a_model_that_keeps_something() {
    let script =
        Script::new("x: Tensor -> Tensor", "self.last = x\nreturn unchecked_cast(Tensor, self.last)")
            .attribute("last", "Optional[Tensor]", b"N");
    let text = format!("max_batch_size: 4 input {} output {}", wide("x"), wide("y"));
    let example = |n: usize, rows: usize| {
        let data = numbers((0..rows * 40_000).map(|i| (i + n) as f32));
        pass(&[rows as i64, 40_000], data)
    };
    verify(&load(&script, &text).unwrap(), &example, None, None);
}
