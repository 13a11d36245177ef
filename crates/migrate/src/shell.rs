//! The words of a shell's command line. Nothing is expanded: variables, commands in backquotes and home folders stay as they are written,
//! as the new command is for a shell, too; and those that no shell would expand, as they were in quotation marks, are marked. Patterns of
//! file names and braces are taken as they are, as behind `--flag=` they match nothing.

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

/// The commands of a text, each as its words: what `&&`, `||`, `;`, `|`, `&` and line ends part. Quotation marks and backslashes are
/// taken off, a backslash before a line end joins the lines, and a comment is passed over.
pub(crate) fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
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
            '#' if word.is_none() => {
                // The line end is a separator of its own.
                while letters.next_if(|next| *next != '\n').is_some() {}
            }
            ';' | '\n' | '|' | '&' => {
                end(&mut commands, word.take());
                commands.push(Vec::new());
            }
            letter if letter.is_whitespace() => end(&mut commands, word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    end(&mut commands, word);
    commands.retain(|words| !words.is_empty());
    commands
}

/// Reads what is in double quotation marks, within which a shell expands variables.
fn double(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut String) {
    while let Some(next) = letters.next() {
        match next {
            '"' => return,
            '\\' => match letters.next_if(|next| matches!(next, '"' | '\\' | '$' | '`' | '\n')) {
                None => word.push('\\'),
                Some('\n') => {}
                Some(escaped) => add(word, escaped),
            },
            '~' => add(word, next),
            next => word.push(next),
        }
    }
}

fn add(word: &mut String, letter: char) {
    let letter = literal(word, letter);
    word.push(letter);
}

fn end(commands: &mut [Vec<String>], word: Option<String>) {
    if let (Some(command), Some(word)) = (commands.last_mut(), word) {
        command.push(word);
    }
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
    for letter in word.chars() {
        let is_literal = LITERAL.iter().any(|(mark, plain)| *mark == letter && *plain != '~');
        if is_literal || matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push_str(&plain(letter.encode_utf8(&mut [0; 4])));
    }
    text.push('"');
    text
}
