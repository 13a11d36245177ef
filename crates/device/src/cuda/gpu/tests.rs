//! Which GPU an error is charged to, with a driver that is played: contexts are numbers, from 1.

use std::cell::Cell;
use std::ffi::{c_int, c_uint};
use std::sync::Arc;

use cudarc::driver::sys::{CUcontext, CUevent, CUstream};

use super::super::event::Event;
use super::*;
use crate::DeviceKind;

const ILLEGAL_ADDRESS: Status = 700;
const INVALID_CONTEXT: Status = 201;

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
    /// What each context answers to every question.
    static STATE: Cell<[Status; 3]> = const { Cell::new([INVALID_CONTEXT, 0, 0]) };
    /// What the next wait for an event returns.
    static WAIT: Cell<Status> = const { Cell::new(0) };
}

extern "C" fn done() -> c_uint {
    status::SUCCESS
}

unsafe extern "C" fn retain(context: *mut CUcontext, device: c_int) -> Status {
    // SAFETY: the caller's place for a handle.
    unsafe { *context = (device as usize + 1) as CUcontext };
    status::SUCCESS
}

unsafe extern "C" fn current(context: *mut CUcontext) -> Status {
    // SAFETY: as above.
    unsafe { *context = CURRENT.get() as CUcontext };
    status::SUCCESS
}

unsafe extern "C" fn set_current(context: CUcontext) -> Status {
    CURRENT.set(context as usize);
    status::SUCCESS
}

unsafe extern "C" fn memory_info(_free: *mut usize, _total: *mut usize) -> Status {
    STATE.get()[CURRENT.get()]
}

unsafe extern "C" fn query(_event: CUevent) -> Status {
    status::NOT_READY
}

unsafe extern "C" fn wait(_stream: CUstream, _event: CUevent, _flags: c_uint) -> Status {
    WAIT.get()
}

/// Two GPUs that are in use.
fn gpus() -> [Arc<Gpu>; 2] {
    let mut functions = Functions::of_stub(done);
    functions.retain_context = retain;
    functions.current_context = current;
    functions.set_current_context = set_current;
    functions.memory_info = memory_info;
    functions.query_event = query;
    functions.wait_for_event = wait;
    let functions: &'static Functions = Box::leak(Box::new(functions));
    STATE.set([INVALID_CONTEXT, 0, 0]);
    [0, 1].map(|id| {
        let about = Device {
            kind: DeviceKind::Gpu,
            id,
            name: "played".to_owned(),
            uuid: format!("GPU-{id}"),
            bus_id: String::new(),
            memory: 0,
            compute_capability: (9, 0),
        };
        let gpu = Arc::new(Gpu::new(functions, id, about, 0));
        gpu.active().unwrap();
        gpu
    })
}

/// Has a stream of the second GPU wait for an event of the first, which fails with `status`.
fn fail(gpus: &[Arc<Gpu>; 2], status: Status) -> DeviceError {
    let event = Event::record(&gpus[0], null_mut()).unwrap();
    WAIT.set(status);
    event.hold(&gpus[1], null_mut()).unwrap_err()
}

#[test]
fn an_error_of_two_gpus_costs_the_one_that_does_not_answer() {
    for (dead, status) in [(0, ILLEGAL_ADDRESS), (1, ILLEGAL_ADDRESS), (0, status::UNKNOWN)] {
        let gpus = gpus();
        let mut state = STATE.get();
        state[dead + 1] = status;
        STATE.set(state);
        let error = fail(&gpus, status);
        assert!(matches!(error, DeviceError::Lost { device, .. } if device == dead as i32), "{error}");
        assert_eq!([0, 1].map(|gpu: usize| gpus[gpu].lost().is_some()), [dead == 0, dead == 1]);
        assert_eq!(CURRENT.get(), 0, "the thread has the context that it had");
    }
}

#[test]
fn an_error_costs_no_gpu_while_both_answer() {
    let gpus = gpus();
    let error = fail(&gpus, ILLEGAL_ADDRESS);
    assert!(matches!(error, DeviceError::Failed { device: 1, .. }), "{error}");
    assert!(gpus.iter().all(|gpu| gpu.lost().is_none()));
}

#[test]
fn a_gpu_is_asked_in_its_own_context() {
    let gpus = gpus();
    // The thread has no context, for which the driver has an error of its own; nor does the context of another GPU matter.
    assert!(matches!(gpus[0].check("copy", status::UNKNOWN), Err(DeviceError::Failed { .. })));
    STATE.set([INVALID_CONTEXT, 0, ILLEGAL_ADDRESS]);
    CURRENT.set(2);
    assert!(matches!(gpus[0].check("copy", status::UNKNOWN), Err(DeviceError::Failed { .. })));
    assert!(matches!(gpus[1].check("copy", status::UNKNOWN), Err(DeviceError::Lost { device: 1, .. })));
    assert_eq!((CURRENT.get(), gpus[0].lost()), (2, None));
    CURRENT.set(0);
}

#[test]
fn a_gpu_whose_first_use_fails_can_be_used_later() {
    let [gpu, _] = gpus();
    let unused = Gpu::new(gpu.functions, 1, gpu.about.clone(), 0);
    assert!(matches!(unused.check("create a context", status::UNKNOWN), Err(DeviceError::Failed { .. })));
    assert_eq!(unused.lost(), None);
}
