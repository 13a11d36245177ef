//! An instance, which runs a session; several instances may share one.

use std::sync::Arc;

use hippocamp_backend::{Error, Request, Result};
use hippocamp_batching::{Compute, InputView, Inputs, Outputs, model_shape};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{DataType, PlacedSlice, Shape};
use smallvec::SmallVec;

use crate::error::Fault;
use crate::ffi::api::Output;
use crate::ffi::session::RunSettings;
use crate::ffi::strings;
use crate::ffi::tensor::{Tensor, impossible, is_possible};
use crate::model_file::Opened;
use crate::ports::Port;

/// Executes batches. Used by one thread.
#[derive(Debug)]
pub(crate) struct Instance {
    model: Arc<str>,
    opened: Arc<Opened>,
    run: RunSettings,
    /// In the order of the config, as in requests.
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    /// The tensors of `outputs`. A run always gives all of them: for another choice of outputs the library would prepare
    /// the graph again, and keep what it prepared.
    fetched: Vec<Output>,
    /// Of the requests, which are tried one by one when a batch has failed.
    interface: Interface,
}

/// A tensor of the model.
#[derive(Debug)]
struct Place {
    spec: TensorSpec,
    tensor: Output,
    optional: bool,
    /// For a scalar, its shape in the config, where a shape without dimensions is not possible.
    scalar: Option<Shape>,
}

impl Instance {
    pub(crate) fn new(
        model: Arc<str>,
        opened: Arc<Opened>,
        run: RunSettings,
        interface: &Interface,
    ) -> Result<Instance> {
        let places = |specs: &mut dyn Iterator<Item = &TensorSpec>, ports: &[Port]| {
            specs.map(|spec| Place::new(&model, spec, ports)).collect::<Result<Vec<_>>>()
        };
        let inputs = places(&mut interface.all_inputs(), &opened.ports.inputs)?;
        let outputs = places(&mut interface.all_outputs(), &opened.ports.outputs)?;
        let fetched = outputs.iter().map(|place| place.tensor).collect();
        Ok(Instance { model, opened, run, inputs, outputs, fetched, interface: interface.clone() })
    }

    pub(crate) fn opened(&self) -> &Arc<Opened> {
        &self.opened
    }

    /// Runs the graph with these inputs.
    fn execute(&self, inputs: &Inputs<'_>) -> Result<SmallVec<[Tensor<'static>; 4]>> {
        let booleans: SmallVec<[Option<Vec<u8>>; 4]> =
            inputs.iter().map(|input| normal_booleans(input.as_ref()?)).collect();
        let lent = self.lend(inputs, &booleans)?;
        self.run_with(&lent).map_err(|fault| fault.of_run(&self.model))
    }

