//! Parses the text of a pipeline to steps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use hippocamp_model_config::Faults;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::ports::{Names, Ports};
use super::{Bound, Kind, Pipeline, Slot};
use crate::file::File;
use crate::steps::STEPS;

/// A TOML table with the places of its keys.
pub(crate) type Table<'t> = DeTable<'t>;

pub(super) fn read(origin: &str, text: &str, folders: &[&Path]) -> Result<Pipeline, Faults> {
    let mut file = File::new(origin, text, folders);
    let pipeline = Reader { file: &mut file, names: Names::default() }.read(text);
    match pipeline {
        Some(pipeline) if file.is_faultless() => Ok(pipeline),
        _ => Err(file.into_faults()),
    }
}

struct Reader<'a, 'f> {
    file: &'a mut File<'f>,
    names: Names,
}

impl Reader<'_, '_> {
    fn read(mut self, text: &str) -> Option<Pipeline> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            self.file.fault(&error.span().unwrap_or_default(), error.message());
        }
        if !errors.is_empty() {
            return None;
        }
        let mut table = table.into_inner();
        self.names.allowed_inputs =
            self.list(&mut table, "inputs").map(|names| names.into_iter().map(|n| n.0).collect());
        let outputs = self.list(&mut table, "outputs");
        let steps = self.steps(&mut table);
        for key in table.keys() {
            let message = format!("there is no '{}'; there are: inputs, outputs, [[step]]", key.get_ref());
            self.file.fault(&key.span(), message);
        }
        if steps.is_empty() && self.file.is_faultless() {
            self.file.fault(&(0..0), "it was expected to have a [[step]] at least");
        }
        let steps = self.bind(steps);
        let outputs = self.outputs(outputs);
        let inputs = self.inputs();
        Some(Pipeline { steps, inputs, outputs, values: self.names.values })
    }

    /// A list of names, each with its place in the text.
    fn list(&mut self, table: &mut Table<'_>, key: &str) -> Option<Vec<(String, Range<usize>)>> {
        let value = table.remove(key)?;
        let names = Vec::<Spanned<String>>::deserialize(ValueDeserializer::from(value.clone()));
        let Ok(names) = names else {
            self.file.fault(&value.span(), format!("'{key}' was expected to be a list of names"));
            return None;
        };
        Some(names.into_iter().map(|name| (name.get_ref().clone(), name.span())).collect())
    }

    fn steps<'t>(&mut self, table: &mut Table<'t>) -> Vec<Spanned<Table<'t>>> {
        let Some(steps) = table.remove("step") else { return Vec::new() };
        let span = steps.span();
        let DeValue::Array(steps) = steps.into_inner() else {
            self.file.fault(&span, "steps were expected to be written as [[step]]");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for step in steps {
            let span = step.span();
            match step.into_inner() {
                DeValue::Table(table) => tables.push(Spanned::new(span, table)),
                _ => self.file.fault(&span, "steps were expected to be written as [[step]]"),
            }
        }
        tables
    }

    fn bind(&mut self, tables: Vec<Spanned<Table<'_>>>) -> Vec<Bound> {
        let later = writers(&tables);
        let mut bound = Vec::new();
        for (number, table) in tables.into_iter().enumerate() {
            let (place, mut table) = (table.span(), table.into_inner());
            let Some(op) = self.op(number, &place, &mut table) else { continue };
            let Some(kind) = STEPS.iter().find(|kind| kind.op == op.get_ref()) else {
                let all: Vec<&str> = STEPS.iter().map(|kind| kind.op).collect();
                let message = format!(
                    "step {}: there is no op '{}'; there are: {}",
                    number + 1,
                    op.get_ref(),
                    all.join(", ")
                );
                self.file.fault(&op.span(), message);
                continue;
            };
            let keys = table.iter().map(|(key, value)| (key.get_ref().to_string(), value.span())).collect();
            let mut ports = Ports {
                names: &mut self.names,
                file: self.file,
                number,
                op: kind.op,
                place: op.span(),
                keys,
                reads: Vec::new(),
                writes: Vec::new(),
                later: &later,
            };
            let step = (kind.bind)(Spanned::new(place, table), &mut ports);
            let Ports { reads, writes, .. } = ports;
            bound.extend(step.map(|step| Bound { op: kind.op, step, reads, writes }));
        }
        bound
    }

    fn op(&mut self, number: usize, place: &Range<usize>, table: &mut Table<'_>) -> Option<Spanned<String>> {
        let value = table.remove("op");
        let op = value
            .as_ref()
            .and_then(|value| Some(Spanned::new(value.span(), value.get_ref().as_str()?.to_owned())));
        if op.is_none() {
            let place = value.map_or(place.clone(), |value| value.span());
            self.file.fault(&place, format!("step {}: 'op' was expected to name what it does", number + 1));
        }
        op
    }

    fn inputs(&mut self) -> Vec<Slot> {
        let inputs = self.names.inputs();
        let Some(allowed) = &self.names.allowed_inputs else { return inputs };
        let name = |slot: &Slot| self.names.values.get(slot.0).map_or("", |value| value.name.as_str());
        for listed in allowed {
            if !inputs.iter().any(|slot| name(slot) == listed) {
                self.file.fault(&(0..0), format!("no step reads the input '{listed}'"));
            }
        }
        let place = |slot: &Slot| allowed.iter().position(|listed| listed == name(slot));
        let mut inputs = inputs;
        inputs.sort_by_key(place);
        inputs
    }

    /// The outputs that the file lists, or all values that no step reads.
    fn outputs(&mut self, listed: Option<Vec<(String, Range<usize>)>>) -> Vec<Slot> {
        let inputs = self.names.inputs();
        let stays = |slot: &Slot| matches!(self.names.values[slot.0].kind, Kind::Detections(_));
        let written = |slot: &Slot| !inputs.contains(slot) && !stays(slot);
        let Some(listed) = listed else {
            let unread = self.names.is_read.iter().enumerate().filter(|(_, is_read)| !**is_read);
            return unread.map(|(index, _)| Slot(index)).filter(written).collect();
        };
        let mut outputs = Vec::new();
        for (name, place) in listed {
            let slot = self.names.values.iter().position(|value| value.name == name).map(Slot);
            match slot.filter(written) {
                Some(slot) => outputs.push(slot),
                None => self.file.fault(&place, format!("no step writes the output '{name}'")),
            }
        }
        outputs
    }
}

