//! Calls in any order, with any handles: what is right works, what is wrong is refused, and nothing is freed while it is used.

#![allow(unsafe_code, reason = "plays a backend: what it passes are pointers")]

mod double;
mod on_gpus;

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::Arc;

use hippocamp_backend::{Code, InProcessServer, ServerHandle};
use parking_lot::{Condvar, Mutex};
use proptest::prelude::*;

use super::allocator::AllocatorObject;
use super::request::InferenceRequestObject;
use super::response::InferenceResponseObject;
use super::{Caller, Gpus, ServerObject, allocator, request, response, server};
use crate::border::{Handle, Out, Owned, Ref, Returned, Text, own};
use double::Double;

type Request = Ref<InferenceRequestObject>;
type Response = Ref<InferenceResponseObject>;
type Allocator = Ref<AllocatorObject>;

/// A step of a backend. Numbers choose among all handles that there were, NULL, and one of another kind.
#[derive(Clone, Debug)]
enum Step {
    New(usize),
    Delete(usize),
    AddInput(usize, u8, usize),
    Append(usize, u8, usize),
    Callbacks(usize, usize, bool),
    Infer(usize),
    Cancel(usize),
    NewAllocator,
    DeleteAllocator(usize),
    DeleteResponse(usize),
    ReadResponse(usize),
    WaitForAll,
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..12_usize;
    prop_oneof![
        2 => (0..double::MODELS.len()).prop_map(Step::New),
        1 => slot.clone().prop_map(Step::Delete),
        4 => (slot.clone(), 0..3_u8, 0..9_usize).prop_map(|(slot, name, size)| Step::AddInput(slot, name, size)),
        4 => (slot.clone(), 0..3_u8, 0..9_usize).prop_map(|(slot, name, size)| Step::Append(slot, name, size)),
        4 => (slot.clone(), slot.clone(), any::<bool>()).prop_map(|(a, b, keeps)| Step::Callbacks(a, b, keeps)),
        5 => slot.clone().prop_map(Step::Infer),
        1 => slot.clone().prop_map(Step::Cancel),
        1 => Just(Step::NewAllocator),
        1 => slot.clone().prop_map(Step::DeleteAllocator),
        2 => slot.clone().prop_map(Step::DeleteResponse),
        1 => slot.prop_map(Step::ReadResponse),
        1 => Just(Step::WaitForAll),
    ]
}

/// What the callbacks of one request have seen.
#[derive(Debug, Default)]
struct Seen {
    state: Mutex<Told>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    started: usize,
    finals: usize,
    releases: usize,
    allocated: usize,
    given_back: usize,
    /// Responses are kept, and so is the request.
    keeps: bool,
    kept: Vec<Response>,
    /// Freed by the release, if that deletes the request.
    lent: Vec<Box<[u8]>>,
}

extern "C" fn allocate(
    _: Allocator,
    _: *const c_char,
    size: usize,
    _: u32,
    _: i64,
    seen: *mut c_void,
    buffer: *mut *mut c_void,
    userp: *mut *mut c_void,
    _: *mut u32,
    _: *mut i64,
) -> Returned {
    // SAFETY: these are the pointers that the host was given, or has for results.
    unsafe {
        (*seen.cast::<Seen>()).state.lock().allocated += 1;
        *buffer = Box::into_raw(vec![0_u8; size].into_boxed_slice()).cast();
        *userp = seen;
    }
    Ref::NULL
}

extern "C" fn give_back(
    _: Allocator,
    buffer: *mut c_void,
    seen: *mut c_void,
    size: usize,
    _: u32,
    _: i64,
) -> Returned {
    // SAFETY: as it was allocated.
    unsafe {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(buffer.cast::<u8>(), size)));
        (*seen.cast::<Seen>()).state.lock().given_back += 1;
    }
    Ref::NULL
}

extern "C" fn responded(response: Response, flags: u32, seen: *mut c_void) {
    // SAFETY: it is there until the test ends.
    let seen = unsafe { &*seen.cast::<Seen>() };
    let mut told = seen.state.lock();
    assert!(told.finals < told.started, "nothing comes behind the last response");
    told.finals += flags as usize & 1;
    if told.keeps && !response.is_null() {
        told.kept.push(response);
    } else {
        drop(told);
        response::delete(response).into_result().unwrap();
    }
}

