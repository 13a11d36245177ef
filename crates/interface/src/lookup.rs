//! Finding a model's tensors by the names that a request gives.

use std::collections::HashMap;

use crate::TensorSpec;

/// Up to so many tensors are looked through one by one.
const FEW: usize = 16;

/// Finds tensors by name, for one request. A client decides how many names there are and in which order, and a model may have
/// a thousand tensors: the tensor behind the one that was found last is tried first, and many are found by a table that is
/// made when it is needed. So looking up all names of a request takes time in proportion to their number.
#[derive(Debug)]
pub struct TensorLookup<'a> {
    specs: &'a [TensorSpec],
    next: usize,
    table: Option<HashMap<&'a str, usize>>,
}

impl<'a> TensorLookup<'a> {
    pub fn new(specs: &'a [TensorSpec]) -> TensorLookup<'a> {
        TensorLookup { specs, next: 0, table: None }
    }

    /// The tensor's place in the list; `None` if the model has none of that name.
    pub fn find(&mut self, name: &str) -> Option<usize> {
        let found = match self.specs.get(self.next) {
            Some(spec) if is(spec, name) => self.next,
            _ => self.search(name)?,
        };
        self.next = found + 1;
        Some(found)
    }

    fn search(&mut self, name: &str) -> Option<usize> {
        let specs = self.specs;
        if specs.len() <= FEW {
            return specs.iter().position(|spec| is(spec, name));
        }
        let table = self.table.get_or_insert_with(|| {
            // Of tensors with the same name the first is found.
            specs.iter().enumerate().rev().map(|(index, spec)| (&*spec.name, index)).collect()
        });
        table.get(name).copied()
    }
}

fn is(spec: &TensorSpec, name: &str) -> bool {
    note_comparison();
    *spec.name == *name
}

/// Tests count what many names cost.
#[cfg(not(test))]
fn note_comparison() {}

#[cfg(test)]
use tests::note_comparison;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use hippocamp_tensor::{DataType, Shape};

    use super::*;

    thread_local! {
        static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn note_comparison() {
        COMPARISONS.set(COMPARISONS.get() + 1);
    }

    fn specs(count: usize) -> Vec<TensorSpec> {
        let spec = |index| TensorSpec {
            name: format!("T{index}").into(),
            data_type: DataType::Fp32,
            dims: Shape::from([1]),
            reshape: None,
            optional: false,
            is_shape_tensor: false,
            allow_ragged_batch: false,
            label_filename: String::new(),
        };
        (0..count).map(spec).collect()
    }

    #[test]
    fn finds_every_tensor_in_any_order_and_no_other() {
        for count in [0, 1, 3, FEW, FEW + 1, 100] {
            let specs = specs(count);
            let mut lookup = TensorLookup::new(&specs);
            for index in (0..count).chain((0..count).rev()).chain((0..count).map(|i| i * 7 % count)) {
                assert_eq!(lookup.find(&format!("T{index}")), Some(index));
            }
            assert_eq!((lookup.find("T"), lookup.find("")), (None, None));
        }
    }

    #[test]
    fn many_names_are_never_compared_with_all_tensors() {
        const NAMES: usize = 4096;
        let specs = specs(1000);
        for name in [|index: usize| format!("T{}", 999 - index % 1000), |index| format!("unknown {index}")] {
            let mut lookup = TensorLookup::new(&specs);
            COMPARISONS.set(0);
            for index in 0..NAMES {
                lookup.find(&name(index));
            }
            let comparisons = COMPARISONS.get();
            assert!(comparisons <= 2 * NAMES, "{comparisons} comparisons for {NAMES} names");
        }
    }
}
