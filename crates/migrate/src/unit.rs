//! A unit of systemd, or a program of supervisord, that starts the server.

use crate::Form;
use crate::{Finding, Order, Verdict, command, environment, shell};

/// Reads such a file; `None` if the text is none, or starts something else.
pub(crate) fn order(content: &str) -> Option<Result<Order, String>> {
    let sections = ["[Service]", "[program:", "[Container]"];
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
        for (name, value) in lines().filter(|(name, _)| matches!(*name, "Environment" | "environment")) {
            let _ = name;
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
