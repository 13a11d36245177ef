//! Java's properties: `key=value` lines, as `config.properties` has them.

use std::collections::BTreeMap;

/// Reads the pairs. Of a key that stands twice the last one counts.
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
        let end = line.find(['=', ':']).unwrap_or(line.len());
        let (key, value) = line.split_at(end);
        let value = value.get(1..).unwrap_or_default().trim();
        pairs.insert(
            key.trim().to_owned(),
            value.replace("\\\\", "\u{0}").replace('\\', "").replace('\u{0}', "\\"),
        );
    }
    pairs
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
}
