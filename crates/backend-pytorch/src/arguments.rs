//! Which input of a config becomes which argument of the model.

use std::ffi::CString;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::DataType;

use crate::element_type::number;
use crate::ffi::api::kind;
use crate::ffi::module::{Facts, Port};
use crate::naming::{Convention, place_of_added};

/// What a run is given, for the inputs of one config.
#[derive(Debug)]
pub(crate) enum Arguments {
    /// The one argument is a dictionary: each input is an entry, under its name.
    Dictionary(Vec<Entry>),
    /// In the order of the model.
    Each(Vec<Argument>),
}

/// An entry of a dictionary. There are as many as the config has inputs, in their order.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: CString,
    pub(crate) element: i32,
    pub(crate) is_copied: bool,
    pub(crate) optional: bool,
}

/// An argument of the model.
#[derive(Debug)]
pub(crate) struct Argument {
    /// The place of its input in the config; `None` if there is none, so that it is `absent`.
    pub(crate) input: Option<usize>,
    pub(crate) form: Form,
    /// The library copies its tensor, which it would read or write later than is allowed.
    pub(crate) is_copied: bool,
    pub(crate) absent: Absent,
}

/// What an input is to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A tensor of the library's element type of that number.
    Tensor(i32),
    Strings,
    Int,
    Float,
    Bool,
}

/// What an argument is if a request gives no input for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The model's own value.
    Default,
    Nothing,
    /// It has to be given.
    Refused,
}

impl Arguments {
    /// Fits the inputs of a config to the arguments of a model.
    pub(crate) fn of(model: &str, facts: &Facts, interface: &Interface) -> Result<Arguments> {
        let fit = Fit { model, facts, interface };
        if interface.inputs.is_empty() {
            return Err(fit.no_inputs());
        }
        if facts.takes_dictionary() { fit.entries() } else { fit.arguments() }
    }
}

/// A model and a config whose inputs are to fit.
struct Fit<'a> {
    model: &'a str,
    facts: &'a Facts,
    interface: &'a Interface,
}

