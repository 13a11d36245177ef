//! Inputs and outputs on GPUs, whose memory is the host's here.

use hippocamp_device::Devices;
use hippocamp_device::testing::TestDriver;

use super::*;

/// The number of a kind of memory, and of a device.
type Memory = (u32, i64);

const CPU: Memory = (0, 0);
const GPU: Memory = (2, 0);
/// There is none.
const NONE: Memory = (2, 7);

extern "C" fn allocate_on_gpu(
    allocator: Allocator,
    name: *const c_char,
    size: usize,
    kind: u32,
    id: i64,
    seen: *mut c_void,
    buffer: *mut *mut c_void,
    userp: *mut *mut c_void,
    actual_kind: *mut u32,
    actual_id: *mut i64,
) -> Returned {
    assert_eq!((kind, id), (0, 0), "the host's memory is liked best");
    // SAFETY: these are the host's places for results. A simulated device's memory is host memory.
    unsafe {
        *actual_kind = 2;
        *actual_id = 1;
    }
    allocate(allocator, name, size, kind, id, seen, buffer, userp, actual_kind, actual_id)
}

/// Where the only output of a response is, and its bytes or the response's error.
fn only_output(response: Response) -> Result<(u32, i64, Vec<u8>), String> {
    if let Err(error) = response::error(response).into_result() {
        return Err(error.message().to_owned());
    }
    let (mut name, mut userp) = (std::ptr::null(), null_mut());
    let (mut data_type, mut dims, mut size, mut kind, mut id) = (0, 0, 0, 0, 0);
    let (mut shape, mut base) = (std::ptr::null(), std::ptr::null());
    made(response::output(
        response,
        0,
        out(&mut name),
        out(&mut data_type),
        out(&mut shape),
        out(&mut dims),
        out(&mut base),
        out(&mut size),
        out(&mut kind),
        out(&mut id),
        out(&mut userp),
    ));
    // SAFETY: so many bytes were allocated and written.
    let bytes = unsafe { std::slice::from_raw_parts(base.cast::<u8>(), size) };
    Ok((kind, id, bytes.to_vec()))
}

#[test]
fn inputs_and_outputs_may_be_on_gpus() {
    let double: Arc<dyn InProcessServer> = Arc::new(Double);
    let handle = ServerHandle::new(Arc::downgrade(&double));
    let gpus = Gpus::new(Devices::of(TestDriver::new(2, 1 << 20)));
    let names = HashMap::from([(0, CString::new("input0").unwrap())]);
    let server = own(ServerObject::new(handle, Caller::new("player", 1), gpus)).unwrap();
    let mut player = Player { server, requests: Vec::new(), allocators: Vec::new(), names };
    let mut on_gpu = Ref::NULL;
    made(allocator::new(out(&mut on_gpu), Some(allocate_on_gpu), Some(give_back), None));
    player.act(&Step::NewAllocator);
    player.allocators.push(on_gpu);
    let table: [(&[Memory], usize, Result<Memory, &str>); 6] = [
        (&[CPU], 2, Ok((2, 1))),
        (&[GPU], 1, Ok(CPU)),
        (&[GPU], 2, Ok((2, 1))),
        (&[CPU, GPU, CPU], 1, Ok(CPU)),
        (
            &[NONE],
            1,
            Err(
                "input 'input0': memory of GPU 7 cannot be reached, expected host memory or a GPU of this server (0, 1)",
            ),
        ),
        (
            &[(2, i64::MAX)],
            1,
            Err(
                "TRITONSERVER_InferenceRequestAppendInputData: 'memory_type_id' is 9223372036854775807, expected the number of a GPU",
            ),
        ),
    ];
    for (segments, allocator, expected) in table {
        player.act(&Step::New(0));
        let slot = player.requests.len() + 2;
        let (request, seen) = player.requests[slot - 3].clone();
        let name = text(&player.names[&0]);
        made(request::add_input(request, name, 2, [4 * segments.len() as i64].as_ptr(), 1));
        let lent: Vec<Box<[u8]>> = segments.iter().map(|_| vec![7; 4].into()).collect();
        let appended = segments.iter().zip(&lent).try_for_each(|((kind, id), bytes)| {
            let name = text(&player.names[&0]);
            request::append_input_data(request, name, bytes.as_ptr().cast(), bytes.len(), *kind, *id)
                .into_result()
        });
        player.act(&Step::Callbacks(slot, allocator, true));
        seen.state.lock().started += 1;
        let begun = appended
            .and_then(|()| server::infer_async(player.server.as_ref(), request, Ref::NULL).into_result());
        if let Err(error) = begun {
            seen.state.lock().started -= 1;
            assert_eq!(Err(error.message()), expected);
            continue;
        }
        player.wait();
        let response = seen.state.lock().kept[0];
        let (kind, id, bytes) = only_output(response).unwrap();
        assert_eq!((Ok((kind, id)), bytes), (expected, vec![7; 4 * segments.len()]));
    }
    player.end();
}
