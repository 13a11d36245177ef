//! The headers of responses, which are written without reflection: one of each with every request.

use hippocamp_proto::v1::infer_response_header::Output;
use hippocamp_proto::v1::{InferResponseHeader, RequestStatus, RequestStatusCode};

use super::number;
use super::writer::Writer;

/// The size in bytes above which classes are left out of a line: clients read them in the body.
const LONGEST_LINE: usize = 60 << 10;

/// A request's status, in one line.
pub(crate) fn status_line(status: &RequestStatus) -> String {
    let mut writer = Writer::line(96);
    let code = RequestStatusCode::try_from(status.code).unwrap_or_default();
    writer.word("code", code.as_str_name());
    if !status.msg.is_empty() {
        writer.string("msg", status.msg.as_bytes());
    }
    if !status.server_id.is_empty() {
        writer.string("server_id", status.server_id.as_bytes());
    }
    if status.request_id != 0 {
        writer.integer("request_id", status.request_id);
    }
    writer.into_text()
}

/// The header of a response, in one line.
pub(crate) fn response_line(header: &InferResponseHeader) -> String {
    let mut writer = Writer::line(192);
    write(&mut writer, header, LONGEST_LINE);
    writer.into_text()
}

/// The header of a response, with a line for each field.
pub(crate) fn response_text(header: &InferResponseHeader) -> String {
    let mut writer = Writer::lines();
    write(&mut writer, header, usize::MAX);
    writer.into_text()
}

fn write(writer: &mut Writer, header: &InferResponseHeader, longest: usize) {
    let InferResponseHeader { id, model_name, model_version, batch_size, output } = header;
    if !model_name.is_empty() {
        writer.string("model_name", model_name.as_bytes());
    }
    if *model_version != 0 {
        writer.integer("model_version", *model_version);
    }
    if *batch_size != 0 {
        writer.integer("batch_size", *batch_size);
    }
    for output in output {
        writer.open("output");
        write_output(writer, output, longest);
        writer.close();
    }
    if *id != 0 {
        writer.integer("id", *id);
    }
}

fn write_output(writer: &mut Writer, output: &Output, longest: usize) {
    if !output.name.is_empty() {
        writer.string("name", output.name.as_bytes());
    }
    if let Some(raw) = &output.raw {
        writer.open("raw");
        raw.dims.iter().for_each(|dim| writer.integer("dims", *dim));
        if raw.batch_byte_size != 0 {
            writer.integer("batch_byte_size", raw.batch_byte_size);
        }
        writer.close();
    }
    for entry in &output.batch_classes {
        if writer.len() > longest {
            return;
        }
        writer.open("batch_classes");
        for class in &entry.cls {
            // A byte of a label takes up to four.
            if writer.len() + 4 * class.label.len() > longest {
                break;
            }
            writer.open("cls");
            if class.idx != 0 {
                writer.integer("idx", class.idx);
            }
            if class.value.to_bits() != 0 {
                writer.word("value", &number::float(class.value));
            }
            if !class.label.is_empty() {
                writer.string("label", class.label.as_bytes());
            }
            writer.close();
        }
        writer.close();
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_proto::v1::infer_response_header::output::{Class, Classes, Raw};

    use super::super::reflect;
    use super::*;

    fn header() -> InferResponseHeader {
        let class = |idx, value, label: &str| Class { idx, value, label: label.to_owned() };
        InferResponseHeader {
            id: 7,
            model_name: "simple".to_owned(),
            model_version: 1,
            batch_size: 2,
            output: vec![
                Output {
                    name: "OUTPUT0".to_owned(),
                    raw: Some(Raw { dims: vec![16], batch_byte_size: 128 }),
                    batch_classes: Vec::new(),
                },
                Output {
                    name: "OUTPUT1".to_owned(),
                    raw: None,
                    batch_classes: vec![Classes { cls: vec![class(0, 0.0, ""), class(3, 1.5, "a \"b\"")] }],
                },
            ],
        }
    }

    #[test]
    fn the_line_is_what_clients_know() {
        assert_eq!(
            response_line(&header()),
            r#"model_name: "simple" model_version: 1 batch_size: 2 output { name: "OUTPUT0" raw { dims: 16 batch_byte_size: 128 } } output { name: "OUTPUT1" batch_classes { cls { } cls { idx: 3 value: 1.5 label: "a \"b\"" } } } id: 7"#
        );
    }

    #[test]
    fn a_status_is_what_clients_know() {
        let mut status = RequestStatus {
            code: RequestStatusCode::Success.into(),
            msg: String::new(),
            server_id: "inference:0".to_owned(),
            request_id: 17,
        };
        assert_eq!(status_line(&status), r#"code: SUCCESS server_id: "inference:0" request_id: 17"#);
        status.code = RequestStatusCode::InvalidArg.into();
        status.msg = "no status available for unknown model 'nope'".to_owned();
        assert_eq!(
            status_line(&status),
            r#"code: INVALID_ARG msg: "no status available for unknown model \'nope\'" server_id: "inference:0" request_id: 17"#
        );
    }

    #[test]
    fn reflection_writes_the_same() {
        assert_eq!(response_text(&header()), reflect::debug_text("InferResponseHeader", &header()));
    }

    #[test]
    fn classes_are_left_out_of_a_long_line() {
        let entry = header().output.remove(1).batch_classes.remove(0);
        let class = entry.cls[1].clone();
        let many_of_an_entry = vec![Classes { cls: vec![class.clone(); 10_000] }];
        let long_label = vec![Classes { cls: vec![Class { label: "ü".repeat(100_000), ..class }] }];
        for classes in [vec![entry; 10_000], many_of_an_entry, long_label] {
            let mut header = header();
            header.output[1].batch_classes = classes;
            let line = response_line(&header);
            assert!(line.len() < LONGEST_LINE + 200 && line.ends_with("} id: 7"), "{}", line.len());
            assert!(response_text(&header).len() > LONGEST_LINE);
        }
    }
}
