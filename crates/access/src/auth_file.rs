//! The file of `--auth-config` as it is written, in TOML, and the rules that it means.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::auth::{AuthError, Rules, Tokens};
use crate::pattern::Pattern;
use crate::restriction::{Protocol, Restrictions};
use crate::roles::{Caller, Roles, Token};
use crate::secret::Secret;

/// The largest file in bytes.
const LARGEST: u64 = 1 << 20;

/// The shortest token in bytes: one that can be guessed protects nothing.
const SHORTEST_TOKEN: usize = 16;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthFile {
    #[serde(default)]
    tokens: Vec<TokenEntry>,
    anonymous: Option<RolesEntry>,
    #[serde(default)]
    restricted: Vec<RestrictedEntry>,
    /// Whether the metrics need no token.
    #[serde(default)]
    open_metrics: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEntry {
    name: String,
    token: Option<String>,
    token_file: Option<PathBuf>,
    token_sha256: Option<String>,
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    infer: Vec<String>,
    #[serde(default)]
    admin: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RolesEntry {
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    infer: Vec<String>,
    #[serde(default)]
    admin: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RestrictedEntry {
    categories: Vec<String>,
    #[serde(default)]
    protocols: Vec<ProtocolName>,
    header: String,
    value: Option<String>,
    value_file: Option<PathBuf>,
    value_sha256: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProtocolName {
    Http,
    Grpc,
}

impl AuthFile {
    /// The files of secrets, found from the folder of the file.
    pub(crate) fn secret_files(&self, path: &Path) -> Vec<PathBuf> {
        let of_tokens = self.tokens.iter().filter_map(|token| token.token_file.as_ref());
        let of_values = self.restricted.iter().filter_map(|entry| entry.value_file.as_ref());
        of_tokens.chain(of_values).map(|file| beside(path, file)).collect()
    }
}

fn beside(path: &Path, file: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(file)
}

/// Reads the file, and none that it names.
pub(crate) fn read(path: &Path) -> Result<AuthFile, AuthError> {
    let fault = |why: &str| AuthError(format!("failed to read the tokens of '{}': {why}", path.display()));
    let text = hippocamp_files::read_text(path, LARGEST).map_err(|e| fault(&e.to_string()))?;
    toml::from_str(&text).map_err(|error| {
        // Without the excerpt of the library's text, which may show a token.
        let line =
            error.span().map(|span| 1 + text.bytes().take(span.start).filter(|&byte| byte == b'\n').count());
        match line {
            Some(line) => fault(&format!("line {line}: {}", error.message())),
            None => fault(error.message()),
        }
    })
}

/// The rules that the file means. Reads the files of secrets.
pub(crate) fn rules(path: &Path, file: AuthFile) -> Result<Rules, AuthError> {
    let fault = |why: String| AuthError(format!("the tokens of '{}' cannot be used: {why}", path.display()));
    let mut tokens: Vec<Token> = Vec::new();
    for entry in &file.tokens {
        let what = format!("token '{}'", entry.name);
        if entry.name.is_empty() || entry.name.contains(':') {
            return Err(fault(format!("{what}: expected a name that is not empty and has no colon")));
        }
        let written = Written {
            text: &entry.token,
            file: &entry.token_file,
            sha256: &entry.token_sha256,
            least: SHORTEST_TOKEN,
        };
        let secret = written.secret(path, "token").map_err(|why| fault(format!("{what}: {why}")))?;
        if let Some(other) = tokens.iter().find(|token| token.secret.is(&secret).into()) {
            let other = other.caller.name.as_deref().unwrap_or_default();
            return Err(fault(format!("{what} is the same secret as token '{other}'")));
        }
        if tokens.iter().any(|token| token.caller.name.as_deref() == Some(&*entry.name)) {
            return Err(fault(format!("{what} is there twice")));
        }
        let roles =
            roles(&entry.read, &entry.infer, &entry.admin).map_err(|why| fault(format!("{what}: {why}")))?;
        if !roles.any(crate::Right::See, |_| true) {
            return Err(fault(format!(
                "{what} has no role; give it patterns of models in read, infer or admin"
            )));
        }
        let caller = Arc::new(Caller { name: Some(entry.name.clone()), roles });
        tokens.push(Token { secret, caller });
    }
    let (http, grpc) = restrictions(path, &file.restricted).map_err(fault)?;
    let has_tokens = !tokens.is_empty() || file.anonymous.is_some();
    if !has_tokens && file.restricted.is_empty() {
        return Err(fault("it has neither tokens nor restricted categories".to_owned()));
    }
    let anonymous = file.anonymous.unwrap_or_default();
    let roles = roles(&anonymous.read, &anonymous.infer, &anonymous.admin)
        .map_err(|why| fault(format!("anonymous: {why}")))?;
    let anonymous = Arc::new(Caller { name: None, roles });
    let tokens = has_tokens.then_some(Tokens { tokens, anonymous });
    Ok(Rules { tokens, http, grpc, open_metrics: file.open_metrics })
}

fn roles(read: &[String], infer: &[String], admin: &[String]) -> Result<Roles, String> {
    let patterns = |texts: &[String]| -> Result<Vec<Pattern>, String> {
        if texts.iter().any(String::is_empty) {
            return Err("expected a pattern of model names, such as \"*\", got an empty one".to_owned());
        }
        Ok(texts.iter().map(|text| Pattern::new(text)).collect())
    };
    Ok(Roles { read: patterns(read)?, infer: patterns(infer)?, admin: patterns(admin)? })
}

fn restrictions(path: &Path, entries: &[RestrictedEntry]) -> Result<(Restrictions, Restrictions), String> {
    let mut http = Restrictions::none(Protocol::Http);
    let mut grpc = Restrictions::none(Protocol::Grpc);
    for entry in entries {
        if entry.categories.is_empty() || entry.header.is_empty() {
            return Err("restricted: expected categories and a header".to_owned());
        }
        let written =
            Written { text: &entry.value, file: &entry.value_file, sha256: &entry.value_sha256, least: 1 };
        let value = written.secret(path, "value").map_err(|why| format!("restricted: {why}"))?;
        let both = [ProtocolName::Http, ProtocolName::Grpc];
        let protocols = if entry.protocols.is_empty() { &both[..] } else { &entry.protocols };
        for (protocol, category) in
            protocols.iter().flat_map(|protocol| entry.categories.iter().map(move |name| (protocol, name)))
        {
            let of = match protocol {
                ProtocolName::Http => &mut http,
                ProtocolName::Grpc => &mut grpc,
            };
            of.add(category, &entry.header, &value).map_err(|why| why.trim_end().to_owned())?;
        }
    }
    Ok((http, grpc))
}

/// A secret as it is written: as text, as the name of a file, or as its SHA-256.
struct Written<'a> {
    text: &'a Option<String>,
    file: &'a Option<PathBuf>,
    sha256: &'a Option<String>,
    /// The fewest bytes that it may have.
    least: usize,
}

impl Written<'_> {
    fn secret(&self, path: &Path, name: &str) -> Result<Secret, String> {
        match (self.text, self.file, self.sha256) {
            (Some(text), None, None) => self.of_text(text, name),
            (None, Some(file), None) => {
                let file = beside(path, file);
                let text = hippocamp_files::read_text(&file, LARGEST)
                    .map_err(|e| format!("failed to read '{}': {e}", file.display()))?;
                // Editors and `echo` end a file with a line end, which no header can hold.
                self.of_text(text.trim_end_matches(['\r', '\n']), name)
            }
            (None, None, Some(hex)) => {
                let expected = || format!("{name}_sha256: expected 64 hexadecimal digits, got {}", hex.len());
                Secret::from_sha256(hex).ok_or_else(expected)
            }
            _ => Err(format!("expected exactly one of {name}, {name}_file and {name}_sha256")),
        }
    }

    fn of_text(&self, text: &str, name: &str) -> Result<Secret, String> {
        if text.len() < self.least {
            return Err(format!(
                "expected a {name} of at least {} bytes, got {}; `openssl rand -hex 32` makes one",
                self.least,
                text.len()
            ));
        }
        // A header's value cannot begin or end with a blank, nor hold a control character.
        if text.bytes().any(|byte| byte.is_ascii_control()) || text.trim() != text {
            return Err(format!(
                "the {name} has a control character, or a blank at an end, which no header can hold"
            ));
        }
        Ok(Secret::of(text.as_bytes()))
    }
}
