//! Runs `hippocamp bench`.

use std::path::Path;
use std::sync::Arc;

use hippocamp_client::{Failure, Protocol, Result, place};
use hippocamp_core::InferenceServer;

use crate::args::BenchArgs;
use crate::failure;
use crate::interrupts::Interrupts;
use crate::measure::Session;
use crate::plan::{Load, Plan};
use crate::prepare::{Ready, prepare, prepare_local};
use crate::progress::Progress;
use crate::report::{Report, csv, json, svg};

/// The model's server in this process, and where the same models are served.
#[derive(Debug)]
pub struct Local {
    /// A server that has loaded the model.
    pub server: Arc<InferenceServer>,
    /// Protocols and addresses of servers that are measured beside it.
    pub served: Vec<(Protocol, String)>,
}

/// The server that `--url` names, if it is given.
pub fn server_of_url(args: &BenchArgs) -> Option<(Protocol, String)> {
    args.url.as_deref().map(|url| place(Some(url), args.protocol))
}

/// A form of the results as a file.
type Render = fn(&Report) -> String;

/// Measures all levels by every transport, and writes the files that were asked for. What fails after something was measured is
/// part of the report.
pub async fn bench(args: &BenchArgs, local: Option<&Local>) -> Result<Report> {
    for (flag, file) in [("--json", &args.json), ("--csv", &args.csv), ("--svg", &args.svg)] {
        has_folder(flag, file.as_deref())?;
    }
    let mut report = Report::new(args);
    if let Err(failure) = measure(args, local, &mut report).await {
        if report.points.is_empty() {
            return Err(failure);
        }
        report.failures.push(failure.to_string());
    }
    let forms = [(&args.json, json::render as Render), (&args.csv, csv::render), (&args.svg, svg::render)];
    for (file, render) in forms {
        if let Some(file) = file
            && let Err(failure) = write(file, &render(&report))
        {
            report.failures.push(failure.to_string());
        }
    }
    Ok(report)
}

async fn measure(args: &BenchArgs, local: Option<&Local>, report: &mut Report) -> Result<()> {
    let loads = args.loads();
    let mut run = Run { loads: &loads, session: session(args)?, report };
    let served = match local {
        None => vec![place(args.url.as_deref(), args.protocol)],
        Some(local) => {
            let ready = run.session.interruptible(prepare_local(args, &local.server)).await?;
            run.measure(ready).await?;
            local.served.clone()
        }
    };
    for (protocol, authority) in served {
        if !run.is_over() {
            let preparing = prepare(args, protocol, &authority, &loads);
            let ready = run.session.interruptible(preparing).await?;
            run.measure(ready).await?;
        }
    }
    Ok(())
}

pub(crate) fn session(args: &BenchArgs) -> Result<Session> {
    let interrupts = Interrupts::listen()
        .map_err(|why| Failure::new(format!("interrupts cannot be listened for: {why}")))?;
    Ok(Session { progress: Progress::new(args.progress), interrupts, threads: 1 })
}

struct Run<'a> {
    loads: &'a [Load],
    session: Session,
    report: &'a mut Report,
}

impl Run<'_> {
    /// Measures all levels by one transport.
    async fn measure(&mut self, ready: Ready) -> Result<()> {
        let measured = self.measure_levels(&ready.plan).await;
        // The results are worth more than a farewell that failed.
        drop(ready.finish().await);
        measured
    }

    async fn measure_levels(&mut self, plan: &Arc<Plan>) -> Result<()> {
        self.report.begin(plan);
        self.session.threads = 1;
        for load in self.loads {
            self.session.progress.title(&format!("{}, {}", plan.transport.title(), load.title()));
            self.report.points.push(self.session.measure(plan, *load).await?);
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Whether nothing more is to be measured.
    fn is_over(&self) -> bool {
        self.report.points.last().is_some_and(|point| point.is_interrupted || point.gave_up.is_some())
    }
}

/// Whether there is a folder for a file, which is asked before minutes are spent.
pub(crate) fn has_folder(flag: &str, file: Option<&Path>) -> Result<()> {
    match file.and_then(Path::parent) {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            failure(format!("{flag}: there is no folder {}", folder.display()))
        }
        _ => Ok(()),
    }
}

pub(crate) fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text)
        .map_err(|why| Failure::new(format!("{} cannot be written: {why}", file.display())))
}
