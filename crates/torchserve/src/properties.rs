//! Java's properties: `key=value` lines, as `config.properties` has them.

use std::collections::BTreeMap;

/// Reads the pairs. Of a key that stands twice the last one counts. A key ends at a blank, `=` or `:` that no backslash stands before.
pub(crate) fn parse(text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(first) = lines.next() {
        let mut line = first.trim_start().to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        // An odd number of backslashes at the end joins the next line.
        while (line.len() - line.trim_end_matches('\\').len()) % 2 == 1 {
            line.pop();
            match lines.next() {
                Some(next) => line.push_str(next.trim_start()),
                None => break,
            }
        }
        let (key, rest) = line.split_at(end_of_key(&line));
        let rest = rest.trim_start();
        let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim();
        pairs.insert(unescaped(key), unescaped(value));
    }
    pairs
}

fn end_of_key(line: &str) -> usize {
    let mut is_escaped = false;
    let end = line.char_indices().find(|&(_, each)| {
        let ends = !is_escaped && (each.is_whitespace() || matches!(each, '=' | ':'));
        is_escaped = !is_escaped && each == '\\';
        ends
    });
    end.map_or(line.len(), |(at, _)| at)
}

/// A text with what its backslashes stand for, as Java writes them: snapshots have line ends and colons that way.
fn unescaped(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        let meant = match (next, rest.as_str()) {
            ('\\', "") => break,
            ('\\', behind) => {
                let code = behind.strip_prefix('u').and_then(|hex| hex.get(..4));
                if let Some(code) = code.and_then(|hex| u16::from_str_radix(hex, 16).ok()) {
                    // Of one beyond these 16 bits Java writes two halves.
                    units.push(code);
                    rest = behind.get(5..).unwrap_or_default().chars();
                    continue;
                }
                match rest.next().unwrap_or_default() {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'f' => '\u{c}',
                    other => other,
                }
            }
            _ => next,
        };
        units.extend_from_slice(meant.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_reads() {
        let text = "# ports\ninference_address=http://0.0.0.0:8080\n! x\n  model_store : /a/b \nload_models=a.mar,\\\n    b.mar\nempty=\na=1\na=2\npath=c\\:\\\\d";
        let pairs = parse(text);
        assert_eq!(pairs["inference_address"], "http://0.0.0.0:8080");
        assert_eq!(pairs["model_store"], "/a/b");
        assert_eq!(pairs["load_models"], "a.mar,b.mar");
        assert_eq!((&*pairs["empty"], &*pairs["a"], &*pairs["path"]), ("", "2", "c:\\d"));
        assert_eq!(pairs.len(), 6);
        assert_eq!(parse("\\"), [(String::new(), String::new())].into());
    }

    #[test]
    fn blanks_end_keys_and_backslashes_are_javas() {
        let text = "metrics_address http://127.0.0.1:9000\na\\ b\t= 1\nsnapshot={\\n\\t\"name\"\\: \"a\"\\n}\nface=\\u00e9\\ud83d\\ude00\\u12\nalone";
        let pairs = parse(text);
        assert_eq!(pairs["metrics_address"], "http://127.0.0.1:9000");
        assert_eq!((&*pairs["a b"], &*pairs["alone"]), ("1", ""));
        assert_eq!(pairs["snapshot"], "{\n\t\"name\": \"a\"\n}");
        assert_eq!(pairs["face"], "\u{e9}\u{1f600}u12");
    }
}
