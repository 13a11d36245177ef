//! Explains the engine's errors about models that are too new for it.

use crate::model_file::ModelFile;

/// An explanation of this error of the engine; `None` if it is not about versions.
pub(crate) fn explain(engine: &str, library: &str, file: &ModelFile) -> Option<String> {
    let (what, most) = if let Some((_, most)) = engine.split_once("max supported IR version: ") {
        (format!("IR version {}", file.ir_version), format!("IR version {}", first_number(most)?))
    } else {
        let got = first_number(engine.split_once(" Opset ")?.1)?;
        let (domain, most) =
            engine.split_once("official support for domain ")?.1.split_once(" is till opset ")?;
        (
            format!("version {got} of the operators {domain}"),
            format!("version {} of them", first_number(most)?),
        )
    };
    let (name, version) = &file.producer;
    let writer = match (name.as_str(), version.as_str()) {
        ("", _) => "the file does not say what wrote it".to_owned(),
        (name, "") => format!("it was written by {name}"),
        (name, version) => format!("it was written by {name} {version}"),
    };
    let since = since(file.ir_version)
        .map_or(String::new(), |since| format!(", IR {} came with {since}", file.ir_version));
    Some(format!(
        "it has {what}, ONNX Runtime {library} takes {most} at most ({writer}{since}); export it for an older version, or use \
         a newer library"
    ))
}

/// The first version of the package `onnx` that writes an IR version; only of those that may be too new.
fn since(ir_version: u64) -> Option<&'static str> {
    match ir_version {
        12 => Some("onnx 1.19"),
        13 => Some("onnx 1.20"),
        14 => Some("onnx 1.23"),
        _ => None,
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(engine: &str, producer: (&str, &str)) -> Option<String> {
        let producer = (producer.0.to_owned(), producer.1.to_owned());
        explain(engine, "1.31.1", &ModelFile { ir_version: 14, producer, ..ModelFile::default() })
    }

    #[test]
    fn the_ceiling_is_told_with_who_is_above_it() {
        assert_eq!(
            explained(
                "model.cc:256 Unsupported model IR version: 14, max supported IR version: 13\n",
                ("pytorch", "2.15")
            )
            .unwrap(),
            "it has IR version 14, ONNX Runtime 1.31.1 takes IR version 13 at most (it was written by pytorch 2.15, IR 14 came \
             with onnx 1.23); export it for an older version, or use a newer library"
        );
        let opset = "ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. \
                     Opset 28 is under development and support for this is limited. Current official support for domain \
                     ai.onnx is till opset 26.";
        let text = explained(opset, ("", "")).unwrap();
        assert!(
            text.starts_with(
                "it has version 28 of the operators ai.onnx, ONNX Runtime 1.31.1 takes version 26 of them at most (the file does \
                 not say what wrote it"
            ),
            "{text}"
        );
    }

    #[test]
    fn other_errors_are_left_alone() {
        for other in ["", "Protobuf parsing failed.", " Opset ", "max supported IR version: x", " Opset 3 is"]
        {
            assert_eq!(explained(other, ("", "")), None, "{other}");
        }
    }
}
