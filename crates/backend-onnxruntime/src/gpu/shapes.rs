//! The shapes that an instance can prepare for before it is ready.

use hippocamp_batching::{PlanSizes, model_shape};
use hippocamp_model_config::{Interface, TensorSpec};

use super::plan_cache::Key;

/// The shapes of the inputs of a batch of `rows`, as the model sees them; `None` if the config leaves sizes open. Inputs that
/// a request may leave out are left out.
pub(super) fn shapes_of(interface: &Interface, rows: usize) -> Option<Key> {
    interface
        .all_inputs()
        .map(|spec| {
            if spec.optional {
                return Some(None);
            }
            let batched = interface.max_batch_size > 0;
            let has_rows = batched && !spec.is_shape_tensor;
            let shape = if has_rows { spec.dims.with_batch(rows as i64) } else { spec.dims.clone() };
            let shape = model_shape(spec, shape, has_rows);
            let is_known = shape.iter().all(|size| *size >= 0) && !spec.allow_ragged_batch;
            is_known.then_some(Some(shape))
        })
        .collect()
}

/// Whether requests choose sizes besides that of the batch.
pub(crate) fn has_open_sizes(interface: &Interface) -> bool {
    let is_open = |spec: &TensorSpec| spec.allow_ragged_batch || spec.dims.contains(&-1);
    interface.all_inputs().any(is_open)
}

/// Whether a batch may have shapes that nobody could know before it came.
pub(crate) fn may_miss(sizes: &PlanSizes, interface: &Interface) -> bool {
    let as_they_come = sizes.is_empty() && interface.max_batch_size > 1;
    as_they_come || has_open_sizes(interface) || interface.all_inputs().any(|spec| spec.optional)
}

#[cfg(test)]
mod tests {
    use hippocamp_model_config::parse;
    use hippocamp_tensor::Shape;

    use super::*;

    fn interface(text: &str) -> Interface {
        Interface::new(&parse(text, "config.pbtxt").unwrap().config).unwrap()
    }

    #[test]
    fn fixed_sizes_are_known_and_open_ones_are_not() {
        let fixed = interface(
            "name: 'm' max_batch_size: 8 \
             input [ { name: 'x' data_type: TYPE_FP32 dims: [ 3, 32, 32 ] }, \
                     { name: 'y' data_type: TYPE_INT64 dims: [ 1 ] reshape { shape: [ ] } } ]",
        );
        let expected: Key = [Some(Shape::from([4, 3, 32, 32])), Some(Shape::from([4]))].into_iter().collect();
        assert_eq!(shapes_of(&fixed, 4), Some(expected));
        assert!(!has_open_sizes(&fixed));
        assert!(may_miss(&PlanSizes::default(), &fixed), "batches run as they come");
        let open = interface(
            "name: 'm' max_batch_size: 8 input [ { name: 'x' data_type: TYPE_FP32 dims: [ 3, -1 ] } ]",
        );
        assert_eq!(shapes_of(&open, 4), None);
        assert!(has_open_sizes(&open));
        let alone = interface("name: 'm' input [ { name: 'x' data_type: TYPE_FP32 dims: [ 2, 3 ] } ]");
        assert_eq!(shapes_of(&alone, 1), Some([Some(Shape::from([2, 3]))].into_iter().collect()));
    }
}
