//! A script of the machine: commands around the one that starts the server.

use crate::shell::{self, Command};
use crate::{
    Finding, Order, Verdict, command, environment, is_container_tool, is_image, is_server, render, wrappers,
};

/// The servers that a script starts. What else it does is said with the first.
///
/// # Errors
///
/// What comes nearest says why it is none; an empty text if there is no command.
pub(crate) fn orders(content: &str) -> Result<Vec<Order>, String> {
    let commands = shell::read(content);
    let mut servers: Vec<(usize, Order)> = Vec::new();
    for (place, found) in commands.iter().enumerate() {
        if let Ok(order) = command(&found.words) {
            servers.push((place, order));
        }
    }
    let Some((last, _)) = servers.last() else {
        let concerns = |word: &String| is_server(word) || is_container_tool(word);
        let nearest = commands.iter().find(|found| found.words.iter().any(concerns));
        return match nearest.or(commands.first()) {
            None => Err(String::new()),
            Some(found) => command(&found.words).map(|order| vec![order]),
        };
    };
    // Lines are only taken out of a script in which each is executed, one after the other.
    let in_line =
        |found: &Command| !found.within && matches!(found.separator.as_str(), ";" | "&&" | "&" | "");
    let sets = |found: &Command| sets(&found.words) && found.redirects.is_empty();
    let is_server = |place: usize| servers.iter().any(|(server, _)| *server == place);
    let simple = commands[..*last]
        .iter()
        .enumerate()
        .all(|(place, found)| in_line(found) && (is_server(place) || sets(found)))
        && !commands[*last].within;

    let (mut told, mut lines) = (Vec::new(), Vec::new());
    let mut before: Vec<Vec<String>> = Vec::new();
    let mut piped = false;
    for (place, found) in commands.iter().enumerate() {
        if is_server(place) {
            before.push(lines.clone());
            piped = found.separator == "|";
        } else if piped {
            piped = found.separator == "|";
        } else {
            let line = beside(found, simple && place < *last, &mut told);
            lines.extend(line.filter(|_| simple));
        }
    }
    let mut orders = Vec::new();
    for ((place, mut order), before) in servers.into_iter().zip(before) {
        order.before = before;
        order.behind = behind(&commands[place..]);
        // Of what a script around it is made, is said once.
        order.around.splice(0..0, std::mem::take(&mut told));
        orders.push(order);
    }
    Ok(orders)
}

/// Where the output of the first command goes.
fn behind(commands: &[Command]) -> Vec<String> {
    let mut text = Vec::new();
    for (place, command) in commands.iter().enumerate() {
        if place > 0 {
            text.extend(command.words.iter().map(|word| shell::quoted(word)));
        }
        text.extend(command.redirects.iter().cloned());
        match command.separator.as_str() {
            "|" => text.push("|".to_owned()),
            "&" => {
                text.push("&".to_owned());
                break;
            }
            _ => break,
        }
    }
    text
}

/// Whether a command only says how the next ones are executed.
fn sets(words: &[String]) -> bool {
    let first = words.first().map(String::as_str).unwrap_or_default();
    !shell::assignments(words).is_empty()
        || matches!(
            first,
            "source"
                | "."
                | "ulimit"
                | "umask"
                | "set"
                | "unset"
                | "cd"
                | "module"
                | "shopt"
                | "export"
                | "declare"
                | "readonly"
        )
}

/// Says what becomes of another command of the script. Returns the line that stays of it.
fn beside(found: &Command, in_front: bool, told: &mut Vec<Finding>) -> Option<String> {
    let words = &found.words;
    let assignments = shell::assignments(words);
    if !assignments.is_empty() {
        let mut kept: Vec<&String> = Vec::new();
        let names = &words[words.len() - assignments.len()..];
        for ((name, value), word) in assignments.into_iter().zip(names) {
            let finding = environment::finding(name, value);
            if finding.verdict != Verdict::Dropped {
                kept.push(word);
            }
            told.push(finding);
        }
        if kept.is_empty() {
            return None;
        }
        let front = words.first().filter(|first| *first == "export");
        let line: Vec<String> = front.into_iter().chain(kept).map(|word| render::assignment(word)).collect();
        return Some(line.join(" "));
    }
    let text = [&words[..], &found.redirects[..]].concat().join(" ");
    let first = wrappers::name(words.first().map(String::as_str).unwrap_or_default());
    let verb = words.get(1).map(String::as_str).unwrap_or_default();
    let (verdict, why) = match first {
        "pip" | "pip3" | "conda" => (
            Verdict::Different,
            "packages for Python models belong into their environment (docs/triton-backends.md)",
        ),
        name if is_container_tool(name) && verb == "pull" && words.iter().any(|word| is_image(word)) => {
            (Verdict::Dropped, "the image of Hippocamp takes its place")
        }
        _ if in_front => (Verdict::Kept, "in front of the new command"),
        _ => (Verdict::Kept, "where it is in the script"),
    };
    told.push(Finding::new(verdict, text, why));
    let line: Vec<String> = words.iter().map(|word| render::assignment(word)).collect();
    Some(line.join(" "))
}
