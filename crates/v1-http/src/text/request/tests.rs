use proptest::prelude::*;

use super::super::reflect::debug_text;
use super::*;

fn parse(text: &str) -> InferRequestHeader {
    parse_request(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn fault(text: &str) -> String {
    parse_request(text.as_bytes()).unwrap_err().to_string()
}

fn part(name: &str, offset: u64, byte_size: u64) -> InferSharedMemory {
    InferSharedMemory { name: name.to_owned(), offset, byte_size }
}

#[test]
fn what_the_client_writes() {
    let header = parse(
        r#"batch_size: 2 input { name: "INPUT0" dims: 16 } input { name: "INPUT1" dims: 16 } output { name: "OUTPUT0" cls { count: 2 } } output { name: "OUTPUT1" }"#,
    );
    assert_eq!((header.batch_size, header.input.len(), header.input[1].dims.as_slice()), (2, 2, &[16][..]));
    assert_eq!(header.output[0].cls, Some(Class { count: 2 }));
    assert_eq!(header.output[1], Output { name: "OUTPUT1".to_owned(), cls: None, shared_memory: None });
    let header = parse(
        r#"batch_size: 1 input { name: "I" shared_memory { name: "in" byte_size: 128 } } output { name: "O" shared_memory { name: "out" offset: 8 byte_size: 128 } } correlation_id: 1001 flags: 3 id: 9"#,
    );
    assert_eq!(header.input[0].shared_memory, Some(part("in", 0, 128)));
    assert_eq!(header.output[0].shared_memory, Some(part("out", 8, 128)));
    assert_eq!((header.correlation_id, header.flags, header.id), (1001, 3, 9));
}

#[test]
fn what_people_write() {
    let expected = parse(r#"batch_size: 1 input { name: "I" dims: 1 dims: 2 } output { name: "O" }"#);
    for text in [
        r#"output: <name: "O";>, input { dims: [1, 2], name: 'I' }; batch_size: 0x1"#,
        "# a comment\nbatch_size:01\ninput{name:\"\\111\"dims:[1,2]}\noutput{name:\"\\x4f\"}",
        r#"batch_size: 1 input: [{ name: "I" dims: 1 dims: [2] }] output [ < name: "" 'O' > ]"#,
        r#"batch_size: 1 input { dims: [] name: "I" dims: [1,2] } output: [{name:"\u004f"}]"#,
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
    assert_eq!(parse(""), InferRequestHeader::default());
    assert_eq!(parse("input { dims: -1 }").input[0].dims, [-1]);
    assert_eq!(parse(r#"input { name: "\303\251\n\t\"" }"#).input[0].name, "é\n\t\"");
    let of_20_03 = parse("priority: 2 timeout_microseconds: 1000");
    assert_eq!((of_20_03.priority, of_20_03.timeout_microseconds), (2, 1000));
}

#[test]
fn what_is_broken_is_refused() {
    for (text, expected) in [
        ("batch_size: x", "expected an integer"),
        ("batch_size 1", "expected ':'"),
        ("batch_size: 1 batch_size: 2", "expected this field once"),
        ("batch_size: -1", "integer out of range (-1)"),
        ("batch_size: 4294967296", "integer out of range"),
        ("id: 99999999999999999999999999999999999999999999", "expected an integer"),
        ("data_type: 1", "message type InferRequestHeader has no field named \"data_type\""),
        ("input { raw { } }", "message type Input has no field named \"raw\""),
        ("input { name: \"a }", "expected the end of a text in quotes"),
        ("input { name: \"a\n\" }", "expected a text in quotes to end on its line"),
        ("input { name: \"\\q\" }", "expected an escape"),
        ("input { name: \"\\377\" }", "expected a text in UTF-8"),
        ("input { name: \"\\ud800\" }", "expected the number of a character"),
        ("input { name: I }", "expected a text in quotes"),
        ("input { ", "expected '}'"),
        ("input < name: 'I' }", "expected the name of a field"),
        ("input: 1", "expected '{'"),
        ("input { dims: [1 2] }", "expected ',' or ']'"),
        ("}", "expected the name of a field"),
        ("flags: 08", "expected an integer"),
    ] {
        let got = fault(text);
        assert!(got.contains(expected), "{text}: {got}");
    }
}

fn header() -> impl Strategy<Value = InferRequestHeader> {
    let name = || any::<String>();
    let part =
        || {
            prop::option::of(
                (name(), any::<u64>(), any::<u64>())
                    .prop_map(|(name, offset, byte_size)| InferSharedMemory { name, offset, byte_size }),
            )
        };
    let dims = prop::collection::vec(any::<i64>(), 0..4);
    let input =
        (name(), dims, any::<u64>(), part()).prop_map(|(name, dims, batch_byte_size, shared_memory)| Input {
            name,
            dims,
            batch_byte_size,
            shared_memory,
        });
    let class = prop::option::of(any::<u32>().prop_map(|count| Class { count }));
    let output =
        (name(), class, part()).prop_map(|(name, cls, shared_memory)| Output { name, cls, shared_memory });
    let numbers = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<u64>());
    (numbers, prop::collection::vec(input, 0..3), prop::collection::vec(output, 0..3)).prop_map(
        |((id, flags, correlation_id, batch_size, priority, timeout_microseconds), input, output)| {
            InferRequestHeader {
                id,
                flags,
                correlation_id,
                batch_size,
                input,
                output,
                priority,
                timeout_microseconds,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(header in header()) {
        let text = debug_text("InferRequestHeader", &header);
        prop_assert_eq!(parse_request(text.as_bytes()), Ok(header.clone()));
        let line = text.replace('\n', " ");
        prop_assert_eq!(parse_request(line.as_bytes()), Ok(header));
    }

    #[test]
    fn any_bytes_are_a_header_or_a_fault(text in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(parse_request(&text));
    }

    #[test]
    fn broken_texts_are_a_header_or_a_fault(
        header in header(),
        broken in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut text = debug_text("InferRequestHeader", &header).into_bytes();
        text.push(b' ');
        for (at, byte) in broken {
            let at = at.index(text.len());
            text[at] = byte;
        }
        drop(parse_request(&text));
    }
}
