//! `apptainer exec` and `singularity exec`.

use crate::{Finding, Form, IMAGE_FILE, Order, Verdict, environment, program};

/// Options that take a value; all others take none.
const VALUES: [&str; 30] = [
    "-B",
    "--bind",
    "--env",
    "--env-file",
    "-H",
    "--home",
    "-W",
    "--workdir",
    "-S",
    "--scratch",
    "--pwd",
    "--cwd",
    "--app",
    "-o",
    "--overlay",
    "--mount",
    "--network",
    "--network-args",
    "--hostname",
    "--security",
    "--add-caps",
    "--drop-caps",
    "--fusemount",
    "--apply-cgroups",
    "--cpus",
    "--cpuset-cpus",
    "--memory",
    "--dns",
    "--pid-file",
    "--shares",
];

/// Reads what comes behind the tool; `None` if that starts nothing.
pub(crate) fn order(tool: &str, words: &[String]) -> Option<Result<Order, String>> {
    let verb = words.iter().take(64).position(|word| matches!(word.as_str(), "exec" | "run"))?;
    words[..verb].iter().all(|word| word.starts_with('-')).then(|| read(tool, words, verb))
}

fn read(tool: &str, words: &[String], verb: usize) -> Result<Order, String> {
    let mut order = Order::new(format!("{tool} {}", words[verb]), Form::Plain);
    let mut kept = vec![tool.to_owned()];
    kept.extend(words[..verb].iter().cloned());
    kept.push("run".to_owned());
    let mut place = verb + 1;
    while let Some(word) = words.get(place).filter(|word| word.starts_with('-')) {
        let (option, inside) =
            word.split_once('=').map_or((word.as_str(), None), |(option, value)| (option, Some(value)));
        let length = if inside.is_none() && VALUES.contains(&option) { 2 } else { 1 };
        let given =
            words.get(place..place + length).ok_or_else(|| format!("{word} of {tool} lacks its value"))?;
        place += length;
        let finding = match option {
            "--nv" | "--nvccli" => {
                order.gpus = true;
                Finding::new(Verdict::Kept, word.as_str(), "the image is the one with CUDA")
            }
            "--env" => {
                let value = inside.or(given.get(1).map(String::as_str)).unwrap_or_default();
                let (name, value) =
                    value.split_once('=').map_or((value, None), |(name, value)| (name, Some(value)));
                environment::finding(name, value)
            }
            _ => Finding::new(Verdict::Kept, given.join(" "), ""),
        };
        if finding.verdict != Verdict::Dropped {
            kept.extend(given.iter().cloned());
        }
        order.around.push(finding);
    }
    let image = words.get(place).ok_or_else(|| format!("no image is named behind the options of {tool}"))?;
    let why = format!(
        "{tool} build FILE.sif docker-daemon://hippocamp:VERSION makes the one that takes its place of the image"
    );
    order.around.push(Finding::new(Verdict::Different, image.as_str(), why));
    order.flags = program::flags(&words[place + 1..], &mut order.around, None)?;
    kept.push(IMAGE_FILE.to_string());
    order.form = Form::Run { words: kept };
    Ok(order)
}
