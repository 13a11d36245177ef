//! Any bytes are either a picture of the size that was allowed, or are refused. A decoder may panic; the step has to survive
//! that, and the target does not end there.
#![no_main]

use hippocamp_backend_vision::fuzzing::decode;
use libfuzzer_sys::fuzz_target;

const MAX_PIXELS: u64 = 1 << 16;

fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    if let Some((width, height)) = decode(bytes, MAX_PIXELS) {
        assert!(width > 0 && height > 0 && (width * height) as u64 <= MAX_PIXELS);
    }
});
