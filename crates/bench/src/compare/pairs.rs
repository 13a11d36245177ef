//! Which tensors of two models are the same: those of the same name, or else those at the same place.

use hippocamp_client::{Result, TensorInfo, describe};

use crate::failure;

/// The places of tensors that belong together, in A's list and in B's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs {
    pub(crate) matched: Vec<(usize, usize)>,
    /// Whether some have different names, and belong together by their places.
    pub(crate) by_position: bool,
    /// Tensors of A, and of B, that belong to none of the other.
    pub(crate) only: (Vec<usize>, Vec<usize>),
}

/// Finds the tensors that belong together. Those that have no namesake belong together by their places, where both sides have as
/// many of them, of the same types one by one.
pub(crate) fn pairs(a: &[TensorInfo], b: &[TensorInfo]) -> Pairs {
    let of_name = |name: &str| b.iter().position(|tensor| tensor.name == name);
    let mut found: Vec<(usize, Option<usize>)> =
        a.iter().enumerate().map(|(place, tensor)| (place, of_name(&tensor.name))).collect();
    let alone_a: Vec<usize> =
        found.iter().filter(|(_, other)| other.is_none()).map(|(place, _)| *place).collect();
    let alone_b: Vec<usize> =
        (0..b.len()).filter(|place| !found.iter().any(|(_, other)| *other == Some(*place))).collect();
    let same_types = |(a_place, b_place): (&usize, &usize)| a[*a_place].data_type == b[*b_place].data_type;
    let by_position =
        !alone_a.is_empty() && alone_a.len() == alone_b.len() && alone_a.iter().zip(&alone_b).all(same_types);
    let mut only = (alone_a, alone_b);
    if by_position {
        for (a_place, b_place) in only.0.drain(..).zip(only.1.drain(..)) {
            found[a_place].1 = Some(b_place);
        }
    }
    let matched = found.into_iter().filter_map(|(place, other)| Some((place, other?))).collect();
    Pairs { matched, by_position, only }
}

/// The inputs that belong together: all of them, each of one type.
pub(crate) fn inputs(a: &[TensorInfo], b: &[TensorInfo]) -> Result<Pairs> {
    let found = pairs(a, b);
    let list = |tensors: &[TensorInfo]| tensors.iter().map(describe).collect::<Vec<_>>().join(", ");
    if found.only != (Vec::new(), Vec::new()) {
        return failure(format!("the models take different inputs: A has {}; B has {}", list(a), list(b)));
    }
    match found.matched.iter().find(|(a_place, b_place)| a[*a_place].data_type != b[*b_place].data_type) {
        Some((a_place, b_place)) => failure(format!(
            "the models take inputs of different types: A has {}; B has {}",
            describe(&a[*a_place]),
            describe(&b[*b_place])
        )),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_tensor::DataType::{self, Fp32, Int32};

    use super::*;

    fn tensors(list: &[(&str, DataType)]) -> Vec<TensorInfo> {
        let tensor = |(name, data_type): &(&str, DataType)| TensorInfo {
            name: (*name).to_owned(),
            data_type: *data_type,
            shape: vec![1],
        };
        list.iter().map(tensor).collect()
    }

    #[test]
    fn names_come_before_places() {
        let a = tensors(&[("x", Fp32), ("y", Int32)]);
        let swapped = tensors(&[("y", Int32), ("x", Fp32)]);
        let found = pairs(&a, &swapped);
        assert_eq!((found.matched, found.by_position), (vec![(0, 1), (1, 0)], false));
        let found = pairs(&a, &tensors(&[("out:0", Fp32), ("y", Int32)]));
        assert_eq!((found.matched, found.by_position), (vec![(0, 0), (1, 1)], true));
        let found = pairs(&a, &tensors(&[("p", Int32), ("q", Fp32)]));
        assert_eq!((found.matched, found.only), (vec![], (vec![0, 1], vec![0, 1])), "their types differ");
        let found = pairs(&a, &tensors(&[("x", Fp32)]));
        assert_eq!((found.matched, found.only), (vec![(0, 0)], (vec![1], vec![])));
    }

    #[test]
    fn all_inputs_are_needed() {
        let a = tensors(&[("x", Fp32)]);
        let told = |b: &[(&str, DataType)]| inputs(&a, &tensors(b)).unwrap_err().to_string();
        assert_eq!(told(&[]), "the models take different inputs: A has x (FP32 [1]); B has ");
        assert!(
            told(&[("x", Int32)]).starts_with("the models take inputs of different types: A has x (FP32")
        );
        assert!(told(&[("y", Int32)]).starts_with("the models take different inputs"));
    }
}
