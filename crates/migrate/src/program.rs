//! Finds the server's flags in the program of a container.

use crate::{Finding, Verdict, environment, is_server, shell};

/// The flags of the server that these words start, directly or by a shell. What else they start is told in `around`. What stays in
/// front of the new command goes to `front`; where nothing can stand in front of it, as in a container, it has to come otherwise.
pub(crate) fn flags(
    words: &[String],
    around: &mut Vec<Finding>,
    mut front: Option<&mut Vec<String>>,
) -> Result<Vec<String>, String> {
    let mut rest = words;
    while let [first, others @ ..] = rest {
        let name = first.rsplit('/').next().unwrap_or(first);
        if is_server(first) {
            return Ok(others.to_vec());
        }
        if let Some((variable, value)) = first.split_once('=').filter(|(name, _)| is_variable(name)) {
            let mut finding = environment::finding(variable, value);
            let stays = !matches!(finding.verdict, Verdict::Dropped | Verdict::Unsupported);
            match &mut front {
                Some(front) if stays => front.push(first.clone()),
                None if stays => {
                    finding.verdict = Verdict::Different;
                    "a variable of the container".clone_into(&mut finding.why);
                }
                _ => {}
            }
            around.push(finding);
        } else if matches!(name, "sh" | "bash" | "dash") {
            return script(others, around, front);
        } else if matches!(
            name,
            "exec" | "env" | "nohup" | "--" | "tini" | "dumb-init" | "nvidia_entrypoint.sh"
        ) {
            // They start what comes behind, and the server needs none of them.
        } else if matches!(name, "numactl" | "taskset" | "nice" | "ionice" | "stdbuf" | "time" | "timeout") {
            let skipped: Vec<&String> = rest.iter().take_while(|word| !is_server(word)).collect();
            let text = skipped.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" ");
            around.push(match &mut front {
                Some(front) => {
                    front.extend(skipped.iter().map(|word| (*word).clone()));
                    Finding::new(Verdict::Kept, text, "of cores, the server counts those it may use")
                }
                None => Finding::new(
                    Verdict::Different,
                    text,
                    "the image has no such program: limits of the container do it, and of cores the server counts those it may use",
                ),
            });
            rest = &rest[skipped.len()..];
            continue;
        } else {
            break;
        }
        rest = others;
    }
    Err(format!(
        "'{}' is no tritonserver: give the command line that is executed in the end, behind docker run's options or alone",
        words.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(" ")
    ))
}

/// The flags in the text of `sh -c TEXT`.
fn script(
    arguments: &[String],
    around: &mut Vec<Finding>,
    mut front: Option<&mut Vec<String>>,
) -> Result<Vec<String>, String> {
    let text = arguments.iter().find(|word| !word.starts_with('-'));
    let by_text = arguments.first().is_some_and(|word| word.starts_with('-') && word.contains('c'));
    let (Some(text), true) = (text, by_text) else {
        return Err(format!(
            "a shell runs the script '{}', which is not here to be read",
            arguments.join(" ")
        ));
    };
    let mut found = None;
    // The inner shell expands what the outer one was kept from.
    for words in shell::commands(&shell::plain(text)) {
        let mut told = Vec::new();
        let mut before = Vec::new();
        match flags(&words, &mut told, front.is_some().then_some(&mut before)) {
            Ok(flags) if found.is_none() => {
                around.append(&mut told);
                if let Some(front) = &mut front {
                    front.append(&mut before);
                }
                found = Some(flags);
            }
            _ => around.push(beside(&words)),
        }
    }
    for flag in found.iter().flatten().filter(|flag| flag.contains(['$', '`'])) {
        let why = "the shell expanded it, and the image has none: write the value, or in Kubernetes $(NAME)";
        around.push(Finding::new(Verdict::Different, flag.as_str(), why));
    }
    found.ok_or_else(|| format!("no command of '{text}' is a tritonserver"))
}

/// A command that runs before or beside the server.
fn beside(words: &[String]) -> Finding {
    let text = words.join(" ");
    match words.first().map(String::as_str) {
        Some("export") => {
            Finding::new(Verdict::Different, text, "a variable of the container, if the server reads it")
        }
        Some("cd" | "sleep" | "echo" | "set" | "ulimit" | "true" | "wait") => {
            Finding::new(Verdict::Dropped, text, "")
        }
        Some("pip" | "pip3" | "apt" | "apt-get" | "conda") => Finding::new(
            Verdict::Unsupported,
            text,
            "packages for Python models belong into their environment (docs/triton-backends.md); the image has no Python and no shell",
        ),
        _ => Finding::new(
            Verdict::Unsupported,
            text,
            "the image has no shell: run it before, as an init container does",
        ),
    }
}

pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
