//! The optimisation profiles of a network, made of the command line.

use anyhow::{Result, bail};
use hippocamp_tensorrt_sys::build::NetworkTensor;

use crate::PlanArgs;
use crate::shapes::ShapeRange;

/// For each profile, for each input whose sizes vary or whose values are shapes: the least, the best and the largest.
pub(crate) fn profiles(args: &PlanArgs, inputs: &[NetworkTensor]) -> Result<Vec<Vec<ShapeRange>>> {
    for range in args.profiles.iter().flatten() {
        let Some(input) = inputs.iter().find(|input| input.name == range.input) else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            bail!("--shapes names '{}', the model's inputs are {}", range.input, names.join(", "));
        };
        check(range, input)?;
    }
    let mut profiles = args.profiles.clone();
    if profiles.is_empty() {
        profiles.push(Vec::new());
    }
    for profile in &mut profiles {
        for input in inputs.iter().filter(|input| input.is_shape_tensor || input.dims.contains(&-1)) {
            if profile.iter().all(|range| range.input != input.name) {
                profile.push(by_max_batch(args.max_batch, input)?);
            }
        }
    }
    Ok(profiles)
}

/// Whether a range is one of the input.
fn check(range: &ShapeRange, input: &NetworkTensor) -> Result<()> {
    let name = &input.name;
    let [min, _, max] = &range.bounds;
    if input.is_shape_tensor {
        let count: i64 = input.dims.iter().product();
        if min.len() as i64 != count {
            bail!("input '{name}' is a shape tensor of {count} values, --shapes gives {}", min.len());
        }
        return Ok(());
    }
    let is_of = |shape: &[i64]| {
        shape.len() == input.dims.len()
            && shape.iter().zip(&input.dims).all(|(size, dim)| *dim == -1 || size == dim)
    };
    if is_of(min) && is_of(max) {
        return Ok(());
    }
    bail!("input '{name}' has shape {:?}, where -1 varies; --shapes gives {min:?} to {max:?}", input.dims)
}

/// The range of an input of which only the batch varies.
fn by_max_batch(max_batch: Option<i64>, input: &NetworkTensor) -> Result<ShapeRange> {
    let NetworkTensor { name, dims, .. } = input;
    if input.is_shape_tensor {
        bail!("the values of input '{name}' are a shape: give their bounds, --shapes {name}:MIN..OPT..MAX");
    }
    let example: Vec<String> =
        dims.iter().map(|dim| if *dim == -1 { "N".to_owned() } else { dim.to_string() }).collect();
    let example = example.join("x");
    let varies_elsewhere = dims.iter().skip(1).any(|dim| *dim == -1);
    let (Some(largest), false) = (max_batch, varies_elsewhere) else {
        bail!(
            "the sizes of input '{name}', {dims:?}, vary where -1 is: give their bounds, --shapes {name}:{example}..{example}{}",
            if varies_elsewhere { "" } else { ", or --max-batch N" }
        );
    };
    let with =
        |batch: i64| dims.iter().map(|dim| if *dim == -1 { batch } else { *dim }).collect::<Vec<i64>>();
    Ok(ShapeRange { input: name.clone(), bounds: [with(1), with((largest / 2).max(1)), with(largest)] })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn tensor(name: &str, dims: &[i64], is_shape_tensor: bool) -> NetworkTensor {
        let data_type = Ok(hippocamp_tensorrt_sys::DataType::Float);
        NetworkTensor { name: name.to_owned(), dims: dims.to_vec(), data_type, is_shape_tensor }
    }

    fn of(line: &str) -> Result<Vec<Vec<ShapeRange>>> {
        let inputs = [tensor("x", &[-1, 3], false), tensor("s", &[2], true), tensor("fixed", &[4], false)];
        profiles(&PlanArgs::read(line.split(' ').map(OsString::from))?, &inputs)
    }

    #[test]
    fn what_is_not_given_follows_the_largest_batch() {
        let made = of("plan m --max-batch 8 --shapes s:1x1..2x2..4x4 --shapes x:9x3..16x3 s:1x1").unwrap();
        let bounds = |profile: usize, input: &str| {
            made[profile].iter().find(|range| range.input == input).unwrap().bounds.clone()
        };
        assert_eq!(bounds(0, "x"), [[1, 3], [4, 3], [8, 3]]);
        assert_eq!(bounds(1, "x"), [[9, 3], [16, 3], [16, 3]]);
        assert_eq!(bounds(1, "s"), [[1, 1], [1, 1], [1, 1]]);
        assert!(made.iter().all(|profile| profile.len() == 2), "inputs that are fixed need no range");
    }

    #[test]
    fn says_what_is_missing_or_wrong() {
        let fault = |line: &str| of(line).unwrap_err().to_string();
        assert_eq!(
            fault("plan m"),
            "the sizes of input 'x', [-1, 3], vary where -1 is: give their bounds, --shapes x:Nx3..Nx3, or --max-batch N"
        );
        assert!(fault("plan m --max-batch 4").starts_with("the values of input 's' are a shape"));
        assert_eq!(fault("plan m --shapes y:1"), "--shapes names 'y', the model's inputs are x, s, fixed");
        assert!(
            fault("plan m --shapes x:1x4")
                .contains("has shape [-1, 3], where -1 varies; --shapes gives [1, 4]")
        );
        assert!(fault("plan m --shapes s:1").contains("a shape tensor of 2 values, --shapes gives 1"));
    }
}
