//! Shrinks an arena: the engine only does it at the end of a run that asks for it.

use std::ffi::CString;

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{DataType, Shape};
use ort::logging::LogLevel;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::{RunOptions, Session};
use ort::value::ValueType;

use crate::element_type::data_type;
use crate::error::engine;
use crate::ffi::session::run;
use crate::ffi::value::Input;
use crate::options::ARENA_SHRINKAGE;

/// A run that is terminated before its first operator, and then shrinks the arena.
pub(super) struct ShrinkingRun {
    options: RunOptions,
    inputs: Vec<(CString, DataType, Shape)>,
    output: CString,
}

impl ShrinkingRun {
    /// `None` if the model has tensors of unsupported types.
    pub(super) fn of(session: &Session) -> Result<Option<ShrinkingRun>> {
        let mut inputs = Vec::new();
        for input in session.inputs() {
            let ValueType::Tensor { ty, shape, .. } = input.dtype() else { return Ok(None) };
            let Some(data_type) = data_type(*ty) else { return Ok(None) };
            // The smallest possible shape, because the engine checks shapes before it checks for termination.
            let shape: Vec<i64> = shape.iter().map(|dim| (*dim).max(1)).collect();
            inputs.push((c_name(input.name())?, data_type, Shape::from(shape.as_slice())));
        }
        let Some(output) = session.outputs().first() else { return Ok(None) };
        let mut options = RunOptions::new().map_err(engine)?;
        options.set(ARENA_SHRINKAGE, "cpu:0").map_err(engine)?;
        // The engine would log the termination as an error.
        options.set_log_level(LogLevel::Fatal).map_err(engine)?;
        options.terminate().map_err(engine)?;
        Ok(Some(ShrinkingRun { options, inputs, output: c_name(output.name())? }))
    }

    /// Releases unused memory of the arena. Other runs may continue meanwhile. The arena's size shows the effect.
    pub(super) fn run(&self, session: &Session) -> Result<()> {
        let (memory, allocator) = (MemoryInfo::default(), Allocator::default());
        let sizes = self.inputs.iter().map(|(_, data_type, shape)| {
            Some(shape.element_count()?.saturating_mul(data_type.byte_size().unwrap_or(0)))
        });
        // Never read or written, so that even large zeroed memory takes no pages.
        let zeros = vec![0; sizes.map(Option::unwrap_or_default).max().unwrap_or(0)];
        let mut lent = Vec::new();
        for (name, data_type, shape) in &self.inputs {
            let input = match data_type {
                DataType::Bytes => Input::empty_strings(&allocator, shape),
                data_type => Input::over(&memory, *data_type, shape, &zeros),
            };
            lent.push((name.as_c_str(), input?));
        }
        // Always an error, because the run is terminated.
        drop(run(session, Some(&self.options), &lent, &[&self.output]));
        Ok(())
    }
}

fn c_name(name: &str) -> Result<CString> {
    CString::new(name).map_err(|e| Error::invalid_arg(e.to_string()))
}
