//! Any content of a BYTES tensor is walked to its end, and what was read is what was there.
#![no_main]

use hippocamp_tensor::{BytesElements, count_elements, push_element};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let elements: Result<Vec<&[u8]>, _> = BytesElements::new(content).collect();
    assert_eq!(elements.as_ref().map(Vec::len).map_err(|f| *f), count_elements(content));
    if let Ok(elements) = elements {
        let mut again = Vec::new();
        for element in elements {
            push_element(&mut again, element);
        }
        assert_eq!(again, content);
    }
});
