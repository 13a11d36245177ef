//! The words of a shell's command line. Nothing is expanded: variables, commands in backquotes and home folders stay as they are written,
//! as the new command is for a shell, too; and those that no shell would expand, as they were in quotation marks, are marked. Patterns of
//! file names and braces are taken as they are, as behind `--flag=` they match nothing.

use crate::program::is_variable;

/// A dollar sign, a backquote and a tilde that no shell expands, and what they are written as.
const LITERAL: [(char, char); 3] = [('\u{e024}', '$'), ('\u{e060}', '`'), ('\u{e07e}', '~')];

/// The text as it was written, without marks.
pub(crate) fn plain(text: &str) -> String {
    let letter =
        |letter| LITERAL.iter().find(|(mark, _)| *mark == letter).map_or(letter, |(_, plain)| *plain);
    text.chars().map(letter).collect()
}

/// A letter of a word that no shell expands.
fn literal(word: &str, letter: char) -> char {
    let found = LITERAL.iter().find(|(_, plain)| *plain == letter && (letter != '~' || word.is_empty()));
    found.map_or(letter, |(mark, _)| *mark)
}

/// One command of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) words: Vec<String>,
    /// Of each word whether something in it was quoted: such a word is no keyword.
    quoted: Vec<bool>,
    /// Where its output goes and its input comes from, each as it is written.
    pub(crate) redirects: Vec<String>,
    /// What stands behind it: `;` for a line end, too, or nothing at the end.
    pub(crate) separator: String,
    /// Whether it is a part of an `if`, a loop, a function or a group.
    pub(crate) within: bool,
}

/// Words that only say which commands are executed, and when.
const KEYWORDS: [&str; 13] =
    ["if", "then", "elif", "else", "fi", "while", "until", "do", "done", "{", "}", "!", "esac"];

/// The words of the commands of a text.
pub(crate) fn commands(text: &str) -> Vec<Vec<String>> {
    read(text).into_iter().map(|command| command.words).collect()
}

