//! Checks that a tensor of one shape can be reshaped to another.

/// The elements between two variable-size dimensions.
type Chunks = Vec<i64>;

/// What is wrong with giving a tensor of these dims the other shape. The two need as many elements, and where there are
/// variable-size dimensions, as many on each side of each: `[2,4,-1,6]` can be `[8,-1,1,6]`.
///
/// Triton refuses an empty reshape for a model without a batch dimension; here scalars are as good as any shape.
pub(super) fn check(dims: &[i64], shape: &[i64]) -> Result<(), &'static str> {
    if shape.iter().any(|dim| *dim < 1 && *dim != -1) {
        return Err("reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension");
    }
    if dims.iter().any(|dim| *dim < 1 && *dim != -1) {
        // Reported already, and there is nothing to compare with.
        return Ok(());
    }
    let too_large = "has dims or reshape with more elements than can be counted";
    let dims = chunks(dims).ok_or(too_large)?;
    let shape = chunks(shape).ok_or(too_large)?;
    let is_variable = |chunks: &Chunks| chunks.len() > 1;
    if is_variable(&dims) && is_variable(&shape) && dims.len() != shape.len() {
        return Err("has different number of variable-size dimensions for dims and reshape");
    }
    // An empty shape is one chunk of one element, as dims [1] are.
    if dims == shape { Ok(()) } else { Err("has different size for dims and reshape") }
}

fn chunks(dims: &[i64]) -> Option<Chunks> {
    let mut chunks = vec![1_i64];
    for dim in dims {
        if *dim == -1 {
            chunks.push(1);
        } else {
            let last = chunks.last_mut()?;
            *last = last.checked_mul(*dim)?;
        }
    }
    Some(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_between_variable_dimensions() {
        assert_eq!(check(&[2, 4, -1, 6], &[8, -1, 1, 6]), Ok(()));
        assert_eq!(check(&[2, 4, 6], &[48]), Ok(()));
        assert_eq!(check(&[1], &[]), Ok(()));
        assert_eq!(check(&[1, 1], &[]), Ok(()));
        let size = Err("has different size for dims and reshape");
        assert_eq!(check(&[2], &[]), size);
        assert_eq!(check(&[-1], &[]), size);
        assert_eq!(check(&[4, -1], &[2, -1, 2]), size);
        assert_eq!(check(&[-1, 1], &[1]), size);
        assert_eq!(
            check(&[-1, 4], &[-1, -1]),
            Err("has different number of variable-size dimensions for dims and reshape")
        );
    }

    #[test]
    fn refuses_what_is_no_shape() {
        assert!(check(&[1], &[0]).unwrap_err().starts_with("reshape dimensions must be"));
        assert!(check(&[i64::MAX, 2], &[2, i64::MAX]).unwrap_err().contains("more elements"));
    }
}