    pub(crate) fn run_with(
        &self,
        lent: &[(Output, Tensor<'_>)],
    ) -> Result<SmallVec<[Tensor<'static>; 4]>, Fault> {
        self.opened.session.run(&self.run, lent, &self.fetched, &[])
    }

    /// Makes the library's input tensors, which borrow the data where the graph keeps nothing of them. `booleans` holds the
    /// inputs that had to be normalised. These are always copied: a graph may return an input unchanged, and its result
    /// outlives them.
    pub(crate) fn lend<'a>(
        &self,
        inputs: &'a Inputs<'_>,
        booleans: &'a [Option<Vec<u8>>],
    ) -> Result<SmallVec<[(Output, Tensor<'a>); 4]>> {
        let library = self.opened.session.library();
        let borrows = self.opened.keeps_nothing();
        let mut lent = SmallVec::new();
        for ((place, view), normal) in self.inputs.iter().zip(inputs).zip(booleans) {
            let Some(view) = view else {
                if place.optional {
                    continue;
                }
                return Err(self.missing(place));
            };
            let data = match normal {
                Some(normal) => normal.as_slice(),
                None => view.bytes()?,
            };
            let scalar = Shape::default();
            let shape = if place.scalar.is_some() { &scalar } else { &view.shape };
            let tensor = match (view.data_type, borrows && normal.is_none()) {
                (DataType::Bytes, true) => strings::over(library, shape, data),
                (DataType::Bytes, false) => strings::copied(library, shape, data),
                (data_type, true) => Tensor::over(library, data_type, shape, data),
                (data_type, false) => Tensor::copied(library, data_type, shape, data),
            };
            lent.push((place.tensor, tensor?));
        }
        Ok(lent)
    }

    /// The inputs of one request as the model sees them; `None` if a batch has more than its requests' own inputs.
    fn alone<'a>(&self, request: &'a Request) -> Option<SmallVec<[Option<InputView<'a>>; 4]>> {
        let simple = self.interface.added_inputs.is_empty() && self.interface.padding.is_none();
        let is_ragged = self.inputs.iter().any(|place| place.spec.allow_ragged_batch);
        if !simple || is_ragged {
            return None;
        }
        let batched = self.interface.max_batch_size > 0;
        let views = self.inputs.iter().zip(&request.inputs).map(|(place, input)| {
            let Some(input) = input else { return Some(None) };
            let data = PlacedSlice::Host(input.data.as_contiguous()?);
            let shape = model_shape(&place.spec, input.shape.clone(), batched);
            Some(Some(InputView { data_type: place.spec.data_type, shape, data }))
        });
        views.collect()
    }

    #[cold]
    fn missing(&self, place: &Place) -> Error {
        Error::invalid_arg(format!(
            "model '{}' has no value of its own for input '{}', and the request gives none",
            self.model, place.spec.name
        ))
    }

    #[cold]
    fn of_another_type(&self, place: &Place) -> Error {
        Error::internal(format!(
            "output '{}' of model '{}' was expected to be of {}, the model gave another type",
            place.spec.name, self.model, place.spec.data_type,
        ))
    }
}

impl Compute for Instance {
    /// A graph that keeps nothing is run again with the inputs of one request, which shows whether it was this one that
    /// failed the batch: an image that cannot be decoded does not fail the requests that it is batched with.
    fn takes(&self, request: &Request) -> Result<()> {
        let impossible_input = request.inputs.iter().flatten().find(|input| !is_possible(&input.shape));
        if let Some(input) = impossible_input {
            return Err(impossible(&input.shape));
        }
        match self.alone(request).filter(|_| self.opened.keeps_nothing()) {
            Some(inputs) => self.execute(&inputs).map(drop),
            None => Ok(()),
        }
    }

    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        let results = self.execute(inputs)?;
        let may_be_shared = self.opened.keeps_nothing();
        for (index, (place, result)) in self.outputs.iter().zip(results).enumerate() {
            if !outputs.is_wanted(index) {
                continue;
            }
            let taken = result.take(place.spec.data_type, inputs, may_be_shared)?;
            let (shape, data) = taken.ok_or_else(|| self.of_another_type(place))?;
            outputs.set(index, place.scalar.clone().unwrap_or(shape), data);
        }
        Ok(())
    }
}

impl Place {
    fn new(model: &str, spec: &TensorSpec, ports: &[Port]) -> Result<Place> {
        let port = ports.iter().find(|port| port.described.name == *spec.name);
        let port = port.ok_or_else(|| {
            Error::internal(format!(
                "model '{model}' was expected to have '{}', it has no such tensor",
                spec.name
            ))
        })?;
        let is_scalar = port.described.dims.as_ref().is_some_and(Vec::is_empty);
        Ok(Place {
            spec: spec.clone(),
            tensor: port.tensor,
            optional: port.described.optional,
            scalar: is_scalar.then(|| spec.reshape.clone().unwrap_or_else(|| spec.dims.clone())),
        })
    }
}

/// Normalises BOOL elements to 0 and 1; `None` if they are. The library reads them as C++ booleans, for which other
/// values are undefined behaviour.
fn normal_booleans(view: &InputView<'_>) -> Option<Vec<u8>> {
    if view.data_type != DataType::Bool {
        return None;
    }
    let content = view.data.as_host()?;
    let strange = content.iter().fold(0, |all, byte| all | byte) > 1;
    strange.then(|| content.iter().map(|byte| u8::from(*byte != 0)).collect())
}
