//! Formats a report as text and as JSON.

use std::fmt::Write;

use hippocamp_core::{Finding, Severity};
use serde_json::{Value, json};

use crate::{CheckedModel, Fix, Outcome, Report};

/// The number of characters shown on each side of a finding's column.
const AROUND: usize = 60;

/// The fix suggested for a missing engine.
const ENGINE_FIX: &str = "name the engine's library, or check configs alone by --configs-only";

/// Formats every finding with its line of the config, a mark below the column and the likely fix; then the totals.
pub fn to_text(report: &Report) -> String {
    let mut out = String::new();
    for fault in &report.repositories {
        line(&mut out, format_args!("error: {}\n", plain(fault)));
    }
    for engine in &report.engines {
        let (models, backend) = (many(engine.models, "model"), &engine.backend);
        line(&mut out, format_args!("error: {}", plain(&engine.message)));
        line(&mut out, format_args!("  --> {models} of backend '{backend}' could not be checked"));
        line(&mut out, format_args!("  = fix: {ENGINE_FIX}\n"));
    }
    for advice in &report.advice {
        line(&mut out, format_args!("warning: {}\n", plain(advice)));
    }
    for model in &report.models {
        for (finding, hint) in &model.findings {
            show(&mut out, model, finding, hint.as_deref());
        }
    }
    let (errors, warnings) = report.counts();
    let models = report.models.len();
    line(
        &mut out,
        format_args!("{}, {}, {}", many(models, "model"), many(errors, "error"), many(warnings, "warning")),
    );
    out
}

/// Formats what was done about models: the changes of each, and what became of them.
pub fn fixes_to_text(fixes: &[Fix]) -> String {
    let mut out = String::new();
    for fix in fixes {
        let model = plain(&fix.model);
        let head = match &fix.outcome {
            Outcome::Written => format!("fixed: model '{model}' loads with this, and it is written"),
            Outcome::Shown => format!("fix: model '{model}' would load with this; nothing is written"),
            Outcome::LeftAlone(why) => {
                format!("left alone: model '{model}' would not load with this either: {}", plain(why))
            }
            Outcome::Failed(why) => format!("error: the fix of model '{model}' is not there: {}", plain(why)),
        };
        line(&mut out, format_args!("{head}\n{}", plain(&fix.changes)));
    }
    out
}

fn show(out: &mut String, model: &CheckedModel, finding: &Finding, hint: Option<&str>) {
    line(out, format_args!("{}: {}", severity(finding), plain(&finding.message)));
    let path = plain(&model.path.display().to_string());
    if finding.line == 0 {
        let field =
            if finding.field.is_empty() { String::new() } else { format!(", {}", plain(&finding.field)) };
        line(out, format_args!("  --> {path} (model '{}'{field})", plain(&model.name)));
    } else {
        line(out, format_args!("  --> {path}:{}:{}", finding.line, finding.column));
        if let Some(text) = model.text.lines().nth(finding.line as usize - 1) {
            let number = finding.line.to_string();
            let (shown, mark) = excerpt(text, finding.column as usize);
            line(out, format_args!("{:1$} |", "", number.len() + 1));
            line(out, format_args!(" {number} | {shown}"));
            line(out, format_args!("{:1$} | {mark}", "", number.len() + 1));
        }
    }
    if let Some(hint) = hint {
        line(out, format_args!("  = fix: {}", plain(hint)));
    }
    out.push('\n');
}

/// The part of a line around a column, and a line with a mark below that column.
fn excerpt(text: &str, column: usize) -> (String, String) {
    let at = column.saturating_sub(1);
    let from = at.saturating_sub(AROUND);
    // A tab is shown as one space, so that the mark is below the right column.
    let printable = |c: char| {
        if c == '\t' {
            ' '
        } else if c.is_control() {
            '\u{fffd}'
        } else {
            c
        }
    };
    let shown: String = text.chars().skip(from).take(2 * AROUND).map(printable).collect();
    (shown.trim_end().to_owned(), format!("{:1$}^", "", at - from))
}

/// Removes control characters: names and texts come from users and could control the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String never fails.
    let _ = writeln!(out, "{text}");
}

fn severity(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Formats the report as one JSON object.
pub fn to_json(report: &Report) -> String {
    format!("{:#}\n", json(report))
}

/// Formats the report and what was done as one JSON object.
pub fn to_json_with_fixes(report: &Report, fixes: &[Fix]) -> String {
    let one = |fix: &Fix| {
        let (outcome, why) = match &fix.outcome {
            Outcome::Written => ("written", None),
            Outcome::Shown => ("shown", None),
            Outcome::LeftAlone(why) => ("left alone", Some(why)),
            Outcome::Failed(why) => ("failed", Some(why)),
        };
        let file = fix.path.display().to_string();
        json!({"model": fix.model, "file": file, "changes": fix.changes, "outcome": outcome, "why": why})
    };
    let mut all = json(report);
    all["fixes"] = fixes.iter().map(one).collect();
    format!("{all:#}\n")
}

fn json(report: &Report) -> Value {
    let models: Vec<_> = report
        .models
        .iter()
        .map(|model| {
            let findings: Vec<_> = model
                .findings
                .iter()
                .map(|(finding, hint)| {
                    json!({
                        "severity": severity(finding),
                        "file": model.path.display().to_string(),
                        "line": finding.line,
                        "column": finding.column,
                        "field": finding.field,
                        "message": finding.message,
                        "fix": hint,
                    })
                })
                .collect();
            json!({"name": model.name, "findings": findings})
        })
        .collect();
    let (errors, warnings) = report.counts();
    let engines: Vec<_> = report
        .engines
        .iter()
        .map(|engine| {
            json!({"backend": engine.backend, "message": engine.message, "models": engine.models, "fix": ENGINE_FIX})
        })
        .collect();
    json!({
        "repositories": report.repositories,
        "advice": report.advice,
        "engines": engines,
        "models": models,
        "errors": errors,
        "warnings": warnings,
    })
}
