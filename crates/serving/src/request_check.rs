//! Checks a decoded request against its model, and converts it to a request for the backend.
//!
//! The error messages and the order of the checks are Triton's, because clients match on the messages and a request with
//! several faults has to get the same one. Most messages begin with the request id.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{
    Delivery, Error, InputTensor, Observers, Outlet, Request, RequestContext, ResponseReceiver,
    ResponseSender, ResponseSink, Result, WantedOutputs, channel,
};
use hippocamp_model_config::{Interface, TensorLookup, TensorSpec};
use hippocamp_tensor::{BytesElements, BytesFault, DataType, Place, Shape, TensorData};
use smallvec::SmallVec;

use crate::{InferInput, InferRequest, LoadedModel, Origin};

/// Up to this number, the names of a request are compared pairwise.
const FEW: usize = 8;

/// The highest number of names from a client's list that an error message shows.
const SHOWN: usize = 64;

/// The properties of an input that are checked, for requests and for steps of ensembles.
struct Given<'a> {
    /// The index of the model's input with this name.
    index: Option<usize>,
    name: &'a str,
    data_type: Option<DataType>,
    shape: &'a Shape,
    data: &'a TensorData,
}

impl InferInput<'_> {
    fn given(&self, index: Option<usize>) -> Given<'_> {
        Given { index, name: self.name, data_type: self.data_type, shape: &self.shape, data: &self.data }
    }
}

/// Checks a request against the model and brings its inputs into the model's order. Copies no tensor. Its responses come from
/// the receiver.
pub(crate) fn check(
    model: &LoadedModel,
    request: InferRequest<'_>,
    observers: Arc<Observers>,
) -> Result<(Request, ResponseReceiver)> {
    check_with(model, request, |delivery, context| channel(delivery, context, observers))
}

/// As [`check`], for responses that go to a sink.
pub(crate) fn check_for_sink(
    model: &LoadedModel,
    request: InferRequest<'_>,
    observers: Arc<Observers>,
    sink: Box<dyn ResponseSink>,
) -> Result<Request> {
    let sender =
        |delivery, context| (ResponseSender::new(Outlet::to_sink(delivery, sink), context, observers), ());
    check_with(model, request, sender).map(|(request, ())| request)
}

