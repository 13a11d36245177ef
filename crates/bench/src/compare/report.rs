//! The result of a comparison, as a table for people and as JSON.

mod json;
mod table;

use hippocamp_client::{Tensor, TensorInfo};

use super::pairs::Pairs;
use super::{BenchArgs, Level, Output, Side, Tolerance};

/// What came of a comparison.
#[derive(Debug)]
pub struct Comparison {
    /// The models as they are called on the command line, and where they are.
    pub(crate) names: [String; 2],
    pub(crate) places: [String; 2],
    pub(crate) batch: i64,
    pub(crate) tolerance: Option<Tolerance>,
    /// The inputs as they were sent to A.
    pub(crate) inputs_sent: Vec<Tensor>,
    /// The inputs that belong together, and whether some do so by their places alone; the same of outputs.
    pub(crate) inputs: Vec<(TensorInfo, TensorInfo)>,
    pub(crate) inputs_by_position: bool,
    pub(crate) outputs_by_position: bool,
    /// Outputs that only A has, and those that only B has.
    pub(crate) only: [Vec<String>; 2],
    /// On how many inputs the answers were compared.
    pub(crate) samples: u32,
    pub(crate) outputs: Vec<Output>,
    pub(crate) levels: Vec<Level>,
    /// What failed after the answers were compared.
    pub(crate) failures: Vec<String>,
}

impl Comparison {
    pub(super) fn new(
        args: &BenchArgs,
        a: &Side,
        b: &Side,
        inputs: &Pairs,
        outputs_by_position: bool,
        only: [Vec<String>; 2],
    ) -> Comparison {
        let pair = |&(in_a, in_b): &(usize, usize)| {
            (a.metadata.inputs[in_a].clone(), b.metadata.inputs[in_b].clone())
        };
        let place = |side: &Side| side.place.authority.clone();
        Comparison {
            names: [0, 1].map(|which| args.compare.get(which).map(ToString::to_string).unwrap_or_default()),
            places: [place(a), place(b)],
            batch: args.batch,
            tolerance: args.tolerance,
            inputs_sent: Vec::new(),
            inputs: inputs.matched.iter().map(pair).collect(),
            inputs_by_position: inputs.by_position,
            outputs_by_position,
            only,
            samples: 0,
            outputs: Vec::new(),
            levels: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Whether the answers are as near as `--tolerance` asks for; `None` if it was not given.
    pub fn is_within_tolerance(&self) -> Option<bool> {
        let has_all = self.only.iter().all(Vec::is_empty);
        let is_near = self.outputs.iter().all(|output| output.differences.is_within());
        self.tolerance.map(|_| has_all && is_near)
    }

    /// Whether a request failed, a level could not be measured, a file could not be written, or the answers are too far apart.
    pub fn has_failures(&self) -> bool {
        let mut points = self.levels.iter().flat_map(|level| [&level.a, &level.b]);
        !self.failures.is_empty()
            || self.is_within_tolerance() == Some(false)
            || points.any(|point| point.record.failed() > 0 || point.gave_up.is_some())
    }

    /// The results as tables for people.
    pub fn table(&self) -> String {
        table::render(self)
    }

    /// The results for programs.
    pub fn json(&self) -> String {
        json::render(self)
    }
}
