//! A Dockerfile whose last stage starts the server.

use crate::docker::image_finding;
use crate::{Finding, Form, Order, Verdict, environment, is_image, program, shell};

/// One instruction, with its lines joined.
struct Instruction {
    name: String,
    rest: String,
    /// The lines of its heredocs, with those that end them.
    heredocs: Vec<String>,
}

impl Instruction {
    fn text(&self) -> String {
        format!("{} {}", self.name, self.rest)
    }

    /// The same with its heredocs.
    fn lines(&self) -> String {
        std::iter::once(self.text()).chain(self.heredocs.iter().cloned()).collect::<Vec<_>>().join("\n")
    }

    /// The words of a command, which are a list in JSON or a text for a shell.
    fn command(&self) -> Vec<String> {
        serde_json::from_str(&self.rest)
            .unwrap_or_else(|_| vec!["/bin/sh".to_owned(), "-c".to_owned(), self.rest.clone()])
    }
}

/// Reads a Dockerfile; `None` if the text is none.
pub(crate) fn order(content: &str) -> Option<Result<Order, String>> {
    let instructions = instructions(content);
    let first = instructions.iter().find(|instruction| instruction.name != "ARG")?;
    (first.name == "FROM").then(|| read(&instructions))
}

fn instructions(content: &str) -> Vec<Instruction> {
    let escape = escape(content);
    let mut instructions = Vec::new();
    let mut joined = String::new();
    let mut lines = content.lines();
    // A text that no line ends is none: BuildKit refuses it, and what follows are instructions still.
    let has_end = |lines: &std::str::Lines<'_>, mark: &str, has_tabs| {
        lines.clone().any(|line| ends(line, mark, has_tabs))
    };
    while let Some(line) = lines.next().map(str::trim) {
        if line.starts_with('#') || (line.is_empty() && joined.is_empty()) {
            continue;
        }
        match line.strip_suffix(escape) {
            Some(part) => {
                joined.push_str(part);
                continue;
            }
            None => joined.push_str(line),
        }
        let (name, rest) = joined.split_once(char::is_whitespace).unwrap_or((&joined, ""));
        let name = name.to_ascii_uppercase();
        let marks = if matches!(&*name, "RUN" | "COPY" | "ADD") { marks(rest) } else { Vec::new() };
        let mut heredocs = Vec::new();
        for (mark, has_tabs) in marks {
            if !has_end(&lines, &mark, has_tabs) {
                break;
            }
            for line in lines.by_ref() {
                heredocs.push(line.to_owned());
                if ends(line, &mark, has_tabs) {
                    break;
                }
            }
        }
        instructions.push(Instruction { name, rest: rest.trim().to_owned(), heredocs });
        joined.clear();
    }
    instructions
}

/// What a line ends with that goes on in the next: `# escape=` in the first lines says so.
fn escape(content: &str) -> char {
    let directives = content.lines().map_while(|line| line.trim().strip_prefix('#')?.split_once('='));
    let mut named = directives.filter(|(name, _)| name.trim().eq_ignore_ascii_case("escape"));
    named.find_map(|(_, value)| value.trim().chars().next()).unwrap_or('\\')
}

/// Whether a line ends a heredoc.
fn ends(line: &str, mark: &str, has_tabs: bool) -> bool {
    (if has_tabs { line.trim_start_matches('\t') } else { line }) == mark
}

/// The words that end the heredocs which a line begins, `<<WORD`, `<<-WORD`, `<<"WORD"`, and whether tabs may stand before them.
fn marks(line: &str) -> Vec<(String, bool)> {
    let mark = |(at, _): (usize, &str)| {
        // `<<<` is a shell's way to give a word as the input, and `1<<2` a number.
        let is_begin = line[..at]
            .chars()
            .next_back()
            .is_none_or(|before| before.is_whitespace() || before.is_ascii_digit());
        let is_begin = is_begin && !is_quoted(&line[..at]);
        let rest = &line[at + 2..];
        let (rest, has_tabs) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
        let word = match quote {
            Some(quote) => rest[1..].split(quote).next().unwrap_or_default(),
            None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default(),
        };
        let is_word = word.starts_with(|first: char| first.is_alphabetic() || first == '_');
        (is_begin && is_word).then(|| (word.to_owned(), has_tabs))
    };
    line.match_indices("<<").filter_map(mark).collect()
}

