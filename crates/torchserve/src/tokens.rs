//! TorchServe's tokens: a file of keys, made at the start, that clients show.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use parking_lot::Mutex;
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::Failure;
use crate::describe::timestamp;

/// The longest life of a key: a hundred years.
const FOR_EVER: Duration = Duration::from_hours(100 * 365 * 24);

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Predictions and health.
    Inference,
    /// Registering, scaling, and the like.
    Management,
}

/// The keys, and the file that has them.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    lifetime: Duration,
    /// Makes new ones of the other two.
    api: String,
    keys: Mutex<Keys>,
}

#[derive(Clone, Debug)]
struct Keys {
    inference: Key,
    management: Key,
}

#[derive(Clone, Debug)]
struct Key {
    text: String,
    expires: SystemTime,
}

impl Tokens {
    /// Makes keys and writes them to a file, which only its owner may read. They expire after `lifetime`.
    pub fn create(path: &Path, lifetime: Duration) -> io::Result<Tokens> {
        let api = random_key()?;
        let keys = Keys { inference: Key::new(lifetime)?, management: Key::new(lifetime)? };
        let tokens = Tokens { path: path.to_owned(), lifetime, api, keys: Mutex::new(keys.clone()) };
        tokens.write(&keys)?;
        Ok(tokens)
    }

    /// Checks the value of a header `Authorization`.
    pub fn check(&self, kind: TokenKind, authorization: Option<&str>) -> Result<(), Failure> {
        let given = bearer(authorization).ok_or_else(Failure::no_token)?;
        let key = self.keys.lock().of(kind).clone();
        if is_same(given, &key.text) && SystemTime::now() < key.expires {
            return Ok(());
        }
        Err(Failure::no_token())
    }

    /// Makes a new key in the place of one, for who shows the key of the API. Returns the sentence for the client.
    pub fn renew(&self, kind: TokenKind, authorization: Option<&str>) -> Result<String, Failure> {
        let given = bearer(authorization).ok_or_else(Failure::no_token)?;
        if !is_same(given, &self.api) {
            return Err(Failure::no_token());
        }
        let failed = |error: io::Error| Failure::internal(format!("the token could not be written: {error}"));
        let key = Key::new(self.lifetime).map_err(failed)?;
        let mut keys = self.keys.lock();
        let mut renewed = keys.clone();
        *renewed.of_mut(kind) = key;
        // A key that nobody could read does not take the place of one that somebody has.
        self.write(&renewed).map_err(failed)?;
        *keys = renewed;
        Ok(match kind {
            TokenKind::Inference => "Inference token generated successfully".to_owned(),
            TokenKind::Management => "Management token generated successfully".to_owned(),
        })
    }

    fn write(&self, keys: &Keys) -> io::Result<()> {
        let key = |key: &Key| json!({"key": key.text, "expiration time": timestamp(key.expires)});
        let text = json!({
            "management": key(&keys.management),
            "inference": key(&keys.inference),
            "API": {"key": self.api},
        });
        let beside = self.path.with_extension("json.new");
        // Whatever has that name, such as a link, is not written to.
        if let Err(error) = fs::remove_file(&beside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(crate::failure::pretty(&text).as_bytes())?;
        fs::rename(&beside, &self.path)
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

impl Keys {
    fn of(&self, kind: TokenKind) -> &Key {
        match kind {
            TokenKind::Inference => &self.inference,
            TokenKind::Management => &self.management,
        }
    }

    fn of_mut(&mut self, kind: TokenKind) -> &mut Key {
        match kind {
            TokenKind::Inference => &mut self.inference,
            TokenKind::Management => &mut self.management,
        }
    }
}

impl Key {
    fn new(lifetime: Duration) -> io::Result<Key> {
        // Whoever asks for more than the clock has means for ever.
        let expires = SystemTime::now() + lifetime.min(FOR_EVER);
        Ok(Key { text: random_key()?, expires })
    }
}

/// Six random bytes of the system, as TorchServe writes them: eight letters.
fn random_key() -> io::Result<String> {
    let mut bytes = [0; 6];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(URL_SAFE.encode(bytes))
}

fn bearer(authorization: Option<&str>) -> Option<&str> {
    authorization?.strip_prefix("Bearer ").map(str::trim)
}

fn is_same(given: &str, key: &str) -> bool {
    given.as_bytes().ct_eq(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_and_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key_file.json");
        let tokens = Tokens::create(&path, Duration::from_mins(1)).unwrap();
        let read = || serde_json::from_str::<serde_json::Value>(&fs::read_to_string(&path).unwrap()).unwrap();
        let key = |name: &str| format!("Bearer {}", read()[name]["key"].as_str().unwrap());
        let (old, api) = (key("inference"), key("API"));
        assert_eq!(old.len(), "Bearer ".len() + 8);
        tokens.check(TokenKind::Inference, Some(&old)).unwrap();
        for wrong in
            [None, Some(""), Some("Bearer "), Some(&*key("management")), Some(&old["Bearer ".len()..])]
        {
            assert_eq!(tokens.check(TokenKind::Inference, wrong), Err(Failure::no_token()), "{wrong:?}");
        }
        assert!(tokens.renew(TokenKind::Inference, Some(&old)).is_err());
        tokens.renew(TokenKind::Inference, Some(&api)).unwrap();
        assert!(tokens.check(TokenKind::Inference, Some(&old)).is_err());
        tokens.check(TokenKind::Inference, Some(&key("inference"))).unwrap();
        drop(tokens);
        assert!(!path.try_exists().unwrap());
    }

    #[test]
    fn keys_expire() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key_file.json");
        let tokens = Tokens::create(&path, Duration::ZERO).unwrap();
        let key = tokens.keys.lock().inference.text.clone();
        assert!(tokens.check(TokenKind::Inference, Some(&format!("Bearer {key}"))).is_err());
        drop(tokens);
        let tokens = Tokens::create(&path, Duration::MAX).unwrap();
        let key = tokens.keys.lock().inference.text.clone();
        tokens.check(TokenKind::Inference, Some(&format!("Bearer {key}"))).unwrap();
    }

    #[test]
    fn a_link_beside_the_file_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("key_file.json"), folder.path().join("other"));
        fs::write(&other, "not mine").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("key_file.json.new")).unwrap();
        let tokens = Tokens::create(&path, Duration::from_mins(1)).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "not mine");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        drop(tokens);
    }
}
