//! How an arena is shrunk: the engine does it at the end of a run that asks for it, and offers no other way.

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

/// A run that ends before its first operator, and shrinks the arena then.
pub(super) struct ShrinkingRun {
    options: RunOptions,
    inputs: Vec<(CString, DataType, Shape)>,
    output: CString,
}

impl ShrinkingRun {
    /// `None` if the model has tensors that no client can send.
    pub(super) fn of(session: &Session) -> Result<Option<ShrinkingRun>> {
        let mut inputs = Vec::new();
        for input in session.inputs() {
            let ValueType::Tensor { ty, shape, .. } = input.dtype() else { return Ok(None) };
            let Some(data_type) = data_type(*ty) else { return Ok(None) };
            // The smallest that the model may have: the engine looks at the shapes before it looks whether to stop.
            let shape: Vec<i64> = shape.iter().map(|dim| (*dim).max(1)).collect();
            inputs.push((c_name(input.name())?, data_type, Shape::from(shape.as_slice())));
        }
        let Some(output) = session.outputs().first() else { return Ok(None) };
        let mut options = RunOptions::new().map_err(engine)?;
        options.set(ARENA_SHRINKAGE, "cpu:0").map_err(engine)?;
        // That it was stopped is an error to the engine.
        options.set_log_level(LogLevel::Fatal).map_err(engine)?;
        options.terminate().map_err(engine)?;
        Ok(Some(ShrinkingRun { options, inputs, output: c_name(output.name())? }))
    }

    /// Gives back what nothing is in. Other runs may go on meanwhile. Whether it worked shows in the size of the arena.
    pub(super) fn run(&self, session: &Session) -> Result<()> {
        let (memory, allocator) = (MemoryInfo::default(), Allocator::default());
        let sizes = self.inputs.iter().map(|(_, data_type, shape)| {
            Some(shape.element_count()?.saturating_mul(data_type.byte_size().unwrap_or(0)))
        });
        // Nobody reads or writes them, so that large ones take no memory.
        let zeros = vec![0; sizes.map(Option::unwrap_or_default).max().unwrap_or(0)];
        let mut lent = Vec::new();
        for (name, data_type, shape) in &self.inputs {
            let input = match data_type {
                DataType::Bytes => Input::empty_strings(&allocator, shape),
                data_type => Input::over(&memory, *data_type, shape, &zeros),
            };
            lent.push((name.as_c_str(), input?));
        }
        // Always an error: that it was stopped.
        drop(run(session, Some(&self.options), &lent, &[&self.output]));
        Ok(())
    }
}

fn c_name(name: &str) -> Result<CString> {
    CString::new(name).map_err(|e| Error::invalid_arg(e.to_string()))
}
