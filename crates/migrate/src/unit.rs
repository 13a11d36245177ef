//! A unit of systemd, a container of one by Podman, or a program of supervisord, that starts the server.

use crate::docker::{concerns, image_finding};
use crate::{Finding, Form, Order, Verdict, command, environment, is_image, program, shell};

/// Reads such a file; `None` if the text is none, or starts something else.
pub(crate) fn order(content: &str) -> Option<Result<Order, String>> {
    let sections = ["[Service]", "[program:"];
    if content.lines().any(|line| line.trim() == "[Container]") {
        return quadlet(content);
    }
    if !content.lines().any(|line| sections.iter().any(|section| line.trim().starts_with(section))) {
        return None;
    }
    let joined = content.replace("\\\n", " ");
    let lines = || {
        joined
            .lines()
            .filter_map(|line| line.trim().split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
    };
    let (key, value) = lines().find(|(key, _)| matches!(*key, "ExecStart" | "command"))?;
    // What stands before the program says how its failure counts.
    let words = shell::commands(value.trim_start_matches(['-', '@', ':', '+', '!'])).concat();
    Some(command(&words).map(|mut order| {
        order.place = format!("{key} of a unit");
        let environment = lines().filter(|(key, _)| matches!(*key, "Environment" | "environment"));
        for (_, value) in environment {
            for word in shell::commands(&value.replace(',', " ")).concat() {
                if let Some((name, value)) = word.split_once('=') {
                    order.around.push(environment::finding(name, Some(value)));
                }
            }
        }
        if matches!(order.form, Form::Plain) {
            let why = "deploy/systemd has a unit of Hippocamp";
            order.around.push(Finding::new(Verdict::Kept, "the rest of the unit", why));
            order.form = Form::Unit { key: key.to_owned() };
        }
        order
    }))
}

/// Reads the section of a container of Podman's units (`NAME.container`).
fn quadlet(content: &str) -> Option<Result<Order, String>> {
    let joined = content.replace("\\\n", " ");
    let lines = of_container(&joined);
    let last =
        |wanted: &str| lines.iter().rfind(|(key, ..)| *key == wanted).map_or("", |(_, value, _)| *value);
    let (image, exec) = (last("Image"), shell::commands(last("Exec")).concat());
    let words = [shell::commands(last("Entrypoint")).concat(), exec].concat();
    if !concerns(image, &words) {
        return None;
    }
    let mut order = Order::new("a container of Podman's units", Form::Plain);
    let mut kept = Vec::new();
    for (key, value, line) in &lines {
        let finding = match *key {
            "Exec" | "Entrypoint" => continue,
            "Image" => image_finding(value),
            "Environment" => {
                let pairs: Vec<String> = shell::commands(value).concat();
                let mut stay = Vec::new();
                for (name, value) in pairs.iter().filter_map(|pair| pair.split_once('=')) {
                    order.gpus |= environment::gives_gpus(name, value);
                    let finding = environment::finding(name, Some(value));
                    if finding.verdict != Verdict::Dropped {
                        stay.push(shell::quoted(&format!("{name}={value}")));
                    }
                    order.around.push(finding);
                }
                if !stay.is_empty() {
                    kept.push(format!("Environment={}", stay.join(" ")));
                }
                continue;
            }
            _ => option(key, value, line, &mut order.gpus),
        };
        if *key != "Image" && finding.verdict != Verdict::Dropped {
            kept.push((*line).to_owned());
        }
        order.around.push(finding);
    }
    let flags = match words.first() {
        None => {
            Err("its [Container] has no Exec, and Triton's images start no server by themselves".to_owned())
        }
        Some(first) if first.starts_with("--") && is_image(image) => Ok(words),
        Some(_) => program::flags(&words, &mut order.around, None),
    };
    Some(flags.map(|flags| {
        order.flags = flags;
        order.form = Form::Quadlet { lines: kept };
        order
    }))
}

/// The lines of the section of the container, with their keys and values.
fn of_container(text: &str) -> Vec<(&str, &str, &str)> {
    let mut section = "";
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[Container]"
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            lines.push((key.trim(), value.trim(), line));
        }
    }
    lines
}

/// What becomes of a line that is neither image, command nor environment.
fn option(key: &str, value: &str, line: &str, gpus: &mut bool) -> Finding {
    match key {
        "AddDevice" | "PodmanArgs" | "GlobalArgs" if value.contains("nvidia") || value.contains("--gpus") => {
            *gpus = true;
            Finding::new(Verdict::Kept, line, "the image is the one with CUDA")
        }
        "ShmSize" => Finding::new(
            Verdict::Different,
            line,
            "only for clients that use shared memory, which --allow-client-shm=true lets them, and for Python models",
        ),
        "Ulimit" | "AddCapability" => Finding::new(Verdict::Dropped, line, "the server needs no such rights"),
        "HealthCmd" => Finding::new(
            Verdict::Dropped,
            line,
            "the image has no shell and no curl: let what stands before it ask /v2/health/ready",
        ),
        "Volume" | "Mount" => {
            Finding::new(Verdict::Kept, line, "what the server reads has to be readable by user 65532")
        }
        _ => Finding::new(Verdict::Kept, line, ""),
    }
}
