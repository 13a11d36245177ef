//! One file.

use std::error::Error;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reqwest::header::LOCATION;
use reqwest::{Client, Response, StatusCode, Url, redirect};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::addresses::PublicOnly;
use crate::{Allowed, DownloadFault, Downloads, Fetched};

/// How often a URL may lead to another.
const MAX_REDIRECTS: usize = 5;

/// How much is written at a time.
const BLOCK: usize = 1 << 20;

impl Downloads {
    pub(crate) async fn fetch_file(&self, text: &str, folder: &Path) -> Result<Fetched, DownloadFault> {
        let failed = |why: String| DownloadFault::Failed { url: text.to_owned(), why };
        let url = Url::parse(text).map_err(|error| failed(error.to_string()))?;
        let name = file_name(&url).map_err(failed)?;
        let path = folder.join(&name);
        self.check(&url)?;
        if path.try_exists().unwrap_or(true) {
            return Err(DownloadFault::Exists(name));
        }
        let response = self.follow(url, failed).await?;
        if response.content_length().is_some_and(|length| length > self.max_bytes) {
            return Err(failed(self.too_large()));
        }
        self.write(response, folder, &path, text).await
    }

    fn check(&self, url: &Url) -> Result<(), DownloadFault> {
        if self.allowed.admits(url) {
            return Ok(());
        }
        Err(DownloadFault::NotAllowed(url.to_string()))
    }

    /// The answer at the end of all redirects, each of which has to be allowed.
    async fn follow(
        &self,
        mut url: Url,
        failed: impl Fn(String) -> DownloadFault + Copy,
    ) -> Result<Response, DownloadFault> {
        for _ in 0..=MAX_REDIRECTS {
            let client = self.client(&url).map_err(|error| failed(describe(&error)))?;
            let response = client.get(url.clone()).send().await.map_err(|error| failed(describe(&error)))?;
            let status = response.status();
            if status == StatusCode::OK {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let Some(location) = location.filter(|_| status.is_redirection()) else {
                return Err(failed(format!("the answer was {status}")));
            };
            let next =
                url.join(location).map_err(|error| failed(format!("it leads to '{location}': {error}")))?;
            check_scheme(&next).map_err(failed)?;
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(failed(format!("it leads to {next}, which is not encrypted")));
            }
            self.check(&next)?;
            url = next;
        }
        Err(failed(format!("it leads to another URL more than {MAX_REDIRECTS} times")))
    }

    /// Proxies are not asked: what they connect to would not be known.
    fn client(&self, url: &Url) -> reqwest::Result<Client> {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("hippocamp/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(self.times.connect)
            .read_timeout(self.times.silence);
        if url.scheme() == "http" {
            // Those of the system are not looked for where none are needed.
            client = client.tls_certs_only([]);
        }
        if matches!(self.allowed, Allowed::Public) {
            client = client.dns_resolver(PublicOnly);
        }
        client.build()
    }

    /// Writes an answer beside its place, and gives it its name when all of it is there.
    async fn write(
        &self,
        mut response: Response,
        folder: &Path,
        path: &Path,
        url: &str,
    ) -> Result<Fetched, DownloadFault> {
        let failed = |why: String| DownloadFault::Failed { url: url.to_owned(), why };
        let not_saved =
            |error: std::io::Error| DownloadFault::NotSaved { url: url.to_owned(), why: error.to_string() };
        // Hidden, so that nobody takes it for an archive.
        let mut named = tempfile::Builder::new();
        let named = named.prefix(".hippocamp-").suffix(".part").permissions(Permissions::from_mode(0o644));
        let temporary = named.tempfile_in(folder).map_err(not_saved)?;
        let mut file =
            BufWriter::with_capacity(BLOCK, File::from_std(temporary.reopen().map_err(not_saved)?));
        let mut length = 0;
        while let Some(part) = response.chunk().await.map_err(|error| failed(describe(&error)))? {
            length += part.len() as u64;
            if length > self.max_bytes {
                return Err(failed(self.too_large()));
            }
            file.write_all(&part).await.map_err(not_saved)?;
        }
        file.flush().await.map_err(not_saved)?;
        drop(file);
        let (owned, url) = (path.to_owned(), url.to_owned());
        let finished = tokio::task::spawn_blocking(move || finish(temporary, &owned, &url)).await;
        finished.unwrap_or_else(|_| Err(failed("it could not be finished".to_owned())))
    }

    fn too_large(&self) -> String {
        format!("it has more than {} bytes", self.max_bytes)
    }
}

/// Gives the file its name, unless there is one by now. If nobody waits for the result any more, it is dropped, and the file
/// removed with it.
fn finish(temporary: NamedTempFile, path: &Path, url: &str) -> Result<Fetched, DownloadFault> {
    let not_saved =
        |why: std::io::Error| DownloadFault::NotSaved { url: url.to_owned(), why: why.to_string() };
    temporary.as_file().sync_data().map_err(not_saved)?;
    match temporary.persist_noclobber(path) {
        Ok(_) => Ok(Fetched::new(path.to_owned())),
        Err(fault) if fault.error.kind() == std::io::ErrorKind::AlreadyExists => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Err(DownloadFault::Exists(name.into_owned()))
        }
        Err(fault) => Err(not_saved(fault.error)),
    }
}

fn check_scheme(url: &Url) -> Result<(), String> {
    if !["http", "https"].contains(&url.scheme()) {
        return Err(format!("only http and https are fetched, got '{}'", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with the name of a user is not fetched".to_owned());
    }
    Ok(())
}

/// The name that a URL ends in, as that of a plain file.
fn file_name(url: &Url) -> Result<String, String> {
    check_scheme(url)?;
    let name = url.path_segments().and_then(Iterator::last).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+@=~".contains(c);
    if name.is_empty() || name.starts_with('.') || name.len() > 200 || !name.chars().all(is_plain) {
        return Err(format!(
            "its path was expected to end in a file's name of letters, digits and ._-+@=~, such as model.mar, got '{name}'"
        ));
    }
    Ok(name.to_owned())
}

/// The error with what caused it, which reqwest leaves out, and without the URL, which is known.
fn describe(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes.pop().unwrap_or_else(|| "the request failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_plain_files() {
        let name = |url: &str| file_name(&Url::parse(url).unwrap());
        assert_eq!(name("https://h/a/b.mar?x=/c.mar#d").unwrap(), "b.mar");
        assert_eq!(name("https://h/squeezenet_v1.1.mar").unwrap(), "squeezenet_v1.1.mar");
        for url in [
            "https://h/",
            "https://h/a/",
            "https://h/..%2fb.mar",
            "https://h/.hidden.mar",
            "https://h/%00.mar",
            "https://h/a%20b.mar",
        ] {
            assert!(name(url).unwrap_err().contains("a file's name"), "{url}");
        }
        assert!(name("file:///etc/passwd").unwrap_err().contains("only http and https"));
        assert!(name("https://user:secret@h/a.mar").unwrap_err().contains("name of a user"));
    }
}
