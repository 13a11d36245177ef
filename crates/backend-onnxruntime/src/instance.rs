//! An instance, which runs a session; several instances may share one.

use std::ffi::CStr;

use hippocamp_backend::{Request, Result};
use hippocamp_batching::{Compute, InputView, Inputs, Outputs};
use hippocamp_engine_library::FloatMode;
use hippocamp_model_config::{Interface, Signature};
use hippocamp_tensor::{DataType, Shape};
use ort::memory::{Allocator, MemoryInfo};
use ort::session::RunOptions;
use smallvec::SmallVec;

use crate::arena::OpenSession;
use crate::error::engine;
use crate::ffi::session::run;
use crate::ffi::value::Input;
use crate::guard::Guard;
use crate::options::Options;
use crate::ports::{Port, ports};
use crate::sessions::UsedSession;
use crate::undivided::Undivided;

/// Executes batches. Used by one thread.
pub(crate) struct OnnxInstance {
    session: UsedSession,
    /// Another session, for runs that are not divided among threads.
    undivided: Undivided,
    /// `None` if there are no run options.
    run_options: Option<RunOptions>,
    flush_denormals: bool,
    tensors: Tensors,
}

/// What the instance knows of the model's tensors.
struct Tensors {
    model: String,
    /// The inputs in the order of the config, as in requests.
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// Describes ordinary host memory.
    memory: MemoryInfo<'static>,
    /// The allocator of string tensors, which have their own memory layout.
    allocator: Allocator,
}

impl OnnxInstance {
    pub(crate) fn new(
        model: &str,
        (session, undivided): (UsedSession, Undivided),
        options: &Options,
        signature: &Signature,
        guard: &Guard,
        interface: &Interface,
    ) -> Result<OnnxInstance> {
        let tensors = Tensors {
            model: model.to_owned(),
            inputs: ports(model, interface.all_inputs(), &signature.inputs, guard)?,
            outputs: ports(model, interface.all_outputs(), &signature.outputs, guard)?,
            memory: MemoryInfo::default(),
            allocator: Allocator::default(),
        };
        let run_options = run_options(options)?;
        Ok(OnnxInstance {
            session,
            undivided,
            run_options,
            flush_denormals: options.flush_denormals,
            tensors,
        })
    }
}

impl Tensors {
    /// Makes the engine's input tensors, which borrow the data. `booleans` holds the inputs that had to be normalised.
    fn lend<'a>(
        &'a self,
        inputs: &'a Inputs<'_>,
        booleans: &'a [Option<Vec<u8>>],
    ) -> Result<SmallVec<[(&'a CStr, Input<'a>); 4]>> {
        let mut lent = SmallVec::new();
        for ((port, view), normal) in self.inputs.iter().zip(inputs).zip(booleans) {
            let Some(view) = view else {
                if port.optional {
                    continue;
                }
                return Err(port.missing(&self.model));
            };
            let content = view.bytes()?;
            let tensor = (view.data_type, &view.shape, content);
            port.guard.check(&self.model, || port.name.to_string_lossy().into_owned(), tensor)?;
            let data = normal.as_deref().unwrap_or(content);
            let scalar = Shape::default();
            let shape = if port.scalar.is_some() { &scalar } else { &view.shape };
            let input = match view.data_type {
                DataType::Bytes => Input::strings(&self.allocator, shape, data),
                data_type => Input::over(&self.memory, data_type, shape, data),
            };
            lent.push((port.name.as_c_str(), input?));
        }
        Ok(lent)
    }
}

impl Compute for OnnxInstance {
    fn takes(&self, request: &Request) -> Result<()> {
        self.tensors.check(request)
    }

    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        let tensors = &self.tensors;
        let wanted: SmallVec<[(usize, &Port); 4]> =
            tensors.outputs.iter().enumerate().filter(|(index, _)| outputs.is_wanted(*index)).collect();
        if wanted.is_empty() {
            // The engine refuses to run without outputs.
            return Ok(());
        }
        let booleans: SmallVec<[Option<Vec<u8>>; 4]> =
            inputs.iter().map(|input| normal_booleans(input.as_ref()?)).collect();
        let lent = tensors.lend(inputs, &booleans)?;
        let names: SmallVec<[&CStr; 4]> = wanted.iter().map(|(_, port)| port.name.as_c_str()).collect();
        let bytes = inputs.iter().flatten().map(|view| view.data.len()).sum();
        let mut turn = self.undivided.begin(bytes);
        let undivided = self.undivided.session().filter(|_| turn.is_undivided);
        let session: &OpenSession = undivided.unwrap_or(&self.session);
        session.runs();
        let mode = self.flush_denormals.then(FloatMode::flushing);
        let values = run(&session.session, self.run_options.as_ref(), &lent, &names);
        drop(mode);
        turn.stop();
        session.has_run(bytes);
        for ((index, port), value) in wanted.into_iter().zip(values?) {
            let taken = value.take(port.data_type, inputs, &session.session)?;
            let (shape, data) = taken.ok_or_else(|| port.of_another_type(&tensors.model))?;
            outputs.set(index, port.scalar.clone().unwrap_or(shape), data);
        }
        self.undivided.end(&turn);
        Ok(())
    }
}

impl Tensors {
    /// The results of the guards for the inputs of one request.
    fn check(&self, request: &Request) -> Result<()> {
        for (port, input) in self.inputs.iter().zip(&request.inputs) {
            let Some(input) = input else { continue };
            let content = input.data.to_host()?;
            let tensor = (port.data_type, &input.shape, &*content);
            port.guard.check(&self.model, || port.name.to_string_lossy().into_owned(), tensor)?;
        }
        Ok(())
    }
}

/// The options of every run that the config asks for; `None` if there are none.
fn run_options(options: &Options) -> Result<Option<RunOptions>> {
    if options.run_entries.is_empty() {
        return Ok(None);
    }
    let mut run_options = RunOptions::new().map_err(engine)?;
    for (key, value) in &options.run_entries {
        run_options.set(key, value).map_err(engine)?;
    }
    Ok(Some(run_options))
}

/// Normalises BOOL elements to 0 and 1; `None` if they are. The engine reads them as C++ booleans, for which other
/// values are undefined behaviour.
pub(crate) fn normal_booleans(view: &InputView<'_>) -> Option<Vec<u8>> {
    if view.data_type != DataType::Bool {
        return None;
    }
    let content = view.data.as_host()?;
    let strange = content.iter().fold(0, |all, byte| all | byte) > 1;
    strange.then(|| content.iter().map(|byte| u8::from(*byte != 0)).collect())
}
