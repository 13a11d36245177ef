//! Which result of the model becomes which output of a config.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{DataType, Shape};

use crate::arguments::check_list;
use crate::element_type::{data_type, name};
use crate::ffi::api::kind;
use crate::ffi::module::{Facts, Port};
use crate::ffi::outputs::{Outputs, Taken};
use crate::naming::{Convention, place_of_added};

/// The outputs of a config, in its order.
#[derive(Debug)]
pub(crate) struct Results {
    model: String,
    places: Vec<Place>,
    batched: bool,
}

#[derive(Debug)]
struct Place {
    spec: TensorSpec,
    /// Where the result is, if results have no keys.
    index: usize,
}

impl Results {
    /// Fits the outputs of a config to the results of a model, as far as these are known before a run.
    pub(crate) fn of(model: &str, facts: &Facts, interface: &Interface) -> Result<Results> {
        if interface.outputs.is_empty() {
            let types: Vec<&str> = facts.results.iter().map(|port| &*port.type_name).collect();
            return Err(Error::invalid_arg(format!(
                "unable to load model '{model}', model configuration must contain at least one output, none were specified; the \
                 model gives {}",
                types.join(", ")
            )));
        }
        let known: Vec<Option<&str>> = facts.results.iter().map(|port| port.name.as_deref()).collect();
        let known = if facts.results_vary { &[] } else { known.as_slice() };
        let listed = interface.outputs.iter().map(|spec| &*spec.name);
        let convention = Convention::of(listed, known);
        let is_dictionary = matches!(facts.results.as_slice(), [only] if only.kind == kind::TENSOR_DICT);
        let mut places = Vec::new();
        for (position, spec) in interface.all_outputs().enumerate() {
            let index = if is_dictionary || position < interface.outputs.len() {
                convention.place(&spec.name, position, known).unwrap_or(position)
            } else {
                place_of_added(model, "output state", &spec.name, known)?
            };
            if spec.data_type == DataType::Bytes {
                check_list(model, "output", spec, interface)?;
            }
            let keys = &facts.result_keys;
            if is_dictionary && !keys.is_empty() && !keys.iter().any(|key| **key == *spec.name) {
                return Err(Error::invalid_arg(format!(
                    "unable to load model '{model}', {}",
                    not_a_key(&spec.name, keys.iter().map(String::as_str))
                )));
            }
            if !facts.results_vary {
                let port =
                    facts.results.get(index).ok_or_else(|| missing(model, spec, facts.results.len()))?;
                check(model, spec, port)?;
            }
            places.push(Place { spec: spec.clone(), index });
        }
        Ok(Results { model: model.to_owned(), places, batched: interface.max_batch_size > 0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Takes an output from those of a run: its shape, and its elements in wire form.
    pub(crate) fn take(&self, output: usize, outputs: &mut Outputs) -> Result<(Shape, bytes::Bytes)> {
        let place = &self.places[output];
        let (model, spec) = (self.model.as_str(), &place.spec);
        let index = find(place, outputs).map_err(|what| self.refused(&what))?;
        match outputs.take(index).map_err(|fault| fault.of_run(model))? {
            Taken::Tensor(element, shape, data) if data_type(element) == Some(spec.data_type) => {
                if !shape.is_empty() {
                    return Ok((shape, data));
                }
                if self.batched {
                    return Err(
                        self.refused(&format!("output '{}' is a scalar which is not supported.", spec.name))
                    );
                }
                // To clients it is a tensor of one element.
                Ok((Shape::from([1]), data))
            }
            Taken::Tensor(element, ..) => Err(self.of_other_type(spec, &name(element))),
            Taken::Strings(count, wire) if spec.data_type == DataType::Bytes => {
                Ok((Shape::from([count as i64]), wire))
            }
            Taken::Strings(..) => Err(self.of_other_type(spec, "TYPE_STRING")),
            Taken::Other(type_name) => Err(self.refused(&not_served(spec, &type_name))),
        }
    }

    #[cold]
    fn refused(&self, what: &str) -> Error {
        Error::invalid_arg(format!("model '{}', {what}", self.model))
    }

    #[cold]
    fn of_other_type(&self, spec: &TensorSpec, provided: &str) -> Error {
        self.refused(&format!(
            "configuration expects datatype {} for output '{}', model provides {provided}",
            spec.data_type.config_name(),
            spec.name
        ))
    }
}

/// The index of an output among the results of a run; otherwise what is wrong.
fn find(place: &Place, outputs: &Outputs) -> Result<usize, String> {
    let name = &*place.spec.name;
    let count = outputs.len();
    if count > 0 && (0..count).all(|index| outputs.key(index).is_some()) {
        let found = (0..count).find(|index| outputs.key(*index) == Some(name));
        return found.ok_or_else(|| not_a_key(name, (0..count).filter_map(|index| outputs.key(index))));
    }
    if place.index < count { Ok(place.index) } else { Err(no_such_index(name, count)) }
}

fn not_a_key<'a>(name: &str, keys: impl Iterator<Item = &'a str>) -> String {
    let mut keys: Vec<&str> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    format!(
        "output '{name}' is not in the dictionary that the model gives, whose keys are: {}",
        keys.join(", ")
    )
}

fn no_such_index(name: &str, count: usize) -> String {
    format!(
        "The output {name} in the model configuration refers to an output index which doesn't exist. This model has {count} \
         outputs"
    )
}

fn not_served(spec: &TensorSpec, type_name: &str) -> String {
    format!("output '{}' must be of type Tensor or List[str], the model gives {type_name}", spec.name)
}

#[cold]
fn missing(model: &str, spec: &TensorSpec, count: usize) -> Error {
    Error::invalid_arg(format!("unable to load model '{model}', {}", no_such_index(&spec.name, count)))
}

/// Refuses an output of a type that its result can never be.
fn check(model: &str, spec: &TensorSpec, port: &Port) -> Result<()> {
    let is_text = spec.data_type == DataType::Bytes;
    let what = match port.kind {
        kind::TENSOR | kind::OPTIONAL_TENSOR if is_text => {
            format!(
                "configuration expects datatype TYPE_STRING for output '{}', the model gives {}",
                spec.name, port.type_name
            )
        }
        kind::STRINGS if !is_text => format!(
            "configuration expects datatype {} for output '{}', model provides TYPE_STRING",
            spec.data_type.config_name(),
            spec.name
        ),
        kind::INT | kind::FLOAT | kind::BOOL | kind::NONE => not_served(spec, &port.type_name),
        _ => return Ok(()),
    };
    Err(Error::invalid_arg(format!("unable to load model '{model}', {what}")))
}
