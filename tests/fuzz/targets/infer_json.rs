//! Any body of an HTTP inference request is either a request or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = hippocamp_http::json::parse_infer(body, 64 << 20);
});
