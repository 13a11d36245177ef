//! Errors of PyTorch, and how they reach clients.

use hippocamp_backend::{Code, Error};

/// What the library says of a call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) is_of_memory: bool,
    /// On one line.
    pub(crate) message: String,
}

/// How the library's allocator begins to say that there is no memory, in whatever it reports.
const NO_MEMORY: &str = "DefaultCPUAllocator:";

impl Fault {
    pub(crate) fn new(is_of_memory: bool, text: &str) -> Fault {
        Fault { is_of_memory: is_of_memory || text.contains(NO_MEMORY), message: summary(text) }
    }

    /// The error of requests whose run failed. The library does not say whether it was for what they gave.
    #[cold]
    pub(crate) fn of_run(self, model: &str) -> Error {
        let code = if self.is_of_memory { Code::Unavailable } else { Code::Internal };
        Error::new(code, format!("model '{model}': PyTorch execute failure: {}", self.message))
    }

    /// The error of a model that cannot be loaded.
    #[cold]
    pub(crate) fn of_load(self, model: &str, what: &str) -> Error {
        let code = if self.is_of_memory { Code::Unavailable } else { Code::InvalidArg };
        Error::new(code, format!("unable to load model '{model}', {what}: {}", self.message))
    }
}

/// What a text of the library says, on one line. An error of a model's code has its traceback first, with lines that underline
/// where it was: what happened comes first here, and the innermost line of code behind it.
fn summary(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let what = lines.iter().rposition(|line| is_what_happened(line));
    let Some(what) = what.filter(|_| text.contains("Traceback of TorchScript")) else {
        return lines.join(" ");
    };
    let (before, what) = lines.split_at(what);
    let mut told = what.join(" ");
    if let Some(at) = before.iter().rposition(|line| line.contains("<--- HERE"))
        && let Some(code) = at.checked_sub(1).map(|above| before[above])
    {
        told.extend([" (in: ", code, ")"]);
    }
    told
}

/// `RuntimeError: shapes cannot be multiplied`, as the last part of a traceback begins.
fn is_what_happened(line: &str) -> bool {
    let name = line.split_once(": ").map_or(line, |(name, _)| name);
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    is_name(name) && (name.ends_with("Error") || name.ends_with("Exception"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceback_becomes_a_line() {
        let text = "The following operation failed in the TorchScript interpreter.\n\
                    Traceback of TorchScript, serialized code (most recent call last):\n  \
                    File \"code/__torch__.py\", line 6, in forward\n    \
                    weight = self.weight\n    \
                    return torch.linear(x, weight)\n           \
                    ~~~~~~~~~~~~ <--- HERE\n\n\
                    Traceback of TorchScript, original code (most recent call last):\n  \
                    File \"net.py\", line 9, in forward\n        \
                    return self.layer(x)\n               \
                    ~~~~~~~~~~ <--- HERE\n\
                    RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x3 and 4x2)\n";
        let expected = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x3 and 4x2) (in: return self.layer(x))";
        assert_eq!(summary(text), expected);
        assert_eq!(summary("one\n\n  two "), "one two");
    }

    #[test]
    fn no_memory_is_no_fault_of_the_model() {
        let text = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to \
                    allocate 4000000000000 bytes.";
        assert_eq!(Fault::new(false, text).of_run("m").code(), Code::Unavailable);
        assert_eq!(Fault::new(false, "RuntimeError: x").of_run("m").code(), Code::Internal);
    }
}
