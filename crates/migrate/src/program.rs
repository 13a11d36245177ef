//! Finds the server's flags in the program of a container, or of a command line.

use crate::{Finding, Verdict, environment, is_server, shell, wrappers};

/// The flags of the server that these words start, directly or by a shell. What else they start is told in `around`. What stays in
/// front of the new command goes to `front`; where nothing can stand in front of it, as in a container, it has to come otherwise.
pub(crate) fn flags(
    words: &[String],
    around: &mut Vec<Finding>,
    mut front: Option<&mut Vec<String>>,
) -> Result<Vec<String>, String> {
    let place = (0..words.len()).find(|place| begins(&words[*place..]));
    let Some((before, [first, others @ ..])) = place.map(|place| words.split_at(place)) else {
        return Err(none(words));
    };
    // A shell's text is looked at before anything is said of it.
    let sign = if is_server(first) { "--" } else { "-" };
    if !wrappers::start(before, others.first().is_some_and(|next| next.starts_with(sign))) {
        return Err(none(words));
    }
    wrappers::read(before, around, front.as_deref_mut());
    if is_server(first) {
        let mut flags = others;
        // What stands behind a colon are more programs of mpirun.
        if wrappers::start_ranks(before)
            && let Some(end) = others.iter().position(|word| word == ":")
        {
            let (own, more) = others.split_at(end);
            around.push(Finding::new(Verdict::Unsupported, more.join(" "), wrappers::ALONE));
            flags = own;
        }
        return Ok(flags.to_vec());
    }
    if wrappers::name(first) == "su" {
        let user = of_su(others);
        match &mut front {
            Some(front) => {
                front.extend(["runuser", "-u", &user, "--"].map(str::to_owned));
                around.push(Finding::new(
                    Verdict::Different,
                    format!("su {user}"),
                    "runuser starts a program without a shell",
                ));
            }
            None => around.push(Finding::new(
                Verdict::Different,
                format!("su {user}"),
                "the image has no such program, and runs as user 65532: the container's options say another",
            )),
        }
        let text = others
            .iter()
            .position(|word| word == "-c" || word == "--command")
            .map_or(others.len(), |place| place);
        return script(&others[text..], around, front);
    }
    script(others, around, front)
}

/// Whether these words begin with the server, or with what runs a text that may start it.
fn begins(words: &[String]) -> bool {
    let [first, others @ ..] = words else { return false };
    let next = others.first();
    match wrappers::name(first) {
        // The name of a user, or of a folder.
        _ if is_server(first) => next.is_none_or(|next| !is_server(next)),
        "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" => next.is_some(),
        "su" => others.iter().take(16).any(|word| word == "-c" || word == "--command"),
        _ => false,
    }
}

/// Whom `su` makes somebody.
fn of_su(words: &[String]) -> String {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-c" | "--command" | "-s" | "--shell" | "-g" | "-G" | "-w" => drop(words.next()),
            word if !word.starts_with('-') => return word.to_owned(),
            _ => {}
        }
    }
    "root".to_owned()
}

fn none(words: &[String]) -> String {
    format!(
        "'{}' is no tritonserver: give the command line that is executed in the end, behind docker run's options or alone",
        words.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(" ")
    )
}

/// The flags in the text of `sh -c TEXT`.
fn script(
    arguments: &[String],
    around: &mut Vec<Finding>,
    mut front: Option<&mut Vec<String>>,
) -> Result<Vec<String>, String> {
    let (mut options, mut by_text) = (0, false);
    while let Some(word) = arguments.get(options).filter(|word| word.starts_with(['-', '+'])) {
        by_text |= word == "--command" || (!word.starts_with("--") && word.contains('c'));
        // `-o pipefail`, also as `-eo pipefail`.
        options += if !word.starts_with("--") && word.ends_with(['o', 'O']) { 2 } else { 1 };
    }
    let (Some(text), true) = (arguments.get(options), by_text) else {
        return Err(format!(
            "a shell runs the script '{}', which is not here to be read: hippocamp migrate SCRIPT reads it",
            arguments.join(" ")
        ));
    };
    let mut found = None;
    // The inner shell expands what the outer one was kept from.
    for command in shell::read(&shell::plain(text)) {
        let mut told = Vec::new();
        let mut before = Vec::new();
        match flags(&command.words, &mut told, front.is_some().then_some(&mut before)) {
            Ok(flags) if found.is_none() => {
                around.append(&mut told);
                if let Some(front) = &mut front {
                    front.append(&mut before);
                }
                if !command.redirects.is_empty() {
                    let why = "the image has no shell: the log is on standard error, or in --log-file";
                    around.push(Finding::new(Verdict::Different, command.redirects.join(" "), why));
                }
                found = Some(flags);
            }
            _ => around.extend(beside(&command.words)),
        }
    }
    for flag in found.iter().flatten().filter(|flag| flag.contains(['$', '`'])) {
        let why = "the shell expanded it, and the image has none: write the value, or in Kubernetes $(NAME)";
        around.push(Finding::new(Verdict::Different, flag.as_str(), why));
    }
    found.ok_or_else(|| format!("no command of '{text}' is a tritonserver"))
}

/// A command that runs before or beside the server, in its container.
fn beside(words: &[String]) -> Vec<Finding> {
    let text = words.join(" ");
    let assignments = shell::assignments(words);
    if !assignments.is_empty() {
        let finding = |(name, value): (&str, Option<&str>)| {
            let mut finding = environment::finding(name, value);
            if finding.verdict == Verdict::Kept {
                finding.verdict = Verdict::Different;
                "a variable of the container, if the server reads it".clone_into(&mut finding.why);
            }
            finding
        };
        return assignments.into_iter().map(finding).collect();
    }
    let (verdict, why) = match words.first().map(String::as_str) {
        Some("cd" | "sleep" | "echo" | "set" | "ulimit" | "true" | "wait") => (Verdict::Dropped, ""),
        Some("pip" | "pip3" | "apt" | "apt-get" | "conda") => (
            Verdict::Unsupported,
            "packages for Python models belong into their environment (docs/triton-backends.md); the image has no Python and no shell",
        ),
        _ => (Verdict::Unsupported, "the image has no shell: run it before, as an init container does"),
    };
    vec![Finding::new(verdict, text, why)]
}

pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
