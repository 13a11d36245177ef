//! Flags of TensorRT Inference Server that Triton has dropped.

use hippocamp_migrate::{Finding, Verdict};

/// What becomes of such a flag.
pub(super) enum Former {
    /// One of the two that say a mode together.
    Switch,
    /// Nothing takes its place, for this reason.
    Dropped(&'static str),
}

/// A flag that only trtserver has.
pub(super) fn former(name: &str) -> Option<Former> {
    Some(match name {
        "allow-poll-model-repository" | "allow-model-control" => Former::Switch,
        "http-health-port" => {
            Former::Dropped("health is on the HTTP port: /v2/health/ready, and /api/health/ready as ever")
        }
        "grpc-stream-infer-thread-count" => {
            Former::Dropped("--io-thread-count is for HTTP and gRPC alike, and by default one a core")
        }
        "tf-gpu-memory-fraction" | "tf-allow-soft-placement" | "tf-add-vgpu" => {
            Former::Dropped("TensorFlow's models run on the CPU")
        }
        _ => return None,
    })
}

/// `--allow-poll-model-repository` and `--allow-model-control`, of which trtserver makes one mode.
#[derive(Debug, Default)]
pub(super) struct Switches {
    poll: Option<bool>,
    control: Option<bool>,
    /// `--repository-poll-secs=0`.
    never_polls: bool,
    mode_is_given: bool,
    /// Which of all findings are theirs.
    findings: Vec<usize>,
    /// Where in the new command the first of them stood.
    place: usize,
}

impl Switches {
    /// One of the two is there, as this finding, so many flags of the new command before it. The last value of each counts.
    pub(super) fn given(&mut self, name: &str, value: &str, finding: usize, kept: usize) {
        let on = !matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "off");
        *(if name == "allow-model-control" { &mut self.control } else { &mut self.poll }) = Some(on);
        if self.findings.is_empty() {
            self.place = kept;
        }
        self.findings.push(finding);
    }

    /// Another flag, which may decide as well.
    pub(super) fn beside(&mut self, name: &str, value: &str) {
        match name {
            "model-control-mode" => self.mode_is_given = true,
            "repository-poll-secs" => self.never_polls = value == "0",
            _ => {}
        }
    }

    /// Says what becomes of them, once all flags were read.
    pub(super) fn conclude(&self, findings: &mut [Finding], kept: &mut Vec<String>) {
        if self.findings.is_empty() {
            return;
        }
        let (verdict, why) = match self.mode() {
            None if self.mode_is_given => (Verdict::Dropped, "--model-control-mode says it".to_owned()),
            None => (
                Verdict::Unsupported,
                "trtserver starts with one of --allow-poll-model-repository and --allow-model-control, not with both: --model-control-mode=poll or explicit"
                    .to_owned(),
            ),
            Some(mode) => {
                let flag = format!("--model-control-mode={mode}");
                kept.insert(self.place, flag.clone());
                (Verdict::Different, format!("the mode says it: {flag}"))
            }
        };
        for place in &self.findings {
            findings[*place].verdict = verdict;
            findings[*place].why.clone_from(&why);
        }
    }

    /// The mode that they say; `None` if they say none, or more than one. Without a word trtserver polls every 15 seconds, and allows no control.
    fn mode(&self) -> Option<&'static str> {
        let control = self.control == Some(true);
        if self.mode_is_given || (control && self.poll == Some(true)) {
            return None;
        }
        let polls = self.poll != Some(false) && !self.never_polls;
        Some(match (control, polls) {
            (true, _) => "explicit",
            (false, true) => "poll",
            (false, false) => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sort;
    use super::*;

    #[test]
    fn both_switches_are_one_mode() {
        let (control, poll) = ("--allow-model-control", "--allow-poll-model-repository");
        for (flags, mode) in [
            (format!("{control}=true {poll}=false"), "explicit"),
            (format!("{poll}=false {control}=true"), "explicit"),
            (format!("{poll} 0 {control} 1"), "explicit"),
            (format!("{control}=true"), "explicit"),
            (format!("{control}=false {poll}=True"), "poll"),
            (format!("{control}=false"), "poll"),
            (format!("{control}=false {poll}=False"), "none"),
            (format!("{poll}=false"), "none"),
            (format!("{poll}=true {poll}=false"), "none"),
        ] {
            let words: Vec<String> = format!("--model-store=/m {flags} --strict-model-config=true")
                .split(' ')
                .map(str::to_owned)
                .collect();
            let (findings, kept) = sort(&words);
            let expected = format!("--model-control-mode={mode}");
            assert_eq!(kept, ["--model-store=/m", &expected, "--strict-model-config=true"], "{flags}");
            for finding in findings.iter().filter(|finding| finding.what.starts_with("--allow")) {
                assert_eq!(finding.verdict, Verdict::Different, "{flags}: {finding:?}");
                assert!(finding.why.ends_with(&expected), "{flags}: {finding:?}");
            }
        }
    }

    #[test]
    fn what_else_decides_of_the_mode() {
        let sort = |flags: &[&str]| sort(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>());
        let (_, kept) = sort(&["--allow-poll-model-repository=true", "--repository-poll-secs=0"]);
        assert_eq!(kept, ["--model-control-mode=none", "--repository-poll-secs=0"]);
        let (findings, kept) = sort(&["--model-control-mode=explicit", "--allow-poll-model-repository=true"]);
        assert_eq!(
            (findings[1].verdict, kept),
            (Verdict::Dropped, vec!["--model-control-mode=explicit".to_owned()])
        );
        let (findings, kept) = sort(&["--allow-model-control=true", "--allow-poll-model-repository=true"]);
        assert!(
            findings.iter().all(|finding| finding.verdict == Verdict::Unsupported) && kept.is_empty(),
            "{findings:?}"
        );
    }
}
