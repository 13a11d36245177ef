//! Meta: what a step passes on besides tensors, as parameters of its response and changes of the sequence.
//!
//! The parameters of a step's response become request parameters of every step after it, directly or not. If two steps
//! set the same parameter, the later step wins; the client's own parameters win over all.

use std::sync::Arc;

use hippocamp_backend::{CorrelationId, Error, ParameterValue, Parameters, Result, Sequence};
use smallvec::SmallVec;

const SEQUENCE_ID: &str = "sequence_id";
const SEQUENCE_START: &str = "sequence_start";
const SEQUENCE_END: &str = "sequence_end";

/// The meta of one response of a step.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) step: usize,
    parameters: Parameters,
    /// The parameters of each row of a fanned-out step, if they differ.
    rows: Option<Arc<[Parameters]>>,
    sequence: Option<SequenceChange>,
}

/// Changes of the sequence that a response requests for the steps after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SequenceChange {
    correlation_id: Option<CorrelationId>,
    start: bool,
    end: bool,
}

/// The meta of several steps; at most one entry a step.
pub(crate) type MetaList = SmallVec<[Meta; 1]>;

impl Meta {
    /// Reads the meta in the parameters of a response; `None` if there is none.
    pub(crate) fn of(step: usize, parameters: Parameters) -> Result<Option<Meta>> {
        if parameters.is_empty() {
            return Ok(None);
        }
        let is_of_sequence = |name: &str| [SEQUENCE_ID, SEQUENCE_START, SEQUENCE_END].contains(&name);
        if !parameters.iter().any(|(name, _)| is_of_sequence(name)) {
            return Ok(Some(Meta { step, parameters, rows: None, sequence: None }));
        }
        let mut others = Parameters::default();
        let mut change = SequenceChange { correlation_id: None, start: false, end: false };
        for (name, value) in parameters.iter() {
            match name {
                SEQUENCE_ID => change.correlation_id = Some(correlation_id(value)?),
                SEQUENCE_START => change.start = flag(name, value)?,
                SEQUENCE_END => change.end = flag(name, value)?,
                _ => others.set(name.to_owned(), value.clone()),
            }
        }
        Ok(Some(Meta { step, parameters: others, rows: None, sequence: Some(change) }))
    }

    /// Reads the meta of the rows of a fanned-out step. Steps that do not run for each of these rows get what all rows say alike;
    /// so do all steps for changes of the sequence.
    pub(crate) fn of_rows(step: usize, rows: Vec<Parameters>) -> Result<Option<Meta>> {
        if rows.iter().all(Parameters::is_empty) {
            return Ok(None);
        }
        let mut metas = Vec::with_capacity(rows.len());
        for parameters in rows {
            metas.push(Meta::of(step, parameters)?);
        }
        let are_equal = metas.windows(2).all(|pair| match pair {
            [Some(a), Some(b)] => a.parameters == b.parameters && a.sequence == b.sequence,
            [a, b] => a.is_none() && b.is_none(),
            _ => true,
        });
        if are_equal {
            return Ok(metas.pop().flatten());
        }
        let mut alike = Parameters::default();
        let mut sequence = None;
        if let Some(Some(first)) = metas.first() {
            let all = |same: &dyn Fn(&Meta) -> bool| metas.iter().all(|meta| meta.as_ref().is_some_and(same));
            for (name, value) in first.parameters.iter() {
                if all(&|meta| meta.parameters.get(name) == Some(value)) {
                    alike.set(name.to_owned(), value.clone());
                }
            }
            sequence =
                first.sequence.clone().filter(|change| all(&|meta| meta.sequence.as_ref() == Some(change)));
        }
        let rows =
            metas.into_iter().map(|meta| meta.map(|meta| meta.parameters).unwrap_or_default()).collect();
        Ok(Some(Meta { step, parameters: alike, rows: Some(rows), sequence }))
    }

    /// The number of rows, if each said something of its own.
    pub(crate) fn rows(&self) -> Option<usize> {
        self.rows.as_ref().map(|rows| rows.len())
    }

    /// Applies the change to the sequence of a request.
    fn apply(&self, sequence: &mut Option<Sequence>) {
        let Some(SequenceChange { correlation_id, start, end }) = &self.sequence else { return };
        let before = sequence.take().map(|sequence| sequence.correlation_id);
        let correlation_id = correlation_id.clone().or(before).unwrap_or(CorrelationId::Number(0));
        *sequence = Some(Sequence { correlation_id, start: *start, end: *end });
    }
}

fn correlation_id(value: &ParameterValue) -> Result<CorrelationId> {
    match value {
        ParameterValue::Int64(id) => Ok(CorrelationId::Number(*id as u64)),
        ParameterValue::Uint64(id) => Ok(CorrelationId::Number(*id)),
        ParameterValue::String(id) => Ok(CorrelationId::Text(Arc::from(&**id))),
        _ => Err(Error::invalid_arg(
            "expected parameter 'sequence_id' to be TRITONSERVER_PARAMETER_INT or TRITONSERVER_PARAMETER_STRING",
        )),
    }
}

fn flag(name: &str, value: &ParameterValue) -> Result<bool> {
    match value {
        ParameterValue::Bool(flag) => Ok(*flag),
        _ => Err(Error::invalid_arg(format!("expect parameter '{name}' to be TRITONSERVER_PARAMETER_BOOL"))),
    }
}

/// The parameters and the sequence of a request after the steps of `said`, which are in step order; `client` and
/// `sequence` are those of the client's request.
pub(crate) fn behind<'a>(
    said: impl Iterator<Item = &'a Meta>,
    client: &Parameters,
    sequence: Option<&Sequence>,
) -> (Parameters, Option<Sequence>) {
    let mut parameters = Parameters::default();
    let mut sequence = sequence.cloned();
    for meta in said {
        parameters.update(&meta.parameters);
        meta.apply(&mut sequence);
    }
    if parameters.is_empty() {
        return (client.clone(), sequence);
    }
    parameters.update(client);
    (parameters, sequence)
}