fn check_with<R>(
    model: &LoadedModel,
    request: InferRequest<'_>,
    sender: impl FnOnce(Delivery, RequestContext) -> (ResponseSender, R),
) -> Result<(Request, R)> {
    let check = Check { model, id: request.id };
    let mut outputs = check.outputs(&request.outputs, request.output_place)?;
    check.place(&mut outputs, &request.placed_outputs);
    check.no_duplicates(&request.inputs)?;
    let mut lookup = TensorLookup::new(&model.interface.inputs);
    let places: Places = request.inputs.iter().map(|input| lookup.find(input.name)).collect();
    let given: SmallVec<[Given<'_>; 4]> =
        request.inputs.iter().zip(&places).map(|(input, index)| input.given(*index)).collect();
    check.input_count(&given.iter())?;
    let batch_size = check.batch_size(given.iter())?;
    drop(given);
    let inputs = check.inputs(request.inputs, &places)?;
    check.lengths(&inputs)?;
    let delivery = if model.interface.decoupled { Delivery::Many } else { Delivery::Once };
    let Origin { deadline, observer } = request.origin;
    let context = RequestContext {
        deadline,
        observer,
        batch_size: u32::try_from(batch_size).unwrap_or(0),
        ..RequestContext::with_id(request.id.into(), request.arrived)
    };
    let (response, receiver) = sender(delivery, context);
    let request = Request {
        inputs,
        outputs,
        parameters: request.parameters,
        batch_size,
        priority: request.priority,
        timeout: request.timeout,
        sequence: request.sequence,
        queued: Instant::now(),
        response,
    };
    Ok((request, receiver))
}

/// Checks the inputs of an ensemble's step. Names and types were checked when the ensemble was loaded. Returns the batch
/// size.
pub(crate) fn check_step(model: &LoadedModel, id: &str, inputs: &[Option<InputTensor>]) -> Result<usize> {
    let check = Check { model, id };
    let specs = &model.interface.inputs;
    let given: SmallVec<[(&TensorSpec, Given<'_>); 4]> = specs
        .iter()
        .zip(inputs)
        .enumerate()
        .filter_map(|(index, (spec, input))| {
            let InputTensor { shape, data } = input.as_ref()?;
            let (index, data_type) = (Some(index), Some(spec.data_type));
            Some((spec, Given { index, name: &spec.name, data_type, shape, data }))
        })
        .collect();
    check.input_count(&given.iter().map(|(_, given)| given))?;
    let batch_size = check.batch_size(given.iter().map(|(_, given)| given))?;
    for (spec, input) in &given {
        check.input(spec, input)?;
    }
    check.lengths(inputs)?;
    Ok(batch_size)
}

/// For each input of a request, the index of the model's input with its name.
type Places = SmallVec<[Option<usize>; 4]>;

struct Check<'a> {
    model: &'a LoadedModel,
    id: &'a str,
}

impl Check<'_> {
    fn interface(&self) -> &Interface {
        &self.model.interface
    }

    /// An error whose message begins with the request id.
    #[cold]
    fn error(&self, text: &str) -> Error {
        let id = if self.id.is_empty() { "<id_unknown>" } else { self.id };
        Error::invalid_arg(format!("[request id: {id}] {text}"))
    }

    fn outputs(&self, names: &[&str], place: Place) -> Result<WantedOutputs> {
        let outputs = &self.interface().outputs;
        if names.is_empty() {
            return Ok(WantedOutputs::all_at(place, outputs.len()));
        }
        let mut lookup = TensorLookup::new(outputs);
        let mut wanted = WantedOutputs::none_of(outputs.len());
        for name in names {
            let index = lookup.find(name).ok_or_else(|| {
                let model = &self.model.name;
                Error::invalid_arg(format!("unexpected inference output '{name}' for model '{model}'"))
            })?;
            if wanted.contains(index) {
                return Err(self.error(&format!("output '{name}' already exists in request")));
            }
            wanted.add_at(index, place);
        }
        Ok(wanted)
    }

    /// Says where outputs are wanted that do not go to host memory. Names that the model does not have were refused before, if
    /// they are outputs of the request at all.
    fn place(&self, wanted: &mut WantedOutputs, placed: &[(Box<str>, Place)]) {
        let outputs = &self.interface().outputs;
        for (name, place) in placed {
            if let Some(index) = outputs.iter().position(|spec| *spec.name == **name) {
                wanted.set_place(index, *place, outputs.len());
            }
        }
    }

    fn no_duplicates(&self, inputs: &[InferInput<'_>]) -> Result<()> {
        // A client's list may be very long. Only one more input than the model has is examined here; the following check
        // refuses longer lists.
        let looked_at = &inputs[..inputs.len().min(self.interface().inputs.len() + 1)];
        let again = if looked_at.len() <= FEW {
            let is_there = |i: usize| looked_at[..i].iter().any(|earlier| earlier.name == looked_at[i].name);
            (0..looked_at.len()).find(|i| is_there(*i))
        } else {
            let mut earlier = HashSet::with_capacity(looked_at.len());
            looked_at.iter().position(|input| !earlier.insert(input.name))
        };
        let Some(input) = again.map(|i| &looked_at[i]) else { return Ok(()) };
        Err(self.error(&format!("input '{}' already exists in request", input.name)))
    }

    fn input_count<'a>(&self, given: &(impl ExactSizeIterator<Item = &'a Given<'a>> + Clone)) -> Result<()> {
        let specs = &self.interface().inputs;
        let required = specs.iter().filter(|s| !s.optional).count();
        if (required..=specs.len()).contains(&given.len()) {
            return Ok(());
        }
        let expected = if required == specs.len() {
            format!("expected {required} inputs but got {} inputs", given.len())
        } else {
            format!(
                "expected number of inputs between {required} and {} but got {} inputs",
                specs.len(),
                given.len()
            )
        };
        let mut is_given = vec![false; specs.len()];
        given.clone().filter_map(|g| g.index).for_each(|index| is_given[index] = true);
        let missing = specs.iter().zip(is_given).filter(|(s, is_given)| !s.optional && !is_given);
        let text = format!(
            "{expected} for model '{}'. Got input(s) {}, but missing required input(s) {}. Please provide all \
             required input(s).",
            self.model.name,
            quoted(given.clone().map(|g| g.name)),
            quoted(missing.map(|(s, _)| &*s.name)),
        );
        Err(self.error(&text))
    }

    /// The batch size: the first dimension, which has to be the same for all inputs; 1 for a model without a batch
    /// dimension.
    fn batch_size<'a>(&self, inputs: impl Iterator<Item = &'a Given<'a>> + Clone) -> Result<usize> {
        let max = self.interface().max_batch_size;
        if max == 0 {
            return Ok(1);
        }
        let model = &self.model.name;
        let mut batch = None;
        for input in inputs.clone() {
            if self.is_shape_tensor(input) {
                continue;
            }
            let Some(&first) = input.shape.first() else {
                let text = "has no shape but model requires batch dimension for";
                return Err(self.error(&format!("input '{}' {text} '{model}'", input.name)));
            };
            if batch.is_some_and(|b| b != first) {
                return Err(self.batch_mismatch(inputs));
            }
            batch = Some(first);
        }
        let batch = batch.unwrap_or(1);
        if batch == 0 {
            return Err(
                self.error(&format!("inference request batch-size must be >= 1 for '{model}', got 0"))
            );
        }
        if batch > i64::from(max) {
            return Err(self.error(&format!("inference request batch-size must be <= {max} for '{model}'")));
        }
        // A negative dimension is refused by the later check of the shape.
        Ok(usize::try_from(batch).unwrap_or(0))
    }

    fn is_shape_tensor(&self, input: &Given<'_>) -> bool {
        input.index.is_some_and(|index| self.interface().inputs[index].is_shape_tensor)
    }

    /// Names the first input, in the model's order, that differs from the last one.
    #[cold]
    fn batch_mismatch<'a>(&self, inputs: impl Iterator<Item = &'a Given<'a>>) -> Error {
        let mut inputs: Vec<_> = inputs.filter(|input| !self.is_shape_tensor(input)).collect();
        inputs.sort_by_key(|input| input.index.unwrap_or(usize::MAX));
        let first = |input: &Given<'_>| input.shape.first().copied();
        let last = inputs.last().copied().and_then(first);
        let other = inputs.iter().find(|input| first(input) != last).map_or("", |input| input.name);
        let text = "batch size does not match other inputs for";
        self.error(&format!("input '{other}' {text} '{}'", self.model.name))
    }

    /// Checks each input by itself, and returns the inputs in the model's order.
    fn inputs(
        &self,
        given: SmallVec<[InferInput<'_>; 4]>,
        places: &[Option<usize>],
    ) -> Result<SmallVec<[Option<InputTensor>; 4]>> {
        let specs = &self.interface().inputs;
        let mut inputs: SmallVec<[Option<InputTensor>; 4]> = SmallVec::from_elem(None, specs.len());
        for (mut input, index) in given.into_iter().zip(places) {
            let Some(index) = *index else {
                let model = &self.model.name;
                return Err(Error::invalid_arg(format!(
                    "unexpected inference input '{}' for model '{model}'",
                    input.name
                )));
            };
            if specs[index].data_type == DataType::Bytes || specs[index].is_shape_tensor {
                // BYTES elements may extend over several segments, or be on a device. They are joined in host memory once,
                // so that later code can walk them and compare them under a lock.
                let host = input.data.to_host();
                input.data = host.map_err(|error| Error::of_memory(&self.model.name, error))?.into();
            }
            self.input(&specs[index], &input.given(Some(index)))?;
            inputs[index] = Some(InputTensor { shape: input.shape, data: input.data });
        }
        if let Some(missing) = specs.iter().zip(&inputs).find(|(s, i)| !s.optional && i.is_none()) {
            let (name, model) = (&missing.0.name, &self.model.name);
            return Err(self.error(&format!("missing required input '{name}' for model '{model}'")));
        }
        Ok(inputs)
    }

    /// Checks that inputs that are padded together have the same length.
    fn lengths(&self, inputs: &[Option<InputTensor>]) -> Result<()> {
        let Some(padding) = &self.interface().padding else { return Ok(()) };
        let mut lengths = padding.inputs.iter().filter_map(|padded| {
            let shape = &inputs.get(padded.index)?.as_ref()?.shape;
            Some((padded.index, *shape.get(padded.dim)?))
        });
        let Some(first) = lengths.next() else { return Ok(()) };
        let Some(other) = lengths.find(|(_, length)| *length != first.1) else { return Ok(()) };
        let name = |index: usize| &*self.interface().inputs[index].name;
        Err(self.error(&format!(
            "inputs '{}' and '{}' of model '{}' are padded together, so they were expected to have the same length, got \
             {} and {}",
            name(first.0),
            name(other.0),
            self.model.name,
            first.1,
            other.1
        )))
    }

    fn input(&self, spec: &TensorSpec, input: &Given<'_>) -> Result<()> {
        let (name, model) = (&spec.name, &self.model.name);
        if input.data_type != Some(spec.data_type) {
            let got = input.data_type.map_or("<invalid>", DataType::protocol_name);
            return Err(self.error(&format!(
                "inference input '{name}' data-type is '{got}', but model '{model}' expects '{}'",
                spec.data_type
            )));
        }
        if input.shape.iter().any(|&d| d < 0) {
            return Err(self.error(&format!(
                "All input dimensions should be specified for input '{name}' for model '{model}', got {}",
                input.shape
            )));
        }
        self.shape(spec, input.shape)?;
        let Some(count) = input.shape.element_count() else {
            return Err(self.error(&format!(
                "the shape of input '{name}' for model '{model}' has more elements than fit into memory, got {}",
                input.shape
            )));
        };
        match spec.data_type {
            DataType::Bytes => self.bytes_elements(spec, count, input.data),
            _ => self.byte_size(spec, input.shape, input.data.len()),
        }
    }

    fn shape(&self, spec: &TensorSpec, shape: &Shape) -> Result<()> {
        let batched = self.interface().max_batch_size > 0 && !spec.is_shape_tensor;
        let inner = if batched { shape.get(1..).unwrap_or_default() } else { shape };
        if spec.dims.admits(inner) && (!batched || !shape.is_empty()) {
            return Ok(());
        }
        let expected = if batched { spec.dims.with_batch(-1) } else { spec.dims.clone() };
        let note = if batched {
            " NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended \
             to each input shape. If you want to specify the full shape including the batch dim in your input dims \
             config, try setting max_batch_size to zero. See the model configuration docs for more info on \
             max_batch_size."
        } else {
            ""
        };
        Err(self.error(&format!(
            "unexpected shape for input '{}' for model '{}'. Expected {expected}, got {shape}.{note}",
            spec.name, self.model.name
        )))
    }

    fn byte_size(&self, spec: &TensorSpec, shape: &Shape, got: usize) -> Result<()> {
        let expected = shape.byte_size(spec.data_type);
        if expected == Some(got) {
            return Ok(());
        }
        let expected = expected.map_or_else(|| "more than fit into memory".to_owned(), |n| n.to_string());
        Err(self.error(&format!(
            "input byte size mismatch for input '{}' for model '{}'. Expected {expected}, got {got}",
            spec.name, self.model.name
        )))
    }

    /// Checks that a BYTES tensor contains exactly `expected` elements and nothing after them.
    fn bytes_elements(&self, spec: &TensorSpec, expected: usize, data: &TensorData) -> Result<()> {
        let content = data.to_host()?;
        let mut count = 0usize;
        let mut fault = None;
        for element in BytesElements::new(&content) {
            match element {
                Ok(_) => count += 1,
                Err(BytesFault::IncompleteLength { left }) => {
                    fault = Some(format!(
                        "incomplete string length indicator for inference input '{}' for model '{}', expecting 4 \
                         bytes but only {left} bytes available. Please make sure the string length indicator is in \
                         one buffer.",
                        spec.name, self.model.name
                    ));
                }
                Err(BytesFault::IncompleteElement { length, left }) => {
                    count += 1;
                    fault = Some(format!(
                        "incomplete string data for inference input '{}' for model '{}', expecting string of length \
                         {length} but only {left} bytes available",
                        spec.name, self.model.name
                    ));
                }
            }
        }
        let (name, model) = (&spec.name, &self.model.name);
        if count > expected {
            return Err(self.error(&format!(
                "unexpected number of string elements {count} for inference input '{name}' for model '{model}', \
                 expecting {expected}"
            )));
        }
        if count < expected {
            return Err(self.error(&format!(
                "expected {expected} string elements for inference input '{name}' for model '{model}', got {count}"
            )));
        }
        fault.map_or(Ok(()), |text| Err(self.error(&text)))
    }
}

/// The names as a list, `['a','b']`; only the first ones if there are many.
fn quoted<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let shown: Vec<String> = names.by_ref().take(SHOWN).map(|name| format!("'{name}'")).collect();
    match names.count() {
        0 => format!("[{}]", shown.join(",")),
        more => format!("[{},... {more} more]", shown.join(",")),
    }
}
