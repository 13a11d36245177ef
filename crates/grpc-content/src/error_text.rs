//! The text of an error, so short that every client gets it.

/// The longest text in bytes as it travels: in the header `grpc-message`, where bytes that are not plain ASCII take three
/// characters each.
///
/// gRPC's C core, which is the client of Python and C++, drops headers of more than 8 KiB, up to 16 KiB by chance, and the
/// code and the text of the error with them. nginx takes 4 KiB after HTTP/2's compression, which leaves some four fifths of
/// such a text.
const LONGEST: usize = 4096;

/// As much of a text as clients take in a status.
pub fn error_text(text: &str) -> String {
    let mut left = LONGEST;
    let is_too_much = |byte: u8| {
        let takes = if travels_as_it_is(byte) { 1 } else { 3 };
        let is_too_much = takes > left;
        left = left.saturating_sub(takes);
        is_too_much
    };
    match text.bytes().position(is_too_much) {
        None => text.to_owned(),
        Some(end) => format!("{}...", &text[..text.floor_char_boundary(end)]),
    }
}

/// Whether tonic writes a byte into the header without encoding it.
fn travels_as_it_is(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br##""#%<>?`{}"##.contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::Status;

    use super::*;

    /// How many bytes of the header a text takes.
    fn takes(text: &str) -> usize {
        let response = Status::internal(text).into_http::<()>();
        response.headers().get("grpc-message").map_or(0, tonic::codegen::http::HeaderValue::len)
    }

    #[test]
    fn a_long_text_is_cut_by_what_it_takes_in_the_header() {
        assert_eq!(error_text("short"), "short");
        assert_eq!(error_text(&"e".repeat(LONGEST)), "e".repeat(LONGEST));
        assert_eq!(error_text(&"e".repeat(LONGEST + 1)), "e".repeat(LONGEST) + "...");
        // Two bytes, and so six characters of the header.
        assert_eq!(error_text(&"ü".repeat(10_000)), "ü".repeat(LONGEST / 6) + "...");
        assert_eq!(error_text(&"\n".repeat(10_000)), "\n".repeat(LONGEST / 3) + "...");
    }

    proptest! {
        #[test]
        fn whatever_a_text_is_made_of(text in ".{0,300}", times in 1usize..8) {
            let text = text.repeat(times);
            let cut = error_text(&text);
            prop_assert!(takes(&cut) <= LONGEST + "...".len());
            prop_assert_eq!(cut == text, takes(&text) <= LONGEST);
            prop_assert!(cut == text || text.starts_with(cut.strip_suffix("...").unwrap()));
        }
    }
}