/// The parameters of the request of a row, behind the steps of `said`. Of those in `aligned`, which ran for the same rows, the row
/// gets what was said about itself.
pub(crate) fn behind_row<'a>(
    said: impl Iterator<Item = &'a Meta>,
    aligned: &[usize],
    row: usize,
    client: &Parameters,
) -> Parameters {
    let mut parameters = Parameters::default();
    for meta in said {
        let own = meta.rows.as_ref().filter(|_| aligned.contains(&meta.step)).and_then(|rows| rows.get(row));
        parameters.update(own.unwrap_or(&meta.parameters));
    }
    parameters.update(client);
    parameters
}

/// The parameters of the ensemble's response: those of the steps, and the sequence, which Triton adds.
pub(crate) fn of_response<'a>(
    said: impl Iterator<Item = &'a Meta>,
    sequence: Option<&Sequence>,
) -> Parameters {
    let (mut parameters, sequence) = behind(said, &Parameters::default(), sequence);
    let (id, start, end) = match sequence {
        Some(Sequence { correlation_id, start, end }) => (correlation_id, start, end),
        None => (CorrelationId::Number(0), false, false),
    };
    let id = match id {
        CorrelationId::Number(id) => ParameterValue::Int64(id as i64),
        CorrelationId::Text(id) => ParameterValue::String(id.to_string().into()),
    };
    parameters.set(SEQUENCE_ID, id);
    parameters.set(SEQUENCE_START, ParameterValue::Bool(start));
    parameters.set(SEQUENCE_END, ParameterValue::Bool(end));
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(list: &[(&'static str, i64)]) -> Parameters {
        let mut parameters = Parameters::default();
        for &(name, value) in list {
            parameters.set(name, ParameterValue::Int64(value));
        }
        parameters
    }

    fn said(list: &[(&'static str, i64)]) -> Meta {
        Meta::of(0, parameters(list)).unwrap().unwrap()
    }

    #[test]
    fn the_later_step_wins_and_the_client_over_all() {
        let steps = [said(&[("a", 1), ("b", 1), ("c", 1)]), said(&[("b", 2), ("c", 2)])];
        let (got, sequence) = behind(steps.iter(), &parameters(&[("c", 3)]), None);
        assert_eq!(got, parameters(&[("a", 1), ("b", 2), ("c", 3)]));
        assert_eq!(sequence, None);
    }

    #[test]
    fn a_response_moves_what_follows_into_another_sequence() {
        let mut response = parameters(&[("sequence_id", 7), ("x", 1)]);
        response.set("sequence_end", ParameterValue::Bool(true));
        let meta = Meta::of(0, response).unwrap().unwrap();
        let before = Sequence { correlation_id: CorrelationId::Number(3), start: true, end: false };
        let (got, sequence) = behind(std::iter::once(&meta), &Parameters::default(), Some(&before));
        assert_eq!(got, parameters(&[("x", 1)]));
        let after = Sequence { correlation_id: CorrelationId::Number(7), start: false, end: true };
        assert_eq!(sequence, Some(after));
        let of_response = of_response(std::iter::once(&meta), Some(&before));
        assert_eq!(of_response.get("sequence_id"), Some(&ParameterValue::Int64(7)));
        assert_eq!(of_response.get("sequence_end"), Some(&ParameterValue::Bool(true)));
    }

    #[test]
    fn rows_get_what_was_said_about_themselves_and_others_what_all_say() {
        let rows = vec![parameters(&[("a", 1), ("b", 1)]), parameters(&[("a", 1), ("b", 2), ("c", 3)])];
        let said = [Meta::of_rows(4, rows).unwrap().unwrap()];
        assert_eq!(said[0].rows(), Some(2));
        let client = parameters(&[("d", 0)]);
        let of_row = |aligned: &[usize], row| behind_row(said.iter(), aligned, row, &client);
        assert_eq!(of_row(&[4], 0), parameters(&[("a", 1), ("b", 1), ("d", 0)]));
        assert_eq!(of_row(&[4], 1), parameters(&[("a", 1), ("b", 2), ("c", 3), ("d", 0)]));
        assert_eq!(of_row(&[], 1), parameters(&[("a", 1), ("d", 0)]));
        assert_eq!(behind(said.iter(), &client, None).0, parameters(&[("a", 1), ("d", 0)]));
    }

    #[test]
    fn rows_that_say_the_same_are_as_one_response() {
        let rows = vec![parameters(&[("a", 1), ("sequence_id", 7)]); 3];
        let meta = Meta::of_rows(0, rows).unwrap().unwrap();
        assert_eq!(meta.rows(), None);
        let (got, sequence) = behind(std::iter::once(&meta), &Parameters::default(), None);
        assert_eq!((got, sequence.is_some()), (parameters(&[("a", 1)]), true));
        assert!(Meta::of_rows(0, vec![Parameters::default(); 2]).unwrap().is_none());
        let apart = vec![parameters(&[("sequence_id", 7)]), parameters(&[("sequence_id", 8)])];
        let meta = Meta::of_rows(0, apart).unwrap().unwrap();
        assert_eq!(behind(std::iter::once(&meta), &Parameters::default(), None).1, None);
    }

    #[test]
    fn refuses_a_sequence_of_the_wrong_kind() {
        let mut wrong = Parameters::default();
        wrong.set("sequence_id", ParameterValue::Bool(true));
        assert!(Meta::of(0, wrong).is_err());
        assert!(Meta::of(0, parameters(&[("sequence_start", 1)])).is_err());
    }
}