impl Fit<'_> {
    #[cold]
    fn refused(&self, what: &str) -> Error {
        Error::invalid_arg(format!("unable to load model '{}', {what}", self.model))
    }

    fn entries(&self) -> Result<Arguments> {
        let [argument] = self.facts.arguments.as_slice() else {
            return Err(Error::internal("a dictionary was expected to be the one argument"));
        };
        let is_given = |key: &String| self.interface.all_inputs().any(|spec| *spec.name == **key);
        if let Some(key) = self.facts.required_keys.iter().find(|key| !is_given(key)) {
            let names: Vec<&str> = self.interface.all_inputs().map(|spec| &*spec.name).collect();
            return Err(self.refused(&format!(
                "its code asks the dictionary that it takes for '{key}', the configuration has the inputs {}",
                names.join(", ")
            )));
        }
        let entry = |spec: &TensorSpec| {
            let element = number(spec.data_type).ok_or_else(|| self.no_strings(spec, argument))?;
            let key = CString::new(&*spec.name).map_err(|_| self.refused("a name has a null byte"))?;
            let is_copied = argument.is_written || self.facts.reads_later;
            Ok(Entry { key, element, is_copied, optional: spec.optional })
        };
        Ok(Arguments::Dictionary(self.interface.all_inputs().map(entry).collect::<Result<_>>()?))
    }

    fn arguments(&self) -> Result<Arguments> {
        let ports = &self.facts.arguments;
        self.check_kinds()?;
        let known: Vec<Option<&str>> = ports.iter().map(|port| port.name.as_deref()).collect();
        let listed = self.interface.inputs.iter().map(|spec| &*spec.name);
        let convention = Convention::of(listed, &known);
        let count = self.interface.inputs.len();
        let batch_inputs = self.interface.all_inputs().len() - self.interface.batch_inputs.len();
        let mut inputs: Vec<Option<usize>> = vec![None; ports.len()];
        for (position, spec) in self.interface.all_inputs().enumerate() {
            let by_order = position < count || (position >= batch_inputs && convention == Convention::Order);
            let place = if by_order {
                convention.place(&spec.name, position, &known)
            } else {
                Some(place_of_added(self.model, "input", &spec.name, &known)?)
            };
            let slot = place.and_then(|place| inputs.get_mut(place)).ok_or_else(|| self.count(place))?;
            if let Some(other) =
                slot.replace(position).and_then(|other| self.interface.all_inputs().nth(other))
            {
                return Err(self.refused(&format!(
                    "inputs '{}' and '{}' stand for the same argument of the model",
                    other.name, spec.name
                )));
            }
        }
        let arguments = ports.iter().zip(inputs).map(|(port, input)| self.argument(port, input));
        Ok(Arguments::Each(arguments.collect::<Result<_>>()?))
    }

    /// Refuses a model that has arguments which no input can be.
    fn check_kinds(&self) -> Result<()> {
        let ports = &self.facts.arguments;
        if ports.iter().filter(|port| port.kind == kind::TENSOR_DICT).count() > 1 {
            return Err(self.refused(
                "Multiple inputs of kind DictType were detected. Only a single input of type Dict(str, Tensor) is supported.",
            ));
        }
        let strange = ports.iter().find(|port| !port.has_default && !is_input(port.kind));
        strange.map_or(Ok(()), |port| Err(self.of_other_type(port)))
    }

    fn argument(&self, port: &Port, input: Option<usize>) -> Result<Argument> {
        let absent = match port.kind {
            _ if port.has_default => Absent::Default,
            kind::OPTIONAL_TENSOR => Absent::Nothing,
            _ => Absent::Refused,
        };
        let is_copied = port.is_written || self.facts.reads_later;
        let Some(spec) = input.and_then(|input| self.interface.all_inputs().nth(input)) else {
            if absent == Absent::Refused {
                return Err(self.count(None));
            }
            return Ok(Argument { input: None, form: Form::Bool, is_copied, absent });
        };
        if spec.optional && absent == Absent::Refused {
            return Err(self.refused(&format!(
                "input '{}' is optional in the config, but the model has no value of its own for its argument '{}'",
                spec.name,
                port.name.as_deref().unwrap_or_default()
            )));
        }
        Ok(Argument { input, form: self.form(port, spec)?, is_copied, absent })
    }

    fn form(&self, port: &Port, spec: &TensorSpec) -> Result<Form> {
        match (port.kind, number(spec.data_type)) {
            (kind::TENSOR | kind::OPTIONAL_TENSOR, Some(element)) => Ok(Form::Tensor(element)),
            (kind::TENSOR | kind::OPTIONAL_TENSOR, None) => Err(self.no_strings(spec, port)),
            (kind::STRINGS, None) => {
                check_list(self.model, "input", spec, self.interface)?;
                Ok(Form::Strings)
            }
            (kind::INT | kind::FLOAT | kind::BOOL, _) => self.scalar(port, spec),
            _ if is_input(port.kind) => Err(self.of_config_type(spec, port)),
            _ => Err(self.of_other_type(port)),
        }
    }

    /// A number of the model. All rows of a batch would share it.
    fn scalar(&self, port: &Port, spec: &TensorSpec) -> Result<Form> {
        let form = match (port.kind, spec.data_type) {
            (kind::INT, DataType::Int64 | DataType::Int32) => Form::Int,
            (kind::FLOAT, DataType::Fp64 | DataType::Fp32) => Form::Float,
            (kind::BOOL, DataType::Bool) => Form::Bool,
            _ => return Err(self.of_config_type(spec, port)),
        };
        if self.interface.max_batch_size > 0 || spec.dims.element_count() != Some(1) {
            return Err(self.refused(&format!(
                "input '{}' is a single {} of the model: expected dims: 1 and max_batch_size: 0, as a batch could not share it",
                spec.name, port.type_name
            )));
        }
        Ok(form)
    }

    #[cold]
    fn no_inputs(&self) -> Error {
        let each = |port: &Port| format!("{}: {}", port.name.as_deref().unwrap_or_default(), port.type_name);
        let arguments: Vec<String> = self.facts.arguments.iter().map(each).collect();
        self.refused(&format!(
            "model configuration must contain at least one input, none were specified; the model's arguments are {}",
            arguments.join(", ")
        ))
    }

    #[cold]
    fn no_strings(&self, spec: &TensorSpec, port: &Port) -> Error {
        self.refused(&format!(
            "unsupported datatype TYPE_STRING for input '{}': the model takes {}, and strings only as List[str]",
            spec.name, port.type_name
        ))
    }

    #[cold]
    fn of_config_type(&self, spec: &TensorSpec, port: &Port) -> Error {
        self.refused(&format!(
            "configuration expects datatype {} for input '{}', the model takes {}",
            spec.data_type.config_name(),
            spec.name,
            port.type_name
        ))
    }

    #[cold]
    fn of_other_type(&self, port: &Port) -> Error {
        self.refused(&format!(
            "An input of type '{}' was detected in the model. Only a single input of type Dict(str, Tensor) or input(s) of type \
             Tensor are supported, and List[str], int, float and bool.",
            port.type_name
        ))
    }

    /// The numbers differ, or an index leads beyond the arguments.
    #[cold]
    fn count(&self, place: Option<usize>) -> Error {
        let (expected, provided) = (self.interface.all_inputs().len(), self.facts.arguments.len());
        let names: Vec<&str> = self.facts.arguments.iter().filter_map(|port| port.name.as_deref()).collect();
        let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        match place {
            Some(place) if expected == provided => self.refused(&format!(
                "an input of the configuration has index {place}, model provides {provided}{names}"
            )),
            _ => self.refused(&format!(
                "configuration expects {expected} inputs, model provides {provided}{names}"
            )),
        }
    }
}

fn is_input(kind: i32) -> bool {
    let inputs = [
        kind::TENSOR,
        kind::OPTIONAL_TENSOR,
        kind::STRINGS,
        kind::INT,
        kind::FLOAT,
        kind::BOOL,
        kind::TENSOR_DICT,
    ];
    inputs.contains(&kind)
}

/// Refuses strings in more than one dimension: to the model they are a list.
pub(crate) fn check_list(model: &str, way: &str, spec: &TensorSpec, interface: &Interface) -> Result<()> {
    let dims = spec.reshape.as_ref().unwrap_or(&spec.dims).len() + usize::from(interface.max_batch_size > 0);
    if dims <= 1 {
        return Ok(());
    }
    Err(Error::invalid_arg(format!(
        "unable to load model '{model}', Triton only supports 1 dimensional List of String as {way} for '{}' for model '{model}'{}",
        spec.name,
        if interface.max_batch_size > 0 {
            ": with a batch dimension, write dims: 1 and reshape { shape: [] }"
        } else {
            ""
        },
    )))
}
