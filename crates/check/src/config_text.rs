//! Writes the config.pbtxt of a model file, in the form that a person would write.

use hippocamp_model_config::{ModelConfig, to_text};

/// The model file's name that is assumed if the config does not name one.
const USUAL_FILE: &str = "model.onnx";

/// Returns the text of a config that was completed from the model file `origin`, and the config that this text parses
/// to: fields that have their default value are left out. Comments explain what may surprise a reader.
pub fn config_text(mut config: ModelConfig, origin: &str) -> (ModelConfig, String) {
    if config.default_model_filename == USUAL_FILE {
        config.default_model_filename.clear();
    }
    let mut head = format!("# Made from {}.\n", origin.replace(char::is_control, "?"));
    if config.max_batch_size == 0 {
        head.push_str(
            "# It has no max_batch_size: not every tensor of the model begins with a free dimension, so that requests\n\
             # cannot be put together, and dims are whole shapes.\n",
        );
    }
    let text = to_text(&config, |path| comment(&config, path));
    (config, head + &text)
}

fn comment(config: &ModelConfig, path: &str) -> Option<String> {
    let free = |dims: &[i64]| dims.contains(&-1).then(|| "-1: any size".to_owned());
    let index = |list: &str| path.strip_prefix(list)?.strip_suffix("].dims")?.parse::<usize>().ok();
    if let Some(index) = index("input[") {
        return free(&config.input.get(index)?.dims);
    }
    if let Some(index) = index("output[") {
        return free(&config.output.get(index)?.dims);
    }
    let text = match path {
        "max_batch_size" => {
            "The first dimension of every tensor is free in the model file: it is the batch, which dims leave out. Up to\n\
             this many requests are executed together."
        }
        "dynamic_batching" => {
            "Requests that wait are executed together. With max_queue_delay_microseconds they wait for others, too."
        }
        "default_model_filename" => "Not needed if the file is stored as 1/model.onnx.",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use hippocamp_model_config::parse;

    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let text = r#"backend: "onnxruntime" max_batch_size: 4 dynamic_batching { }
            input { name: "x" data_type: TYPE_FP32 dims: [3, -1] }
            output { name: "y" data_type: TYPE_INT64 dims: [2] }
            default_model_filename: "net.onnx""#;
        let written = parse(text, "text").unwrap().config;
        let (config, text) = config_text(written.clone(), "net.onnx\n");
        assert_eq!(config, written);
        assert_eq!(parse(&text, "text").unwrap().config, written);
        assert!(text.starts_with("# Made from net.onnx?.\n"), "{text}");
        assert!(text.contains("  # -1: any size\n  dims: [ 3, -1 ]\n"), "{text}");
        assert!(text.contains("# this many requests are executed together.\nmax_batch_size: 4\n"), "{text}");
    }

    #[test]
    fn leaves_out_what_goes_without_saying() {
        let config = ModelConfig { default_model_filename: USUAL_FILE.to_owned(), ..ModelConfig::default() };
        let (config, text) = config_text(config, "1/model.onnx");
        assert_eq!(config, ModelConfig::default());
        assert!(text.contains("It has no max_batch_size") && !text.contains("filename"), "{text}");
        assert_eq!(parse(&text, "text").unwrap().config, config);
    }
}
