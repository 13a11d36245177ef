//! An instance, which runs a module; several instances may share one.

use std::borrow::Cow;
use std::sync::Arc;

use hippocamp_backend::{Error, Request, Result};
use hippocamp_batching::{Compute, InputView, Inputs, Outputs, model_shape};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{BytesElements, DataType, PlacedSlice, Shape};
use smallvec::SmallVec;

use crate::arguments::{Absent, Argument, Arguments, Form};
use crate::ffi::module::RunSettings;
use crate::ffi::outputs;
use crate::modules::Shared;
use crate::results::Results;
use crate::values::{Scalar, Text, Value};

/// Executes batches. Used by one thread.
#[derive(Debug)]
pub(crate) struct Instance {
    module: Arc<Shared>,
    run: RunSettings,
    arguments: Arguments,
    results: Results,
    /// Of the requests, which are tried one by one when a batch has failed.
    interface: Interface,
}

/// What a value borrows, beside the input itself.
enum Held<'a> {
    Absent,
    /// Elements, of the number of their type.
    Elements(i32, &'a Shape, Cow<'a, [u8]>, bool),
    Strings(Vec<Text<'a>>),
    Scalar(Scalar),
}

impl Instance {
    pub(crate) fn new(
        module: Arc<Shared>,
        run: RunSettings,
        arguments: Arguments,
        results: Results,
        interface: &Interface,
    ) -> Instance {
        Instance { module, run, arguments, results, interface: interface.clone() }
    }

    /// Runs the module with these inputs.
    fn execute(&self, inputs: &Inputs<'_>) -> Result<outputs::Outputs> {
        match &self.arguments {
            Arguments::Dictionary(entries) => {
                let mut held = SmallVec::<[_; 4]>::new();
                for ((entry, spec), input) in entries.iter().zip(self.interface.all_inputs()).zip(inputs) {
                    match input {
                        Some(view) => held.push((entry, elements(entry.element, view, entry.is_copied)?)),
                        None if entry.optional => {}
                        None => return Err(self.missing(spec)),
                    }
                }
                let values: SmallVec<[_; 4]> = held
                    .iter()
                    .map(|(entry, held)| value(held, Absent::Nothing).with_key(&entry.key))
                    .collect();
                self.run_with(&values)
            }
            Arguments::Each(arguments) => {
                let held = arguments.iter().map(|argument| self.held(argument, inputs));
                let held = held.collect::<Result<SmallVec<[_; 4]>>>()?;
                let values: SmallVec<[_; 4]> =
                    held.iter().zip(arguments).map(|(held, argument)| value(held, argument.absent)).collect();
                self.run_with(&values)
            }
        }
    }

    fn run_with(&self, values: &[Value<'_>]) -> Result<outputs::Outputs> {
        self.module.run(self.run, values).map_err(|fault| fault.of_run(&self.interface.model))
    }

    fn held<'a>(&self, argument: &Argument, inputs: &'a Inputs<'_>) -> Result<Held<'a>> {
        let Some(index) = argument.input else { return Ok(Held::Absent) };
        let Some(Some(view)) = inputs.get(index) else {
            if argument.absent == Absent::Refused {
                let spec = self.interface.all_inputs().nth(index);
                return Err(
                    spec.map_or_else(|| Error::internal("an input is missing"), |spec| self.missing(spec))
                );
            }
            return Ok(Held::Absent);
        };
        match argument.form {
            Form::Tensor(element) => elements(element, view, argument.is_copied),
            Form::Strings => self.strings(index, view),
            Form::Int | Form::Float | Form::Bool => {
                let value = scalar(argument.form, view.data_type, view.bytes()?);
                value
                    .map(Held::Scalar)
                    .ok_or_else(|| Error::internal("an input was expected to be one number"))
            }
        }
    }

    fn strings<'a>(&self, index: usize, view: &InputView<'a>) -> Result<Held<'a>> {
        let mut texts = Vec::new();
        for element in BytesElements::new(view.bytes()?) {
            let element = element.map_err(|fault| Error::invalid_arg(fault.to_string()))?;
            texts.push(Text::from(element));
        }
        if view.shape.element_count() != Some(texts.len()) {
            let name =
                self.interface.all_inputs().nth(index).map(|spec| Arc::clone(&spec.name)).unwrap_or_default();
            return Err(Error::invalid_arg(format!(
                "input '{name}' of model '{}' was expected to be filled: its shape is {}, it has {} strings",
                self.interface.model,
                view.shape,
                texts.len()
            )));
        }
        Ok(Held::Strings(texts))
    }

    /// The inputs of one request as the model sees them; `None` if a batch has more than its requests' own inputs.
    fn alone<'a>(&self, request: &'a Request) -> Option<SmallVec<[Option<InputView<'a>>; 4]>> {
        let simple = self.interface.added_inputs.is_empty() && self.interface.padding.is_none();
        if !simple || self.interface.inputs.iter().any(|spec| spec.allow_ragged_batch) {
            return None;
        }
        let batched = self.interface.max_batch_size > 0;
        let views = self.interface.inputs.iter().zip(&request.inputs).map(|(spec, input)| {
            let Some(input) = input else { return Some(None) };
            let data = PlacedSlice::Host(input.data.as_contiguous()?);
            let shape = model_shape(spec, input.shape.clone(), batched);
            Some(Some(InputView { data_type: spec.data_type, shape, data }))
        });
        views.collect()
    }

    #[cold]
    fn missing(&self, spec: &TensorSpec) -> Error {
        Error::invalid_arg(format!(
            "model '{}' has no value of its own for input '{}', and the request gives none",
            self.interface.model, spec.name
        ))
    }
}

