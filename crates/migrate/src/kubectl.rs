//! `kubectl run`, `kubectl create deployment` and `kubectl exec`.

use crate::docker::image_finding;
use crate::{Finding, Form, IMAGE, Order, Verdict, environment, program};

/// Reads what comes behind `kubectl`; `None` if that starts no container.
pub(crate) fn order(tool: &str, words: &[String]) -> Option<Result<Order, String>> {
    let verb = words.iter().take(64).position(|word| matches!(word.as_str(), "run" | "create" | "exec"))?;
    // Options may stand before it, and have values.
    if words[..verb].iter().any(|word| matches!(word.as_str(), "get" | "apply" | "delete" | "logs" | "--")) {
        return None;
    }
    Some(read(tool, words, verb))
}

fn read(tool: &str, words: &[String], verb: usize) -> Result<Order, String> {
    let name = words[verb].as_str();
    let Some(end) = words.iter().position(|word| word == "--") else {
        return Err(format!(
            "no command comes behind -- of {tool} {name}, and Triton's images start no server by themselves"
        ));
    };
    let (options, rest) = (&words[..end], &words[end + 1..]);
    let mut order = Order::new(format!("{tool} {name}"), Form::Plain);
    let mut kept = vec![tool.to_owned()];
    kept.extend(of_options(options, &mut order));
    order.flags = match rest.first() {
        Some(first) if first.starts_with("--") && name != "exec" => rest.to_vec(),
        _ => program::flags(rest, &mut order.around, None)?,
    };
    if name == "exec" {
        let why = "starts it in a pod that is there: what made the pod is to be migrated, and a pod of its own is printed";
        order.around.insert(0, Finding::new(Verdict::Unsupported, [tool, &options.join(" ")].join(" "), why));
        let image = format!("--image={IMAGE}");
        kept = [tool, "run", "hippocamp", &image, "--restart=Never"].map(str::to_owned).to_vec();
    }
    kept.push("--".to_owned());
    // What stands there takes the entry point's place.
    if name == "create" {
        kept.push("hippocamp".to_owned());
    }
    order.form = Form::Run { words: kept };
    Ok(order)
}

/// Says what becomes of each option, and returns what stays.
fn of_options(options: &[String], order: &mut Order) -> Vec<String> {
    let mut kept = Vec::new();
    let mut place = 0;
    while let Some(word) = options.get(place) {
        let (option, inside) =
            word.split_once('=').map_or((word.as_str(), None), |(option, value)| (option, Some(value)));
        let value =
            || inside.map(str::to_owned).or_else(|| options.get(place + 1).cloned()).unwrap_or_default();
        let length = if inside.is_some() { 1 } else { 2 };
        match option {
            "--image" => {
                order.around.push(image_finding(&value()));
                kept.push(format!("--image={IMAGE}"));
                place += length;
            }
            "--env" => {
                let value = value();
                let (name, text) =
                    value.split_once('=').map_or((value.as_str(), None), |(name, text)| (name, Some(text)));
                let finding = environment::finding(name, text);
                if finding.verdict != Verdict::Dropped {
                    kept.extend(options[place..].iter().take(length).cloned());
                }
                order.around.push(finding);
                place += length;
            }
            "--command" if inside.is_none_or(|value| value == "true") => {
                let why = "the image starts the server itself; its flags are args";
                order.around.push(Finding::new(Verdict::Dropped, word.as_str(), why));
                place += 1;
            }
            _ => {
                order.gpus |= word.contains("nvidia.com/");
                kept.push(word.clone());
                place += 1;
            }
        }
    }
    kept
}