/// Whether what follows stands between quotes that a shell would see.
fn is_quoted(before: &str) -> bool {
    let mut quote = None;
    let mut chars = before.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => drop(chars.next()),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    quote.is_some()
}

fn read(instructions: &[Instruction]) -> Result<Order, String> {
    let last = instructions.iter().rposition(|one| one.name == "FROM").unwrap_or_default();
    let stage = &instructions[last..];
    let mut order = Order::new("the last stage of a Dockerfile", Form::Plain);
    let mut lines = Vec::new();
    if instructions[..last].iter().any(|one| one.name == "FROM") {
        order.around.push(Finding::new(Verdict::Kept, "earlier stages", "above the new lines"));
    }
    for one in stage {
        let finding = match one.name.as_str() {
            "FROM" => {
                let image =
                    one.rest.split_whitespace().find(|word| !word.starts_with("--")).unwrap_or_default();
                order.around.push(image_finding(image));
                continue;
            }
            "CMD" | "ENTRYPOINT" => continue,
            "ENV" => {
                lines.extend(variables(one, &mut order));
                continue;
            }
            _ => finding(one),
        };
        if !matches!(finding.verdict, Verdict::Dropped | Verdict::Unsupported) {
            lines.push(one.lines());
        }
        order.around.push(finding);
    }
    let command =
        |name: &str| stage.iter().rfind(|one| one.name == name).map(Instruction::command).unwrap_or_default();
    let command = [command("ENTRYPOINT"), command("CMD")].concat();
    order.flags = match command.first() {
        None => {
            return Err("the Dockerfile's last stage has neither CMD nor ENTRYPOINT, and Triton's images start no server by themselves: give the docker run that names its image".to_owned());
        }
        Some(first)
            if first.starts_with("--")
                && stage.iter().any(|one| one.name == "FROM" && is_image(&one.rest)) =>
        {
            command
        }
        Some(_) => program::flags(&command, &mut order.around, None)?,
    };
    order.form = Form::Dockerfile { lines };
    Ok(order)
}

/// `ENV NAME=VALUE ...`, or the older `ENV NAME VALUE`. Returns the line that stays.
fn variables(one: &Instruction, order: &mut Order) -> Option<String> {
    let pairs: Vec<(String, String)> = match one.rest.split_once(char::is_whitespace) {
        Some((name, value)) if !name.contains('=') => vec![(name.to_owned(), value.trim().to_owned())],
        _ => shell::commands(&one.rest)
            .concat()
            .iter()
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    };
    let mut kept = Vec::new();
    for (name, value) in &pairs {
        let finding = environment::finding(name, Some(value));
        order.gpus |= environment::gives_gpus(name, value);
        if finding.verdict != Verdict::Dropped {
            kept.push(format!("{name}={}", shell::quoted(value)));
        }
        order.around.push(finding);
    }
    (!kept.is_empty()).then(|| format!("ENV {}", kept.join(" ")))
}

fn finding(one: &Instruction) -> Finding {
    let (verdict, why) = match one.name.as_str() {
        "RUN" => (
            Verdict::Unsupported,
            "the image has no shell: do it in a stage before, and copy what it makes; packages for Python models belong into their environment (docs/triton-backends.md)",
        ),
        "COPY" | "ADD" => (Verdict::Kept, "what the server reads has to be readable by user 65532"),
        "WORKDIR" => (Verdict::Dropped, "nothing depends on the folder that the server is started in"),
        "SHELL" => (Verdict::Dropped, "the image has no shell"),
        "HEALTHCHECK" => (
            Verdict::Dropped,
            "the image has no shell and no curl: let what runs the container ask /v2/health/ready",
        ),
        "USER" => (Verdict::Kept, "without it the server runs as user 65532"),
        "ARG" | "EXPOSE" | "LABEL" | "MAINTAINER" | "ONBUILD" | "STOPSIGNAL" | "VOLUME" => {
            (Verdict::Kept, "")
        }
        _ => (Verdict::Unsupported, "no instruction: a line of a text for RUN or COPY"),
    };
    Finding::new(verdict, one.text(), why)
}
