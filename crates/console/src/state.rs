//! What there is now: the server, and every model that the client may see.

use std::collections::BTreeMap;
use std::thread;

use hippocamp_access::{Grant, Right};
use hippocamp_core::{ControlMode, IndexEntry, LoadedModel, State};
use hippocamp_http_content::json::JsonWriter;

use crate::history::Sample;
use crate::{Console, INTERVAL};

pub(crate) fn written(console: &Console, grant: &Grant) -> Vec<u8> {
    let mut writer = JsonWriter::default();
    writer.open_object();
    server(&mut writer, console);
    let next = {
        let history = console.history.lock();
        if let Some(sample) = history.since(0).next_back() {
            writer.name("now");
            now(&mut writer, sample);
        }
        history.next()
    };
    writer.name("next");
    writer.integer(next);
    writer.name("models");
    writer.open_array();
    let mut models: BTreeMap<String, Vec<IndexEntry>> = BTreeMap::new();
    for entry in console.server.index(false) {
        if grant.covers(&entry.name) {
            models.entry(entry.name.clone()).or_default().push(entry);
        }
    }
    let mut faults = console.faults.lock();
    faults.keep(|name| models.contains_key(name));
    for (name, entries) in &models {
        let is_known = entries.iter().any(|entry| entry.version.is_some() || entry.unavailable.is_some());
        let fault = if is_known { None } else { faults.of(&console.server, name) };
        model(&mut writer, console, grant, (name, entries), fault.as_deref());
    }
    writer.close_array();
    writer.close_object();
    writer.into_bytes()
}

fn server(writer: &mut JsonWriter, console: &Console) {
    let (server, metadata) = (&console.server, console.server.metadata());
    let settings = server.settings();
    let mode = match settings.control_mode {
        ControlMode::None => "none",
        ControlMode::Poll => "poll",
        ControlMode::Explicit => "explicit",
    };
    writer.name("server");
    writer.open_object();
    for (name, text) in [("name", metadata.name.as_str()), ("version", metadata.version), ("mode", mode)] {
        writer.name(name);
        writer.string(text.as_bytes());
    }
    for (name, is_so) in [
        ("ready", server.is_ready()),
        ("live", server.is_live()),
        ("lazy", settings.lazy_load),
        ("acts", console.acts),
    ] {
        writer.name(name);
        writer.boolean(is_so);
    }
    writer.name("uptime");
    writer.integer(console.began.elapsed().as_secs());
    writer.name("interval");
    writer.integer(INTERVAL.as_secs());
    writer.name("processors");
    writer.integer(thread::available_parallelism().map_or(1, usize::from));
    writer.name("gpus");
    writer.open_array();
    for gpu in settings.devices.gpus() {
        writer.open_object();
        writer.name("id");
        writer.integer(gpu.id);
        writer.name("name");
        writer.string(gpu.name.as_bytes());
        writer.close_object();
    }
    writer.close_array();
    writer.close_object();
}

fn now(writer: &mut JsonWriter, sample: &Sample) {
    writer.open_object();
    writer.name("memory_total");
    writer.integer(sample.host.memory_total);
    writer.name("gpu_memory_total");
    writer.open_array();
    for gpu in &sample.gpus {
        writer.integer(gpu.memory_total);
    }
    writer.close_array();
    writer.close_object();
}

fn model(
    writer: &mut JsonWriter,
    console: &Console,
    grant: &Grant,
    (name, entries): (&str, &[IndexEntry]),
    fault: Option<&str>,
) {
    let served = console.server.ready_versions(name);
    writer.open_object();
    writer.name("name");
    writer.string(name.as_bytes());
    if let Some(model) = served.last() {
        kind(writer, model);
    }
    writer.name("infers");
    writer.boolean(console.acts && grant.asking(Right::Infer).covers(name));
    let explicit = console.server.settings().control_mode == ControlMode::Explicit;
    writer.name("controls");
    writer.boolean(console.acts && explicit && grant.asking(Right::Admin).covers(name));
    writer.name("versions");
    writer.open_array();
    if let Some(fault) = fault {
        // It is no version's.
        version(writer, 0, State::Unavailable, fault);
    }
    for entry in entries {
        let (number, state, reason) = match (&entry.version, entry.unavailable) {
            (Some((number, state)), _) => (*number, state.state, state.reason.as_str()),
            (None, Some(reason)) => (0, State::Unavailable, reason),
            (None, None) => continue,
        };
        version(writer, number, state, reason);
    }
    writer.close_array();
    writer.close_object();
}

fn version(writer: &mut JsonWriter, number: u64, state: State, reason: &str) {
    writer.open_object();
    writer.name("version");
    writer.integer(number);
    writer.name("state");
    writer.string(state.name().as_bytes());
    writer.name("reason");
    writer.string(reason.as_bytes());
    writer.close_object();
}

fn kind(writer: &mut JsonWriter, model: &LoadedModel) {
    let config = &model.config;
    let platform = if config.platform.is_empty() { &config.backend } else { &config.platform };
    writer.name("platform");
    writer.string(platform.as_bytes());
    let instances: i32 = config
        .instance_group
        .iter()
        .filter(|group| !group.passive)
        .map(|group| group.count.max(1) * (group.gpus.len() as i32).max(1))
        .sum();
    writer.name("instances");
    writer.integer(instances);
    writer.name("max_batch_size");
    writer.integer(config.max_batch_size);
    writer.name("pending");
    writer.integer(model.pending());
}
