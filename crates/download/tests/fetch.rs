//! Files fetched from servers of this machine, and what is left where that fails.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use hippocamp_download::{Allowed, DownloadFault, Downloads, Times};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each connection with these bytes, by the path that is asked for, and returns its address.
async fn serve(answers: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if socket.read_exact(&mut byte).await.is_err() {
                    break;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let answer = answers(head.split(' ').nth(1).unwrap_or_default());
            let is_whole = !answer.is_empty();
            socket.write_all(&answer).await.unwrap();
            if !is_whole {
                // Silence, until the client has enough of it.
                let _ = socket.read(&mut [0]).await;
            }
        }
    });
    address
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn to(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

fn downloads(allowed: &str) -> Downloads {
    let times = Times { silence: Duration::from_millis(200), ..Times::default() };
    Downloads::new(Allowed::matching(allowed).unwrap(), 1000, times)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test]
async fn a_file_gets_its_name_when_all_of_it_is_there() {
    let address = serve(|path| if path == "/first.mar" { to("/deep/second") } else { ok("content") }).await;
    let (folder, downloads) = (TempDir::new().unwrap(), downloads(".*"));
    let url = format!("{address}/first.mar");
    // A result that nobody takes leaves nothing.
    drop(downloads.fetch(&url, folder.path()).await.unwrap());
    assert!(is_empty(folder.path()));
    let fetched = downloads.fetch(&url, folder.path()).await.unwrap();
    assert_eq!(fetched.path(), folder.path().join("first.mar"));
    let path = fetched.keep();
    assert_eq!(fs::read(&path).unwrap(), b"content");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let fault = downloads.fetch(&url, folder.path()).await.unwrap_err();
    assert!(matches!(&fault, DownloadFault::Exists(name) if name == "first.mar"), "{fault}");
    assert_eq!(fault.to_string(), "Model file already exists first.mar");
}

#[tokio::test]
async fn what_fails_leaves_nothing() {
    let address = serve(|path| match path {
        "/large.mar" => ok(&"x".repeat(1001)),
        "/chunked.mar" => {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
            format!("{head}{}0\r\n\r\n", format!("1f4\r\n{}\r\n", "x".repeat(500)).repeat(3)).into_bytes()
        }
        "/short.mar" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf".to_vec(),
        "/round.mar" => to("/round.mar"),
        "/file.mar" => to("file:///etc/passwd"),
        "/silent.mar" => Vec::new(),
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    })
    .await;
    let (folder, downloads) = (TempDir::new().unwrap(), downloads(".*"));
    for (name, why) in [
        ("large.mar", "it has more than 1000 bytes"),
        ("chunked.mar", "it has more than 1000 bytes"),
        ("short.mar", ""),
        ("round.mar", "it leads to another URL more than 5 times"),
        ("file.mar", "only http and https are fetched, got 'file'"),
        ("silent.mar", "timed out"),
        ("nope.mar", "the answer was 404 Not Found"),
    ] {
        let url = format!("{address}/{name}");
        let fault = downloads.fetch(&url, folder.path()).await.unwrap_err().to_string();
        let start = format!("Failed to download archive from: {url}: ");
        assert!(fault.starts_with(&start) && fault.contains(why), "{fault}");
        assert!(is_empty(folder.path()), "{name}");
    }
    let nowhere = TempDir::new().unwrap().path().join("nowhere");
    let address = serve(|_| ok("content")).await;
    let fault = downloads.fetch(&format!("{address}/a.mar"), &nowhere).await.unwrap_err().to_string();
    assert!(fault.starts_with("Failed to save model: http"), "{fault}");
}

#[tokio::test]
async fn a_redirect_does_not_leave_what_is_allowed() {
    let inside = serve(|_| ok("secret")).await;
    let target = format!("{inside}/secret.mar");
    let location = target.clone();
    let outside = serve(move |_| to(&location)).await;
    let folder = TempDir::new().unwrap();
    let allowed = format!("{}/.*", outside.replace('.', "\\."));
    let fault = downloads(&allowed).fetch(&format!("{outside}/a.mar"), folder.path()).await.unwrap_err();
    assert_eq!(fault.to_string(), format!("Given URL {target} does not match any allowed URL(s)"));
    let fault = downloads(&allowed).fetch(&target, folder.path()).await.unwrap_err();
    assert!(matches!(fault, DownloadFault::NotAllowed(_)), "{fault}");
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn without_patterns_no_private_address_is_asked() {
    let address = serve(|_| ok("secret")).await;
    let port = address.rsplit(':').next().unwrap();
    let (folder, downloads) =
        (TempDir::new().unwrap(), Downloads::new(Allowed::Public, 1000, Times::default()));
    let fault = downloads.fetch(&format!("{address}/a.mar"), folder.path()).await.unwrap_err();
    assert!(matches!(fault, DownloadFault::NotAllowed(_)), "{fault}");
    // A name shows where it leads when it is looked up.
    let fault = downloads.fetch(&format!("http://localhost:{port}/a.mar"), folder.path()).await.unwrap_err();
    assert!(fault.to_string().contains("no address on the public internet"), "{fault}");
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn more_than_a_few_at_once_are_refused() {
    let address = serve(|_| Vec::new()).await;
    let folder = TempDir::new().unwrap();
    let downloads = Downloads::new(Allowed::matching(".*").unwrap(), 1000, Times::default());
    let url = format!("{address}/a.mar");
    let fetch = || downloads.fetch(&url, folder.path());
    let four = async { tokio::join!(fetch(), fetch(), fetch(), fetch()) };
    let fifth = async {
        // It begins behind the others, none of which is answered.
        tokio::task::yield_now().await;
        fetch().await
    };
    let refused = tokio::select! {
        biased;
        _ = four => panic!("nobody answers"),
        refused = fifth => refused.unwrap_err(),
    };
    assert!(matches!(refused, DownloadFault::Busy), "{refused}");
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_nothing() {
    let address = serve(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".to_vec()).await;
    let folder = TempDir::new().unwrap();
    let times = Times { whole: Duration::from_millis(100), ..Times::default() };
    let downloads = Downloads::new(Allowed::matching(".*").unwrap(), 1000, times);
    let fault = downloads.fetch(&format!("{address}/a.mar"), folder.path()).await.unwrap_err();
    assert!(!fault.to_string().is_empty());
    assert!(is_empty(folder.path()));
}
