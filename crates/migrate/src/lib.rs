//! Reads how a tritonserver is started, wherever that is written: a command line, `docker run`, a Compose file or manifests of
//! Kubernetes. Says of everything around the server's own flags what becomes of it, and finds these flags. It does not know them:
//! what a flag means is known by the server, which prints the report.

mod compose;
mod docker;
mod environment;
mod kubernetes;
mod program;
mod render;
mod shell;
mod yaml;

use serde_json::Value;

/// A word without the marks of what no shell expands.
pub fn plain(word: &str) -> String {
    shell::plain(word)
}

/// What becomes of a part of the old command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is and means the same.
    Kept,
    /// It stays or is replaced, and the text says what differs.
    Different,
    /// It had a purpose that is not there any more; it is left out of the new command.
    Dropped,
    /// There is nothing like it: somebody has to decide.
    Unsupported,
}

impl Verdict {
    /// The word of the report.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Kept => "kept",
            Verdict::Different => "different",
            Verdict::Dropped => "dropped",
            Verdict::Unsupported => "UNSUPPORTED",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    /// The part of the old command.
    pub what: String,
    /// What becomes of it and why; empty if there is nothing to say.
    pub why: String,
}

impl Finding {
    pub fn new(verdict: Verdict, what: impl Into<String>, why: impl Into<String>) -> Finding {
        Finding { verdict, what: plain(&what.into()), why: why.into() }
    }
}

/// Where the server's command is written, with what is needed to write the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A command line without a container.
    Plain,
    /// `docker run` or `podman run`, with the options that stay.
    Run { tool: String, options: Vec<String> },
    /// A service of a Compose file.
    Compose { service: String },
    /// A container of a manifest of Kubernetes.
    Kubernetes { container: String },
}

/// One server that is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Where it was found, for people.
    pub place: String,
    pub form: Form,
    /// Whether it asks for GPUs, so that the image has to be the one with CUDA.
    pub gpus: bool,
    /// The words that stay in front of the command: variables, `sudo`, and programs such as numactl.
    pub front: Vec<String>,
    /// What is said around the server's flags.
    pub around: Vec<Finding>,
    /// The server's flags.
    pub flags: Vec<String>,
}

/// Reads the arguments of `hippocamp migrate`: a command line, or one file with a command line, a Compose file or manifests.
/// `open` reads a file; `-` is for it to know.
///
/// # Errors
///
/// A sentence about what was found instead of a server's command.
pub fn read(
    arguments: &[String],
    open: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<Order>, String> {
    match arguments {
        [] => Err("a command line is expected, or the name of a file".to_owned()),
        [one] if !is_server(one) && !one.contains(char::is_whitespace) => text(&open(one)?),
        // Somebody put the whole command into quotation marks.
        [one] if one.contains(char::is_whitespace) => text(one),
        words => command(words).map(|order| vec![order]),
    }
}

/// A file's content: manifests, or a script in which one command starts the server.
fn text(content: &str) -> Result<Vec<Order>, String> {
    let documents = yaml::documents(content);
    let is_manifest = |document: &&Value| {
        document.get("kind").is_some_and(Value::is_string)
            || document.get("services").is_some_and(Value::is_object)
    };
    let manifests: Vec<&Value> = documents.iter().flatten().filter(is_manifest).collect();
    let mut orders = Vec::new();
    for document in &manifests {
        if document.get("services").is_some_and(Value::is_object) {
            orders.extend(compose::orders(document)?);
        } else {
            orders.extend(kubernetes::orders(document)?);
        }
    }
    if !orders.is_empty() {
        return Ok(orders);
    }
    if !manifests.is_empty() {
        return Err("no container in it starts a tritonserver: neither its image nor its command names one"
            .to_owned());
    }
    let commands = shell::commands(content);
    if let Some(order) = commands.iter().find_map(|words| command(words).ok()) {
        return Ok(vec![order]);
    }
    // What comes nearest says why it is none.
    let nearest =
        commands.iter().find(|words| words.iter().any(|word| is_server(word) || is_container_tool(word)));
    match (nearest.or(commands.first()), documents) {
        (_, Err(fault)) if nearest.is_none() => Err(fault),
        (Some(words), _) => command(words).map(|order| vec![order]),
        (None, _) => Err("it is empty".to_owned()),
    }
}

/// A command line that the shell has split.
fn command(words: &[String]) -> Result<Order, String> {
    if let Some(rest) = words.strip_prefix(&["sudo".to_owned()]) {
        let mut order = command(rest)?;
        order.front.insert(0, "sudo".to_owned());
        return Ok(order);
    }
    match words {
        [tool, verb, rest @ ..] if is_container_tool(tool) && (verb == "run" || verb == "create") => {
            docker::order(tool, rest)
        }
        [tool, container, verb, rest @ ..]
            if is_container_tool(tool) && container == "container" && verb == "run" =>
        {
            docker::order(tool, rest)
        }
        words => {
            let (mut around, mut front) = (Vec::new(), Vec::new());
            let flags = program::flags(words, &mut around, Some(&mut front))?;
            Ok(Order {
                place: "command line".to_owned(),
                form: Form::Plain,
                gpus: false,
                front,
                around,
                flags,
            })
        }
    }
}

fn is_container_tool(word: &str) -> bool {
    matches!(word, "docker" | "podman" | "nerdctl" | "nvidia-docker")
}

/// Whether a word names the server, by whichever path.
fn is_server(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("tritonserver" | "trtserver" | "trtis"))
}

/// Whether an image is one of Triton, by its name.
fn is_image(image: &str) -> bool {
    ["tritonserver", "triton", "tensorrtserver"].iter().any(|name| image.contains(name))
}

#[cfg(test)]
mod tests;
