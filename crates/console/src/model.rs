//! All of one model but its traffic: config, interface, faults, steps.

use hippocamp_access::Grant;
use hippocamp_backend::{Error, Result};
use hippocamp_core::{LoadedModel, Severity, WrittenConfig};
use hippocamp_http_content::json::JsonWriter;
use hippocamp_model_config::{TensorSpec, to_json};

use crate::{Console, steps};

/// # Errors
/// There is no such model.
pub(crate) fn written(console: &Console, grant: &Grant, name: &str) -> Result<Vec<u8>> {
    let served = console.server.ready_versions(name);
    let config = console.server.written_config(name);
    if served.is_empty() && config.is_none() && !console.server.model_states().contains_key(name) {
        return Err(Error::not_found(format!("there is no model '{name}'")));
    }
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("name");
    writer.string(name.as_bytes());
    if let Some(config) = &config {
        text(&mut writer, config);
    }
    if let Some(model) = served.last() {
        loaded(&mut writer, model);
        steps::write(&mut writer, console, grant, model);
    }
    writer.close_object();
    Ok(writer.into_bytes())
}

/// The config as its author wrote it, and what is wrong with it.
fn text(writer: &mut JsonWriter, config: &WrittenConfig) {
    writer.name("written");
    writer.open_object();
    writer.name("path");
    writer.string(config.path.to_string_lossy().as_bytes());
    if let Some(text) = &config.text {
        writer.name("text");
        writer.string(text.as_bytes());
    }
    writer.name("findings");
    writer.open_array();
    for (finding, hint) in &config.findings {
        writer.open_object();
        writer.name("error");
        writer.boolean(finding.severity == Severity::Error);
        writer.name("line");
        writer.integer(finding.line);
        writer.name("column");
        writer.integer(finding.column);
        writer.name("field");
        writer.string(finding.field.as_bytes());
        writer.name("message");
        writer.string(finding.message.as_bytes());
        if let Some(hint) = hint {
            writer.name("hint");
            writer.string(hint.as_bytes());
        }
        writer.close_object();
    }
    writer.close_array();
    writer.close_object();
}

/// What the newest version that serves is.
fn loaded(writer: &mut JsonWriter, model: &LoadedModel) {
    writer.name("version");
    writer.integer(model.version);
    writer.name("config");
    writer.json(to_json(&model.config).as_bytes());
    let interface = &model.interface;
    writer.name("decoupled");
    writer.boolean(interface.decoupled);
    writer.name("sequences");
    writer.boolean(!model.sequences.is_empty());
    for (name, specs) in [("inputs", &interface.inputs), ("outputs", &interface.outputs)] {
        writer.name(name);
        writer.open_array();
        for spec in specs {
            tensor(writer, spec, model);
        }
        writer.close_array();
    }
}

/// A tensor as clients see it.
fn tensor(writer: &mut JsonWriter, spec: &TensorSpec, model: &LoadedModel) {
    let is_batched = model.interface.max_batch_size > 0 && !spec.is_shape_tensor;
    let shape = if is_batched { spec.dims.with_batch(-1) } else { spec.dims.clone() };
    writer.open_object();
    writer.name("name");
    writer.string(spec.name.as_bytes());
    writer.name("datatype");
    writer.string(spec.data_type.protocol_name().as_bytes());
    writer.name("shape");
    writer.shape(&shape);
    writer.name("batched");
    writer.boolean(is_batched);
    writer.name("optional");
    writer.boolean(spec.optional);
    writer.name("labels");
    writer.boolean(model.labels.contains_key(&spec.name));
    writer.close_object();
}
