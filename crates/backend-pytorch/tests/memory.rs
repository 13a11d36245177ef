//! The memory of tensors is that of this program, and a run that does not get any fails alone.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(unsafe_code, reason = "an allocator")]

mod kit;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hippocamp_backend::{Code, ModelInstance};
use kit::script::Script;
use kit::{Loaded, execute, input, load, only_output};

/// Counts the blocks of one size, and refuses them if it is told to.
struct Watching;

static SIZE: AtomicUsize = AtomicUsize::new(0);
static LEFT: AtomicUsize = AtomicUsize::new(usize::MAX);
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// The largest block that was asked for.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: what is not refused is passed on to the system's allocator.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        if layout.size() == SIZE.load(Ordering::Relaxed) {
            let left = LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if left.is_err() {
                return std::ptr::null_mut();
            }
            LIVE.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() == SIZE.load(Ordering::Relaxed) {
            LIVE.fetch_sub(1, Ordering::Relaxed);
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Bytes of the input, of which there is nothing else in this program.
const BYTES: usize = 1_234_560;
/// What the shim asks for: it puts the size before the elements.
const BLOCK: usize = BYTES + ALIGNMENT;
const ALIGNMENT: usize = 64;

/// Where PyTorch takes an input without a copy.
fn aligned() -> Bytes {
    let bytes = Bytes::from(vec![1; BYTES + 3 * ALIGNMENT]);
    let start = bytes.as_ptr().align_offset(ALIGNMENT);
    bytes.slice(start..start + BYTES)
}

fn loaded(script: &Script) -> Loaded {
    let tensor = |name| format!("{{ name: \"{name}\" data_type: TYPE_UINT8 dims: -1 }}");
    load(script, &format!("input {} output {}", tensor("x"), tensor("y"))).unwrap()
}

/// The answer to the same input when there is memory for that many blocks of its size.
fn run(loaded: &Loaded, instance: &mut dyn ModelInstance, left: usize) -> Result<Bytes, Code> {
    LEFT.store(left, Ordering::Relaxed);
    let answer = execute(instance, &loaded.interface, vec![input(&[BYTES as i64], aligned())]);
    LEFT.store(usize::MAX, Ordering::Relaxed);
    answer.map(|response| only_output(&response).1).map_err(|error| error.code())
}

#[test]
fn a_run_without_memory_fails_alone() {
    SIZE.store(BLOCK, Ordering::Relaxed);
    let keeper = Script::default().attribute("kept", "Optional[Tensor]", b"N").method(
        "forward",
        "x: Tensor -> Tensor",
        "self.kept = x\nreturn torch.add(x, 0)",
    );
    for (script, needed) in [
        // Its result is the input, which has to be given back: it is copied when the run has ended.
        (Script::new("x: Tensor -> Tensor", "return x"), 1),
        (Script::new("x: Tensor -> Tensor", "return torch.bitwise_not(torch.bitwise_not(x))"), 2),
        // Gets a copy before, as it keeps its input.
        (keeper, 2),
    ] {
        let loaded = loaded(&script);
        let mut instance = loaded.instance();
        for left in 0..needed {
            assert_eq!(run(&loaded, &mut *instance, left), Err(Code::Unavailable), "{needed}, {left}");
        }
        let answer = run(&loaded, &mut *instance, needed);
        assert!(answer == Ok(aligned()), "{needed}: {:?}", answer.err());
        drop((answer, instance, loaded));
        assert_eq!(LIVE.load(Ordering::Relaxed), 0, "all is given back");
    }
}

#[test]
fn a_number_of_a_request_takes_no_more_memory_than_there_is() {
    let sized = Script::new("x: Tensor -> Tensor", "return torch.zeros([int(x)], dtype=0)");
    let ports = "input { name: \"x\" data_type: TYPE_INT64 dims: 1 } output { name: \"y\" data_type: TYPE_UINT8 dims: -1 }";
    let loaded = load(&sized, ports).unwrap();
    let mut instance = loaded.instance();
    let mut of_size = |size: i64| {
        let x = input(&[1], Bytes::copy_from_slice(&size.to_le_bytes()));
        execute(&mut *instance, &loaded.interface, vec![x]).map(|response| only_output(&response).1.len())
    };
    let error = of_size(10_000_000_000_000).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.message().contains("can't allocate memory"), "{error}");
    // The allocator was not even asked.
    assert!(LARGEST.load(Ordering::Relaxed) < 1 << 40);
    assert_eq!(of_size(100_000_000).unwrap(), 100_000_000, "the model goes on");
}