/// For each name the last step that seems to write it, judged by the key alone. Only used to tell a wrong order from a
/// wrong name; an unknown name is taken for an input.
fn writers(tables: &[Spanned<Table<'_>>]) -> BTreeMap<String, usize> {
    let mut writers = BTreeMap::new();
    for (number, table) in tables.iter().enumerate() {
        if let Some(name) = table.get_ref().get("output").and_then(|value| value.get_ref().as_str()) {
            writers.insert(name.to_owned(), number);
        }
    }
    writers
}

/// Parses a step's parameters; faults are added at their places.
pub(crate) fn parameters<S: serde::de::DeserializeOwned>(
    table: Spanned<Table<'_>>,
    ports: &mut Ports<'_, '_>,
) -> Option<S> {
    let place = table.span();
    let value = Spanned::new(place.clone(), DeValue::Table(table.into_inner()));
    match S::deserialize(ValueDeserializer::from(value).into_deserializer()) {
        Ok(step) => Some(step),
        Err(error) => {
            let text = format!("step {} '{}': {}", ports.number + 1, ports.op, error.message());
            // For a missing key the parser returns the place of the whole step.
            let at = error.span().filter(|span| *span != place).unwrap_or(ports.place.clone());
            ports.file.fault(&at, text);
            None
        }
    }
}
