//! How rows are cut off a tensor for a model, which the configs of both tell.

use hippocamp_tensor::Shape;

use crate::consistency::can_be_equal;

/// How a tensor is cut to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The rows are those of the batch. Otherwise they are those of the tensor itself, behind a batch dimension of 1 if it
    /// has one.
    pub(crate) of_batch: bool,
    /// The model has no batch dimension, but a first dimension of 1 in its dims, which a row has, too.
    pub(crate) keeps_one: bool,
}

impl Cut {
    /// How a tensor whose config says `from`, behind a batch dimension if `from_batches` is true, is cut for an input of dims
    /// `to`. `None` if its rows do not fit.
    pub(crate) fn find(from: &Shape, from_batches: bool, to: &Shape, to_batches: bool) -> Option<Cut> {
        let cut = |of_batch, keeps_one| Some(Cut { of_batch, keeps_one });
        let has_one = !to_batches && matches!(to.first(), Some(1 | -1));
        let rest = |shape: &Shape| shape.iter().skip(1).copied().collect::<Shape>();
        if !from.is_empty() && can_be_equal(&rest(from), to) {
            return cut(false, false);
        }
        let of_batch = from_batches && can_be_equal(from, to);
        if of_batch && from.first() == Some(&1) {
            return cut(true, false);
        }
        if has_one && !from.is_empty() && can_be_equal(&rest(from), &rest(to)) {
            return cut(false, true);
        }
        if of_batch {
            return cut(true, false);
        }
        if has_one && from_batches && can_be_equal(from, &rest(to)) {
            return cut(true, true);
        }
        None
    }

    /// The dims of an output of the whole fan-out, of a model whose config says `dims`: all that they can be.
    pub(crate) fn gathered(dims: &Shape, batches: bool) -> (Shape, Option<Shape>) {
        let stacked = dims.with_batch(-1);
        let joined = (!batches && matches!(dims.first(), Some(1 | -1))).then(|| {
            let mut joined = dims.clone();
            joined.set_batch(-1);
            joined
        });
        (stacked, joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(from: &[i64], from_batches: bool, to: &[i64], to_batches: bool) -> Option<(bool, bool)> {
        Cut::find(&from.into(), from_batches, &to.into(), to_batches).map(|cut| (cut.of_batch, cut.keeps_one))
    }

    #[test]
    fn rows_are_found_by_the_configs() {
        let (own, own_with_one) = (Some((false, false)), Some((false, true)));
        assert_eq!(cut(&[-1, 4, 2], false, &[4, 2], true), own);
        assert_eq!(cut(&[-1, 4, 2], false, &[4, 2], false), own);
        assert_eq!(cut(&[-1, 4, 2], true, &[4, 2], true), own);
        assert_eq!(cut(&[-1, 3, 48, 192], false, &[-1, 3, 48, -1], false), own_with_one);
        assert_eq!(cut(&[-1], false, &[1], false), own_with_one);
        assert_eq!(cut(&[-1], false, &[], true), own);
        assert_eq!(cut(&[3, 8, 8], true, &[3, 8, 8], true), Some((true, false)), "the batch");
        assert_eq!(cut(&[1, 8, 8], true, &[1, 8, 8], false), Some((true, false)), "the batch");
        assert_eq!(cut(&[8, 8], true, &[1, 8, 8], false), Some((true, true)), "the batch");
        assert_eq!(cut(&[8, 8], false, &[8, 8], true), None, "its rows have one dimension");
        assert_eq!(cut(&[-1, 5, 2], false, &[4, 2], true), None);
        assert_eq!(cut(&[], false, &[1], true), None);
    }
}
