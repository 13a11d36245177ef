//! The operations of a plan, on the host or on a GPU.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_void};
use std::sync::Mutex;

use hippocamp_tensorrt_sys::slots::output_allocator as slot;
use hippocamp_tensorrt_sys::{DataType, Dims};

use crate::context::Context;
use crate::cuda::Cuda;
use crate::late::Late;
use crate::plan::Operation;
use crate::role;

thread_local! {
    /// The runs that are recorded instead of executed, as of a simulated device that captures.
    static RECORDED: RefCell<Option<Vec<Context>>> = const { RefCell::new(None) };
}

/// What was recorded, for good.
static GRAPHS: Mutex<Vec<Vec<Context>>> = Mutex::new(Vec::new());

/// From now on, runs on this thread are recorded.
#[unsafe(no_mangle)]
pub extern "C" fn double_begin_capture() {
    RECORDED.set(Some(Vec::new()));
}

/// Ends the recording. Returns the number of what was recorded.
#[unsafe(no_mangle)]
pub extern "C" fn double_end_capture() -> usize {
    let Ok(mut graphs) = GRAPHS.lock() else { return usize::MAX };
    graphs.push(RECORDED.take().unwrap_or_default());
    graphs.len() - 1
}

/// Puts what was recorded onto a stream, with its shapes and addresses.
///
/// # Safety
/// As of a run: the stream is alive, and the addresses are valid until it is waited for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn double_launch(graph: usize, stream: *mut c_void) -> bool {
    let runs = GRAPHS.lock().ok().and_then(|graphs| graphs.get(graph).cloned()).unwrap_or_default();
    !runs.is_empty() && runs.iter().all(|context| run(context, stream).is_ok())
}

pub(crate) fn run(context: &Context, stream: *mut c_void) -> Result<(), String> {
    let is_recorded = RECORDED.with_borrow_mut(|recorded| {
        recorded.as_mut().map(|recorded| recorded.push(context.clone())).is_some()
    });
    if is_recorded {
        return Ok(());
    }
    for tensor in context.plan.tensors.iter().filter(|tensor| tensor.is_input) {
        let rows = context.shape(&tensor.name).and_then(|shape| shape.first().copied());
        if rows.is_some_and(|rows| !tensor.is_shape && context.plan.refused_rows.contains(&rows)) {
            return Err(format!("Cuda Runtime ({} rows are refused)", rows.unwrap_or_default()));
        }
    }
    if let Some(late) = Late::of(stream) {
        return context.plan.operations.iter().try_for_each(|operation| put(context, operation, late));
    }
    // A stream of a device that has none is null.
    let cuda = if stream.is_null() { None } else { Some(Cuda::get()?) };
    context.plan.operations.iter().try_for_each(|operation| step(context, operation, cuda, stream))
}

/// Puts an operation onto a simulated stream.
fn put(context: &Context, operation: &Operation, late: Late) -> Result<(), String> {
    let (context, operation) = (context.clone(), operation.clone());
    if let Operation::Late { from, to } = &operation {
        // The elements decide on the shape, which the library waits for.
        late.finish();
        let count = context.shape(from).ok_or("no shape")?.iter().product::<i64>() as usize;
        let address = *context.addresses.get(from).ok_or("no address")?;
        return told(&context, to, count, address, (Target::Late(late), std::ptr::null_mut()));
    }
    late.put(move || {
        if let Err(error) = step(&context, &operation, None, std::ptr::null_mut()) {
            context.log.error(&error);
        }
    });
    Ok(())
}

/// An element's size in bytes.
fn element(data_type: DataType) -> usize {
    match data_type {
        DataType::Float | DataType::Int32 => 4,
        DataType::Half | DataType::BFloat16 => 2,
        DataType::Int64 => 8,
        _ => 1,
    }
}

