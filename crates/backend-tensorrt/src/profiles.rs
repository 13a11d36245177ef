//! Which profile a batch is executed with.

use hippocamp_backend::{Error, Result};

use crate::plan::Range;
use crate::port::Port;

/// An input of a batch, as far as the choice depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Given<'a> {
    pub(crate) port: &'a Port,
    pub(crate) dims: &'a [i64],
    /// Of a shape tensor.
    pub(crate) values: Option<&'a [i64]>,
}

impl Range {
    fn takes(&self, dims: &[i64], values: Option<&[i64]>) -> bool {
        let fits = |min: &[i64], max: &[i64], got: &[i64]| {
            got.len() == min.len()
                && got.iter().zip(min.iter().zip(max)).all(|(got, (min, max))| (min..=max).contains(&got))
        };
        let values_fit = match (&self.values, values) {
            (Some([min, _, max]), Some(values)) => fits(min, max, values),
            _ => true,
        };
        fits(&self.min, &self.max, dims) && values_fit
    }

    /// How far a shape is from the one that the profile is best at.
    fn distance(&self, dims: &[i64]) -> i64 {
        self.opt.iter().zip(dims).map(|(opt, got)| (opt - got).saturating_abs()).fold(0, i64::saturating_add)
    }
}

/// The profile among `profiles` that takes all inputs and is best at shapes near theirs; of several that are, the first.
pub(crate) fn choose(model: &str, profiles: &[usize], inputs: &[Given<'_>]) -> Result<usize> {
    let range = |given: &Given<'_>, profile: usize| {
        given.port.tensor.ranges.get(profile).cloned().unwrap_or_default()
    };
    let takes =
        |profile: &usize| inputs.iter().all(|given| range(given, *profile).takes(given.dims, given.values));
    let distance =
        |profile: &usize| inputs.iter().map(|given| range(given, *profile).distance(given.dims)).sum::<i64>();
    let chosen =
        profiles.iter().copied().filter(|profile| takes(profile)).min_by_key(|profile| distance(profile));
    chosen.ok_or_else(|| untaken(model, profiles, inputs))
}

/// Says which input no profile takes, with Triton's words where there is only one profile.
#[cold]
fn untaken(model: &str, profiles: &[usize], inputs: &[Given<'_>]) -> Error {
    for given in inputs {
        let ranges: Vec<&Range> =
            profiles.iter().filter_map(|profile| given.port.tensor.ranges.get(*profile)).collect();
        if ranges.iter().any(|range| range.takes(given.dims, given.values)) {
            continue;
        }
        let name = given.port.name();
        if let [range] = ranges.as_slice()
            && let Some(detail) = detail(range, given)
        {
            return Error::invalid_arg(format!(
                "request specifies invalid shape for input '{name}' for {model}. Error details: {detail}"
            ));
        }
        let taken: Vec<String> =
            ranges.iter().map(|range| format!("{:?} to {:?}", range.min, range.max)).collect();
        return Error::invalid_arg(format!(
            "request specifies invalid shape for input '{name}' for {model}. Error details: its optimization profiles take {}, \
             the batch has {:?}",
            taken.join(", or "),
            given.dims
        ));
    }
    Error::invalid_arg(format!(
        "no optimization profile of model '{model}' takes the shapes of the batch together"
    ))
}

fn detail(range: &Range, given: &Given<'_>) -> Option<String> {
    if range.min.len() != given.dims.len() {
        return Some(format!(
            "model expected {} dimensions but received {}",
            range.min.len(),
            given.dims.len()
        ));
    }
    let bounds = |min: &[i64], max: &[i64], got: &[i64], what: &str| {
        let wrong =
            got.iter().zip(min.iter().zip(max)).position(|(got, (min, max))| !(min..=max).contains(&got))?;
        Some(format!(
            "model expected the {what} {wrong} to be between {} and {} but received {}",
            min[wrong], max[wrong], got[wrong]
        ))
    };
    let of_shape = bounds(&range.min, &range.max, given.dims, "shape of dimension");
    of_shape.or_else(|| {
        let ([min, _, max], values) = (range.values.as_ref()?, given.values?);
        bounds(min, max, values, "shape value")
    })
}