impl Compute for Instance {
    /// A model that keeps nothing is run again with the inputs of one request, which shows whether it was this one that
    /// failed the batch.
    fn takes(&self, request: &Request) -> Result<()> {
        match self.alone(request).filter(|_| self.module.keeps_nothing()) {
            Some(inputs) => self.execute(&inputs).map(drop),
            None => Ok(()),
        }
    }

    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        let mut results = self.execute(inputs)?;
        for index in 0..self.results.len() {
            if outputs.is_wanted(index) {
                let (shape, data) = self.results.take(index, &mut results)?;
                outputs.set(index, shape, data);
            }
        }
        Ok(())
    }
}

fn value<'a>(held: &'a Held<'_>, absent: Absent) -> Value<'a> {
    match held {
        Held::Absent if absent == Absent::Default => Value::default(),
        Held::Absent => Value::none(),
        Held::Elements(element, shape, data, copied) => Value::tensor(*element, shape, data, *copied),
        Held::Strings(texts) => Value::strings(texts),
        Held::Scalar(scalar) => Value::scalar(scalar),
    }
}

fn elements<'a>(element: i32, view: &'a InputView<'_>, copied: bool) -> Result<Held<'a>> {
    let content = view.bytes()?;
    let content = match normal_booleans(view.data_type, content) {
        Some(normal) => Cow::Owned(normal),
        None => Cow::Borrowed(content),
    };
    if view.shape.byte_size(view.data_type) != Some(content.len()) {
        let (shape, got) = (&view.shape, content.len());
        return Err(Error::internal(format!(
            "an input of shape {shape} was expected to be filled, got {got} bytes"
        )));
    }
    Ok(Held::Elements(element, &view.shape, content, copied))
}

/// The one element of an input.
fn scalar(form: Form, data_type: DataType, content: &[u8]) -> Option<Scalar> {
    Some(match (form, data_type) {
        (Form::Int, DataType::Int64) => Scalar::Int(i64::from_le_bytes(content.try_into().ok()?)),
        (Form::Int, DataType::Int32) => Scalar::Int(i32::from_le_bytes(content.try_into().ok()?).into()),
        (Form::Float, DataType::Fp64) => Scalar::Float(f64::from_le_bytes(content.try_into().ok()?)),
        (Form::Float, DataType::Fp32) => Scalar::Float(f32::from_le_bytes(content.try_into().ok()?).into()),
        (Form::Bool, DataType::Bool) => Scalar::Bool(u8::from(*content.first()? != 0)),
        _ => return None,
    })
}

/// Normalises BOOL elements to 0 and 1; `None` if they are. The library reads them as C++ booleans, for which other
/// values are undefined behaviour.
fn normal_booleans(data_type: DataType, content: &[u8]) -> Option<Vec<u8>> {
    let strange = data_type == DataType::Bool && content.iter().fold(0, |all, byte| all | byte) > 1;
    strange.then(|| content.iter().map(|byte| u8::from(*byte != 0)).collect())
}
