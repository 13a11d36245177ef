//! Names of entries: paths within the archive, which must not lead out of it.

/// The longest name in bytes.
const LONGEST: usize = 512;

/// Checks the name of an entry and returns it without a leading `./`. The error says why the name is refused.
pub(crate) fn checked(name: &str) -> Result<&str, String> {
    let plain = name.strip_prefix("./").unwrap_or(name);
    let shown = || {
        let end = name.floor_char_boundary(80);
        name[..end].escape_debug().to_string()
    };
    if plain.len() > LONGEST {
        return Err(format!("the name of an entry has {} bytes, expected at most {LONGEST}", plain.len()));
    }
    let leads_out = plain.starts_with('/')
        || plain.contains('\\')
        || plain.contains(char::is_control)
        || plain.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if leads_out {
        return Err(format!("entry '{}' would lie outside of the archive's folder", shown()));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for name in ["a", "MAR-INF/MANIFEST.json", "./a.b", "a/..b", "...", "ü"] {
            assert_eq!(checked(name), Ok(name.strip_prefix("./").unwrap_or(name)));
        }
        for name in
            ["", "/etc/passwd", "..", "../a", "a/../b", "a//b", "a/", "a\\b", "C:\\a", "a\0b", "a/./b", "./"]
        {
            assert!(checked(name).unwrap_err().contains("outside"), "{name}");
        }
        assert!(checked(&"x".repeat(600)).unwrap_err().contains("600 bytes"));
    }
}
