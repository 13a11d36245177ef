//! The same models in a server of their own, beside which the model in this process is measured.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context, bail};
use hippocamp_bench::{BenchArgs, Protocol};

/// A child process that serves on free ports, until this is dropped.
#[derive(Debug)]
pub(super) struct Served {
    child: Child,
    pub(super) places: Vec<(Protocol, String)>,
}

impl Served {
    pub(super) fn start(args: &BenchArgs) -> anyhow::Result<Served> {
        let program = std::env::current_exe().context("this program's file is not known")?;
        let mut command = Command::new(program);
        for path in &args.model_repository {
            command.arg("--model-repository").arg(path);
        }
        for setting in &args.backend_config {
            command.arg("--backend-config").arg(setting);
        }
        if let Some(directory) = &args.backend_directory {
            command.arg("--backend-directory").arg(directory);
        }
        command.args(args.cpu_fallback.then_some("--cpu-fallback"));
        command.args(["--model-control-mode=explicit", "--load-model", args.model()]);
        command.args([
            "--http-address=127.0.0.1",
            "--http-port=0",
            "--grpc-address=127.0.0.1",
            "--grpc-port=0",
        ]);
        command.args(["--allow-metrics=false"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut served =
            Served { child: command.spawn().context("no server can be started")?, places: Vec::new() };
        let log = served.child.stderr.take().context("the server has no log")?;
        served.wait_until_ready(log, args.protocol)?;
        Ok(served)
    }

    /// Reads the log for the ports, and goes on reading it so that the server can write.
    fn wait_until_ready(&mut self, log: ChildStderr, wanted: Option<Protocol>) -> anyhow::Result<()> {
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let mut last = String::new();
        for line in lines.by_ref() {
            for (mark, protocol) in [("HTTP on ", Protocol::Http), ("gRPC on ", Protocol::Grpc)] {
                if let Some((_, address)) = line.split_once(mark)
                    && wanted.is_none_or(|wanted| wanted == protocol)
                {
                    self.places.push((protocol, address.trim().to_owned()));
                }
            }
            if line.contains(" ready ") {
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(());
            }
            last = line;
        }
        bail!("the server with the same models does not start: {last}")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Nothing is under way any more.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