extern "C" fn released(request: Request, flags: u32, seen: *mut c_void) {
    // SAFETY: as above.
    let seen = unsafe { &*seen.cast::<Seen>() };
    let mut told = seen.state.lock();
    assert_eq!(flags, 1);
    told.releases += 1;
    assert!(told.releases <= told.finals, "it is released behind the last response");
    // Another step may have deleted it, or executed it again, since it is the backend's again.
    if !told.keeps && code(request::delete(request)).is_none() {
        told.lent.clear();
    }
    seen.changed.notify_all();
}

/// A call that may fail or not.
fn ignore(returned: Returned) {
    let _ = code(returned);
}

/// Plays the backend.
struct Player {
    server: Owned<ServerObject>,
    requests: Vec<(Request, Arc<Seen>)>,
    allocators: Vec<Allocator>,
    names: HashMap<u8, CString>,
}

fn out<T>(place: &mut T) -> Out<T> {
    let place: *mut T = place;
    // SAFETY: an `Out` is such a pointer.
    unsafe { transmute::<*mut T, Out<T>>(place) }
}

fn text(text: &CString) -> Text {
    // SAFETY: a `Text` is such a pointer.
    unsafe { transmute::<*const c_char, Text>(text.as_ptr()) }
}

/// The error's code; `None` for success. The host never panics.
fn code(returned: Returned) -> Option<Code> {
    let error = returned.into_result().err()?;
    assert!(!error.message().contains("panicked"), "{error}");
    Some(error.code())
}

impl Player {
    fn request(&self, slot: usize) -> (Request, Option<&Arc<Seen>>) {
        match slot {
            0 => (Ref::NULL, None),
            1 => (Ref::of(self.server.handle()), None),
            2 => (Ref::of(Handle::new(crate::border::Kind::InferenceRequest, 99, 0, 0)), None),
            slot => match self.requests.get(slot - 3) {
                Some((request, seen)) => (*request, Some(seen)),
                None => (Ref::NULL, None),
            },
        }
    }

