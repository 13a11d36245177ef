//! CUDA graphs: runs of fixed shapes at fixed addresses, which are queued by one call.

use hippocamp_backend::{Error, Result};
use hippocamp_batching::PlanSizes;
use hippocamp_device::Graph;
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_proto::inference::model_optimization_policy::cuda::GraphSpec;
use hippocamp_tensorrt_sys::Dims;

use crate::port::Port;

/// A run that was captured.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) key: Key,
    /// Where its outputs are written.
    pub(crate) outputs: Vec<u64>,
    /// The shapes of its outputs.
    pub(crate) shapes: Vec<Vec<i64>>,
    pub(crate) graph: Box<dyn Graph>,
}

/// What has to be the same for a captured run to be the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) profile: usize,
    /// The shapes of the inputs.
    pub(crate) shapes: Vec<Dims>,
    /// Where the inputs are.
    pub(crate) addresses: Vec<u64>,
}

/// The shapes of the inputs that graphs are captured for, in the order of the model's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) rows: usize,
    pub(crate) shapes: Vec<Vec<i64>>,
}

/// The batch sizes that the config wants captured, ascending, if batches can be padded to them.
pub(crate) fn sizes(config: &ModelConfig, interface: &Interface) -> Vec<usize> {
    let cuda = config.optimization.as_ref().and_then(|optimization| optimization.cuda.as_ref());
    let Some(cuda) = cuda.filter(|cuda| cuda.graphs) else { return Vec::new() };
    if PlanSizes::why_not_padded(interface).is_some() {
        return Vec::new();
    }
    if cuda.graph_spec.is_empty() {
        return PlanSizes::from_config(config, interface).unwrap_or_default().as_slice().to_vec();
    }
    let sizes = cuda.graph_spec.iter().filter_map(|spec| usize::try_from(spec.batch_size).ok());
    sizes.collect::<PlanSizes>().as_slice().to_vec()
}

/// The runs that the config wants captured, smallest batches first. Empty if it wants none.
///
/// # Errors
/// A `graph_spec` names an input that there is not, or gives none for one whose shape varies.
pub(crate) fn wanted(config: &ModelConfig, interface: &Interface, inputs: &[Port]) -> Result<Vec<Wanted>> {
    let cuda = config.optimization.as_ref().and_then(|optimization| optimization.cuda.as_ref());
    let Some(cuda) = cuda.filter(|cuda| cuda.graphs) else { return Ok(Vec::new()) };
    let mut wanted = if cuda.graph_spec.is_empty() {
        let sizes = PlanSizes::from_config(config, interface)?;
        let sizes = if interface.max_batch_size == 0 { &[0][..] } else { sizes.as_slice() };
        let specs = sizes.iter().map(|size| GraphSpec { batch_size: *size as i32, ..GraphSpec::default() });
        specs.map(|spec| of_spec(&config.name, interface, inputs, &spec)).collect::<Result<Vec<Wanted>>>()?
    } else {
        let specs = cuda.graph_spec.iter();
        specs.map(|spec| of_spec(&config.name, interface, inputs, spec)).collect::<Result<Vec<Wanted>>>()?
    };
    wanted.sort_by_key(|wanted| wanted.rows);
    wanted.dedup();
    Ok(wanted)
}

fn of_spec(model: &str, interface: &Interface, inputs: &[Port], spec: &GraphSpec) -> Result<Wanted> {
    let wrong = |why: String| {
        Error::invalid_arg(format!(
            "unable to load model '{model}', its CUDA graphs (optimization.cuda): {why}"
        ))
    };
    if let Some(name) = spec.input.keys().find(|name| inputs.iter().all(|port| **port.name() != **name)) {
        return Err(wrong(format!("graph_spec has a shape for '{name}', which is no input")));
    }
    let rows = usize::try_from(spec.batch_size).unwrap_or(0);
    let is_batching = interface.max_batch_size > 0;
    if is_batching && !(1..=interface.max_batch_size as usize).contains(&rows) {
        return Err(wrong(format!(
            "batch_size of a graph_spec was expected to be from 1 to max_batch_size {}, got {}",
            interface.max_batch_size, spec.batch_size
        )));
    }
    let shapes = inputs.iter().map(|port| {
        let dims = match spec.input.get(&**port.name()) {
            Some(shape) => shape.dim.clone(),
            None => port.spec.reshape.as_ref().unwrap_or(&port.spec.dims).to_vec(),
        };
        if dims.iter().any(|dim| *dim < 0) {
            return Err(wrong(format!(
                "input '{}' has dims {dims:?}: a graph is of one shape, which a graph_spec has to give",
                port.name()
            )));
        }
        let batch = is_batching && !port.spec.is_shape_tensor;
        Ok(batch.then_some(rows as i64).into_iter().chain(dims).collect())
    });
    Ok(Wanted { rows, shapes: shapes.collect::<Result<_>>()? })
}