/// The commands of a text, each as its words: what `&&`, `||`, `;`, `|`, `&` and line ends part. Quotation marks and backslashes are
/// taken off, a backslash before a line end joins the lines, and a comment is passed over.
pub(crate) fn read(text: &str) -> Vec<Command> {
    let mut commands = vec![Command::default()];
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut depth = 0_usize;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        quoted |= matches!(letter, '\\' | '\'' | '"');
        match letter {
            '\\' => match letters.next() {
                None | Some('\n') => {}
                Some(next) => add(word.get_or_insert_default(), next),
            },
            '\'' => {
                let word = word.get_or_insert_default();
                letters.by_ref().take_while(|next| *next != '\'').for_each(|next| add(word, next));
            }
            '"' => double(&mut letters, word.get_or_insert_default()),
            '$' | '`' => expansion(letter, &mut letters, word.get_or_insert_default()),
            '#' if word.is_none() => {
                // The line end is a separator of its own.
                while letters.next_if(|next| *next != '\n').is_some() {}
            }
            '&' if letters.peek() == Some(&'>') => {
                end(&mut commands, word.take(), &mut quoted);
                redirect("&".to_owned(), &mut letters, &mut commands);
            }
            '>' | '<' => {
                let digits = word.take_if(|word| word.chars().all(|digit| digit.is_ascii_digit()));
                end(&mut commands, word.take(), &mut quoted);
                let operator = digits.unwrap_or_default() + letter.encode_utf8(&mut [0; 4]);
                redirect(operator, &mut letters, &mut commands);
            }
            '(' if word.is_none() => {
                depth += 1;
                separate(&mut commands, "(");
            }
            ')' if depth > 0 => {
                end(&mut commands, word.take(), &mut quoted);
                depth -= 1;
                separate(&mut commands, ")");
            }
            ';' | '\n' | '|' | '&' => {
                end(&mut commands, word.take(), &mut quoted);
                let is_double = letter != '\n' && letters.next_if_eq(&letter).is_some();
                let letter = if letter == '\n' { ";".to_owned() } else { letter.to_string() };
                separate(&mut commands, &letter.repeat(if is_double { 2 } else { 1 }));
            }
            letter if letter.is_whitespace() => end(&mut commands, word.take(), &mut quoted),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    end(&mut commands, word, &mut quoted);
    within(&mut commands);
    commands.retain(|command| !command.words.is_empty());
    commands
}

/// Begins the next command.
fn separate(commands: &mut Vec<Command>, separator: &str) {
    if let Some(command) = commands.last_mut() {
        separator.clone_into(&mut command.separator);
    }
    commands.push(Command::default());
}

/// Takes off the words that only say when commands are executed, and marks what they are around.
fn within(commands: &mut [Command]) {
    let mut depth = 0_usize;
    for command in commands {
        let ends = command.separator == ")";
        command.within = depth > 0 || ends;
        let mut keywords = 0;
        while let (Some(first), Some(false)) = (command.words.get(keywords), command.quoted.get(keywords)) {
            match first.as_str() {
                "if" | "while" | "until" | "{" => depth += 1,
                "fi" | "done" | "}" | "esac" => depth = depth.saturating_sub(1),
                "for" | "case" | "select" => {
                    // Its words are no command.
                    depth += 1;
                    keywords = command.words.len() - 1;
                }
                first if KEYWORDS.contains(&first) => {}
                first if first.strip_suffix("()").is_some_and(is_variable) => {}
                _ => break,
            }
            keywords += 1;
        }
        command.within |= keywords > 0;
        command.words.drain(..keywords);
        command.quoted.drain(..keywords);
        match command.separator.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// Reads where output goes to: an operator that has begun, and the word behind it.
fn redirect(mut text: String, letters: &mut Letters<'_>, commands: &mut [Command]) {
    while let Some(next) = letters.next_if(|next| matches!(next, '>' | '<' | '&' | '|')) {
        text.push(next);
    }
    if !text.ends_with('&') {
        text.push(' ');
    }
    while letters.next_if(|next| *next == ' ' || *next == '\t').is_some() {}
    let mut word = String::new();
    while let Some(letter) =
        letters.next_if(|next| !next.is_whitespace() && !matches!(next, ';' | '|' | '&' | '<' | '>' | ')'))
    {
        match letter {
            '"' => double(letters, &mut word),
            '\'' => letters.by_ref().take_while(|next| *next != '\'').for_each(|next| add(&mut word, next)),
            '\\' => drop(letters.next().map(|next| add(&mut word, next))),
            '$' | '`' => expansion(letter, letters, &mut word),
            letter => word.push(letter),
        }
    }
    text.push_str(&quoted(&word));
    if let Some(command) = commands.last_mut() {
        command.redirects.push(text);
    }
}

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Reads what a shell expands, from a dollar sign or a backquote on, as it is written: `$NAME`, `${...}`, `$(...)`. A dollar sign
/// before a bracket that is not closed is none that a shell could expand.
fn expansion(letter: char, letters: &mut Letters<'_>, word: &mut String) {
    if !matches!(letters.peek(), Some('(' | '{')) || letter == '`' {
        word.push(letter);
        return;
    }
    let rest: String = std::iter::once(letter).chain(letters.clone()).take(MAX_EXPANSION).collect();
    match substitution(&rest) {
        Some(length) => {
            word.push_str(&rest[..length]);
            for _ in rest[..length].chars().skip(1) {
                letters.next();
            }
        }
        None if rest.starts_with("$(") => add(word, letter),
        None => word.push(letter),
    }
}

/// How long an expansion may be that is read as one.
const MAX_EXPANSION: usize = 1024;

/// How long the `$(...)` is that a text begins with, with what is in quotation marks and brackets of its own; or the `${...}`, if
/// nothing is quoted in it.
fn substitution(text: &str) -> Option<usize> {
    if text.starts_with("${") {
        let end =
            text.bytes().take(MAX_EXPANSION).position(|byte| matches!(byte, b'}' | b'"' | b'\'' | b'\\'))?;
        return (text.as_bytes()[end] == b'}').then_some(end + 1);
    }
    text.strip_prefix("$(")?;
    let mut depth = 0_usize;
    let mut quote = None;
    let mut letters = text.char_indices().take(MAX_EXPANSION).skip(1);
    while let Some((place, letter)) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => drop(letters.next()),
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(mark)) if letter == mark => quote = None,
            ('(', None) => depth += 1,
            (')', None) if depth == 1 => return Some(place + 1),
            (')', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Reads what is in double quotation marks, within which a shell expands variables.
fn double(letters: &mut Letters<'_>, word: &mut String) {
    while let Some(next) = letters.next() {
        match next {
            '"' => return,
            '\\' => match letters.next_if(|next| matches!(next, '"' | '\\' | '$' | '`' | '\n')) {
                None => word.push('\\'),
                Some('\n') => {}
                Some(escaped) => add(word, escaped),
            },
            '$' | '`' => expansion(next, letters, word),
            '~' => add(word, next),
            next => word.push(next),
        }
    }
}

fn add(word: &mut String, letter: char) {
    let letter = literal(word, letter);
    word.push(letter);
}

fn end(commands: &mut [Command], word: Option<String>, quoted: &mut bool) {
    if let (Some(command), Some(word)) = (commands.last_mut(), word) {
        command.words.push(word);
        command.quoted.push(*quoted);
    }
    *quoted = false;
}

/// The variables that a command sets, if that is all it does: `NAME=VALUE`, and behind `export` also a name alone.
pub(crate) fn assignments(words: &[String]) -> Vec<(&str, Option<&str>)> {
    let (exported, words) = match words {
        [first, rest @ ..] if first == "export" => (true, rest),
        words => (false, words),
    };
    let read = |word: &'_ String| match word.split_once('=') {
        Some((name, _)) if !is_variable(name) => None,
        Some(_) => Some(()),
        None => (exported && is_variable(word)).then_some(()),
    };
    if words.iter().any(|word| read(word).is_none()) {
        return Vec::new();
    }
    words
        .iter()
        .map(|word| word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value))))
        .collect()
}

/// A word as a shell reads it back: what it would expand is left for it, what it would not is not.
pub(crate) fn quoted(word: &str) -> String {
    let plain_letter = |letter: char| letter.is_alphanumeric() || "-_=./:,@%+".contains(letter);
    let home = word.strip_prefix('~').map(|rest| rest.find('/').map_or(word.len(), |slash| slash + 2));
    if let Some(length) = home.filter(|length| word[1..*length].chars().all(plain_letter)) {
        let (home, rest) = word.split_at(length);
        return if rest.is_empty() { home.to_owned() } else { format!("{home}{}", quoted(rest)) };
    }
    if !word.is_empty() && word.chars().all(plain_letter) {
        return word.to_owned();
    }
    if !word.contains(['$', '`']) {
        return format!("'{}'", plain(word).replace('\'', r"'\''"));
    }
    let mut text = String::from('"');
    let mut rest = word;
    while let Some(letter) = rest.chars().next() {
        // A shell reads it by itself, with quotation marks of its own.
        if let Some(length) = substitution(rest) {
            text.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        let is_literal = LITERAL.iter().any(|(mark, plain)| *mark == letter && *plain != '~')
            || (letter == '$' && rest.starts_with('('));
        if is_literal || matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push_str(&plain(letter.encode_utf8(&mut [0; 4])));
    }
    text.push('"');
    text
}