    fn allocator(&self, slot: usize) -> Allocator {
        match slot {
            0 => Ref::NULL,
            slot => {
                self.allocators.get((slot - 1) % self.allocators.len().max(1)).copied().unwrap_or(Ref::NULL)
            }
        }
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::New(model) => {
                let (mut made, name) = (Ref::NULL, CString::new(double::MODELS[model]).unwrap());
                let failed = code(request::new(out(&mut made), self.server.as_ref(), text(&name), -1));
                assert_eq!(failed, (double::MODELS[model] == "unknown").then_some(Code::NotFound));
                if failed.is_none() {
                    self.requests.push((made, Arc::default()));
                }
            }
            Step::Delete(slot) => ignore(request::delete(self.request(slot).0)),
            Step::AddInput(slot, name, size) => {
                let name = text(&self.names[&name]);
                let shape = [size as i64];
                ignore(request::add_input(self.request(slot).0, name, 3, shape.as_ptr(), 1));
            }
            Step::Append(slot, name, size) => {
                let bytes = vec![7_u8; size].into_boxed_slice();
                let (request, seen) = self.request(slot);
                let name = text(&self.names[&name]);
                let start = bytes.as_ptr().cast();
                if code(request::append_input_data(request, name, start, size, 0, 0)).is_none() {
                    seen.unwrap().state.lock().lent.push(bytes);
                }
            }
            Step::Callbacks(slot, allocator, keeps) => {
                let (request, seen) = self.request(slot);
                let userp = seen.map_or(null_mut(), |seen| Arc::as_ptr(seen).cast_mut().cast::<c_void>());
                let allocator = self.allocator(allocator);
                let set = request::set_response_callback(request, allocator, userp, Some(responded), userp);
                if code(set).is_none() {
                    seen.unwrap().state.lock().keeps = keeps;
                }
                ignore(request::set_release_callback(request, Some(released), userp));
            }
            Step::Infer(slot) => self.infer(slot),
            Step::Cancel(slot) => ignore(request::cancel(self.request(slot).0)),
            Step::NewAllocator => {
                let mut made = Ref::NULL;
                assert_eq!(code(allocator::new(out(&mut made), Some(allocate), Some(give_back), None)), None);
                self.allocators.push(made);
            }
            Step::DeleteAllocator(slot) => ignore(allocator::delete(self.allocator(slot))),
            Step::DeleteResponse(slot) => self.with_response(slot, true),
            Step::ReadResponse(slot) => self.with_response(slot, false),
            Step::WaitForAll => self.wait(),
        }
    }

    fn infer(&self, slot: usize) {
        let (request, seen) = self.request(slot);
        let Some(seen) = seen else {
            assert!(code(server::infer_async(self.server.as_ref(), request, Ref::NULL)).is_some());
            return;
        };
        let mut told = seen.state.lock();
        let is_running = told.started > told.releases;
        told.started += 1;
        drop(told);
        let failed = code(server::infer_async(self.server.as_ref(), request, Ref::NULL)).is_some();
        let mut told = seen.state.lock();
        told.started -= usize::from(failed);
        assert!(failed || !is_running || told.releases > 0, "one that runs is not executed twice");
    }

    fn with_response(&self, slot: usize, deletes: bool) {
        let (_, seen) = self.request(slot);
        let kept = seen.and_then(|seen| seen.state.lock().kept.first().copied());
        let response = kept.unwrap_or(Ref::of(self.server.handle()));
        if deletes {
            ignore(response::delete(response));
            // A second time, it is stale.
            assert!(response.is_null() || code(response::delete(response)).is_some());
            if let Some(seen) = seen {
                seen.state.lock().kept.retain(|kept| *kept != response);
            }
        } else {
            let mut count = 0;
            ignore(response::output_count(response, out(&mut count)));
            ignore(response::error(response));
        }
    }

    /// Waits until all that was begun has ended, and frees what was lent.
    fn wait(&self) {
        for (_, seen) in &self.requests {
            let mut told = seen.state.lock();
            while told.releases < told.started {
                seen.changed.wait(&mut told);
            }
        }
    }

    fn end(self) {
        self.wait();
        for (request, seen) in &self.requests {
            let kept = std::mem::take(&mut seen.state.lock().kept);
            for response in kept {
                ignore(response::delete(response));
            }
            ignore(request::delete(*request));
            assert!(code(request::delete(*request)).is_some(), "it is gone");
            let told = seen.state.lock();
            assert_eq!((told.finals, told.allocated), (told.started, told.given_back), "{told:?}");
        }
        for allocator in &self.allocators {
            ignore(allocator::delete(*allocator));
        }
        self.server.end_calls("double", std::time::Duration::from_mins(1), true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_calls_is_safe(steps in proptest::collection::vec(step(), 0..60)) {
        let double: Arc<dyn InProcessServer> = Arc::new(Double);
        let handle = ServerHandle::new(Arc::downgrade(&double));
        let names = (0..3).map(|name| (name, CString::new(format!("input{name}")).unwrap())).collect();
        let server = own(ServerObject::new(handle, Caller::new("player", 1), Gpus::default())).unwrap();
        let mut player = Player { server, requests: Vec::new(), allocators: Vec::new(), names };
        player.act(&Step::NewAllocator);
        // A request that works, so that there is something to disturb.
        player.act(&Step::New(steps.len() % (double::MODELS.len() - 1)));
        for step in [Step::AddInput(3, 0, 4), Step::Append(3, 0, 4), Step::Callbacks(3, 1, false)] {
            player.act(&step);
        }
        for step in &steps {
            player.act(step);
        }
        player.end();
    }
}

/// An instance must not be finalized while a model that it called reads its memory, however long that takes.
#[test]
fn what_is_lent_is_waited_for_without_a_limit() {
    let double: Arc<dyn InProcessServer> = Arc::new(Double);
    let handle = ServerHandle::new(Arc::downgrade(&double));
    let names = HashMap::from([(0, CString::new("input0").unwrap())]);
    let server = own(ServerObject::new(handle, Caller::new("player", 1), Gpus::default())).unwrap();
    let mut player = Player { server, requests: Vec::new(), allocators: Vec::new(), names };
    let late = double::MODELS.iter().position(|model| *model == "late").unwrap();
    player.act(&Step::NewAllocator);
    player.act(&Step::New(late));
    for step in [Step::AddInput(3, 0, 4), Step::Append(3, 0, 4), Step::Callbacks(3, 1, false), Step::Infer(3)]
    {
        player.act(&step);
    }
    // The double reads the input some time after it has answered.
    player.server.end_calls("late", std::time::Duration::from_micros(1), true);
    let seen = Arc::clone(&player.requests[0].1);
    player.wait();
    assert_eq!(seen.state.lock().releases, 1);
}

fn named(name: &str) -> CString {
    CString::new(name).unwrap()
}

fn made(returned: Returned) {
    assert_eq!(code(returned), None);
}

fn refused(returned: Returned) {
    assert_eq!(code(returned), Some(Code::InvalidArg));
}

/// Calls with a server that the model 'player' sees, and a new request to 'inline'.
fn with_request(calls: impl FnOnce(Ref<ServerObject>, Request)) {
    let double: Arc<dyn InProcessServer> = Arc::new(Double);
    let handle = ServerHandle::new(Arc::downgrade(&double));
    let server = own(ServerObject::new(handle, Caller::new("player", 1), Gpus::default())).unwrap();
    let mut request = Ref::NULL;
    made(request::new(out(&mut request), server.as_ref(), text(&named("inline")), -1));
    calls(server.as_ref(), request);
    made(request::delete(request));
}

#[test]
fn whether_a_model_takes_batches_is_told_of_itself_before_clients_find_it() {
    with_request(|server, _| {
        let properties = |model: &str, version, flags: &mut u32| {
            let model = named(model);
            server::model_batch_properties(server, text(&model), version, out(flags), out(&mut null_mut()))
        };
        let mut flags = 0;
        made(properties("inline", -1, &mut flags));
        assert_eq!(flags, 1, "its config has no max_batch_size");
        assert_eq!(code(properties("unknown", -1, &mut flags)), Some(Code::NotFound));
        assert_eq!(code(properties("player", 1, &mut flags)), Some(Code::NotFound));
        server.get().unwrap().caller.set_batches(true);
        made(properties("player", 1, &mut flags));
        assert_eq!(flags, 2);
        assert_eq!(code(properties("player", 2, &mut flags)), Some(Code::NotFound), "another version");
        let mut is_live = false;
        made(server::is_live(server, out(&mut is_live)));
        assert!(is_live);
    });
}

#[test]
fn what_a_request_says_is_read_back() {
    use super::request::amendments as amend;
    with_request(|_, request| {
        made(request::set_flags(request, 3));
        made(request::set_correlation_id(request, 7));
        made(request::set_timeout_microseconds(request, 8));
        made(amend::set_priority_uint64(request, 1 << 40));
        let (mut number, mut short) = (0_u64, 0_u32);
        made(amend::flags(request, out(&mut short)));
        assert_eq!(short, 3);
        made(amend::correlation_id(request, out(&mut number)));
        assert_eq!(number, 7);
        made(amend::timeout_microseconds(request, out(&mut number)));
        assert_eq!(number, 8);
        made(amend::priority_uint64(request, out(&mut number)));
        assert_eq!(number, 1 << 40);
        refused(amend::priority(request, out(&mut short)));
        made(amend::set_priority(request, 2));
        made(amend::priority(request, out(&mut short)));
        assert_eq!(short, 2);
        let key = named("key");
        made(request::set_correlation_id_string(request, text(&key)));
        refused(amend::correlation_id(request, out(&mut number)));
        made(amend::set_double_parameter(request, text(&key), 0.5));
        let mut is_cancelled = true;
        made(amend::is_cancelled(request, out(&mut is_cancelled)));
        assert!(!is_cancelled);
        refused(amend::flags(Ref::NULL, out(&mut short)));
    });
}

#[test]
fn inputs_and_outputs_are_taken_back() {
    use super::request::amendments as amend;
    use crate::objects::buffer_attributes;
    with_request(|_, request| {
        let (input, output, policy) = (named("a"), named("x"), named("cpu"));
        let (shape, bytes) = ([4_i64], [7_u8; 4]);
        // UINT8 by its number.
        let add = || request::add_input(request, text(&input), 2, shape.as_ptr(), 1);
        made(add());
        refused(add());
        let mut attributes = Ref::NULL;
        made(buffer_attributes::new(out(&mut attributes)));
        made(buffer_attributes::set_byte_size(attributes, 4));
        let mut size = 0;
        made(buffer_attributes::byte_size(attributes, out(&mut size)));
        assert_eq!(size, 4);
        let base = || bytes.as_ptr().cast();
        let append =
            || amend::append_input_data_with_buffer_attributes(request, text(&input), base(), attributes);
        made(append());
        made(amend::remove_all_input_data(request, text(&input)));
        made(append());
        made(amend::remove_input(request, text(&input)));
        refused(append());
        refused(amend::remove_input(request, text(&input)));
        made(add());
        made(amend::remove_all_inputs(request));
        refused(amend::remove_all_inputs(Ref::NULL));
        made(add());
        let (size, host) = (bytes.len(), 0);
        made(amend::append_input_data_with_host_policy(
            request,
            text(&input),
            base(),
            size,
            host,
            0,
            text(&policy),
        ));
        made(request::add_requested_output(request, text(&output)));
        made(amend::remove_requested_output(request, text(&output)));
        made(request::add_requested_output(request, text(&output)));
        made(amend::remove_all_requested_outputs(request));
        made(buffer_attributes::delete(attributes));
        refused(append());
    });
}