fn step(
    context: &Context,
    operation: &Operation,
    cuda: Option<&Cuda>,
    stream: *mut c_void,
) -> Result<(), String> {
    let address = |name: &str| context.addresses.get(name).copied().ok_or(format!("{name} has no address"));
    let data_type = |name: &str| context.plan.tensor(name).map(|tensor| tensor.data_type);
    let count = |name: &str| {
        let shape = context.shape(name).ok_or(format!("{name} has no shape"))?;
        Ok::<usize, String>(shape.iter().product::<i64>() as usize)
    };
    match operation {
        Operation::Affine { from, to, factor, offset } => {
            let (from, to, count, kind) = (address(from)?, address(to)?, count(from)?, data_type(to));
            match (cuda, kind) {
                (Some(cuda), Some(DataType::Float)) => {
                    cuda.affine(stream, true, [from, to], [factor.to_bits(), offset.to_bits()], count)
                }
                (Some(cuda), Some(DataType::Int32)) => {
                    let numbers = [*factor as i32 as u32, *offset as i32 as u32];
                    cuda.affine(stream, false, [from, to], numbers, count)
                }
                // SAFETY: the caller has set addresses of as many elements in host memory.
                (None, Some(DataType::Float)) => unsafe {
                    each(from, to, count, |x: f32| x * factor + offset);
                    Ok(())
                },
                // SAFETY: as above.
                (None, Some(DataType::Int32)) => unsafe {
                    let (factor, offset) = (*factor as i32, *offset as i32);
                    each(from, to, count, |x: i32| x.wrapping_mul(factor).wrapping_add(offset));
                    Ok(())
                },
                _ => Err("affine is of FLOAT and INT32".to_owned()),
            }
        }
        Operation::Copy { from, to } => {
            let size = count(from)? * element(data_type(from).ok_or("no such input")?);
            let (from, to) = (address(from)?, address(to)?);
            if let Some(cuda) = cuda {
                return cuda.copy(stream, from, to, size);
            }
            // SAFETY: as above.
            unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, size) };
            Ok(())
        }
        Operation::Values { from, to } => {
            let size = count(from)? * element(data_type(from).ok_or("no such input")?);
            // SAFETY: both are in host memory.
            unsafe {
                std::ptr::copy_nonoverlapping(address(from)? as *const u8, address(to)? as *mut u8, size);
            };
            Ok(())
        }
        Operation::Late { from, to } => {
            let target = cuda.map_or(Target::Host, Target::Cuda);
            told(context, to, count(from)?, address(from)?, (target, stream))
        }
    }
}

/// # Safety
/// Both are addresses of as many elements, maybe the same ones.
unsafe fn each<T: Copy>(from: u64, to: u64, count: usize, map: impl Fn(T) -> T) {
    for n in 0..count {
        // SAFETY: the caller's word.
        unsafe { (to as *mut T).add(n).write_unaligned(map((from as *const T).add(n).read_unaligned())) };
    }
}

type Allocate =
    unsafe extern "C" fn(*mut c_void, *const c_char, *mut c_void, u64, u64, *mut c_void) -> *mut c_void;
type Notify = unsafe extern "C" fn(*mut c_void, *const c_char, *const Dims);

/// How memory is reached.
#[derive(Clone, Copy)]
enum Target<'a> {
    Host,
    Cuda(&'a Cuda),
    /// As host memory, but written late.
    Late(Late),
}

/// The elements above 0 of a FLOAT, to memory that the caller's allocator gives.
fn told(
    context: &Context,
    to: &str,
    count: usize,
    address: u64,
    (target, stream): (Target<'_>, *mut c_void),
) -> Result<(), String> {
    let mut elements = vec![0_f32; count];
    match target {
        Target::Cuda(cuda) => cuda.read(stream, address, &mut elements)?,
        // SAFETY: the caller has set the address of as many elements in host memory.
        Target::Host | Target::Late(_) => unsafe {
            std::ptr::copy_nonoverlapping(address as *const u8, elements.as_mut_ptr().cast(), count * 4);
        },
    }
    elements.retain(|element| *element > 0.0);
    let this = *context.allocators.get(to).ok_or("no output allocator is set")? as *mut c_void;
    let name = CString::new(to).map_err(|e| e.to_string())?;
    let place = |slot: hippocamp_tensorrt_sys::slots::Slot| slot.place(role().layout).ok_or("no such method");
    let size = elements.len() * 4;
    // SAFETY: the caller's object has the methods at these places.
    unsafe {
        let table = *this.cast::<*const *const c_void>();
        let allocate: Allocate = std::mem::transmute(*table.add(place(slot::REALLOCATE_OUTPUT_ASYNC)?));
        let notify: Notify = std::mem::transmute(*table.add(place(slot::NOTIFY_SHAPE)?));
        let memory = allocate(this, name.as_ptr(), std::ptr::null_mut(), size.max(1) as u64, 256, stream);
        if memory.is_null() {
            return Err("the allocator has no memory".to_owned());
        }
        let count = elements.len();
        match target {
            Target::Cuda(cuda) => cuda.write(stream, memory as u64, &elements)?,
            Target::Late(late) => {
                let memory = memory as usize;
                late.put(move || {
                    std::ptr::copy_nonoverlapping(elements.as_ptr().cast(), memory as *mut u8, size);
                });
            }
            Target::Host => {
                std::ptr::copy_nonoverlapping(elements.as_ptr().cast(), memory.cast::<u8>(), size);
            }
        }
        let dims = Dims::new(&[count as i64]).ok_or("no shape")?;
        notify(this, name.as_ptr(), &raw const dims);
    }
    Ok(())
}
