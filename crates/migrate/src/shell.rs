//! The words of a shell's command line. Nothing is expanded: a variable stays as it is written, as the new command is for a shell, too.

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
                Some(next) => word.get_or_insert_default().push(next),
            },
            '\'' => {
                let word = word.get_or_insert_default();
                word.extend(letters.by_ref().take_while(|next| *next != '\''));
            }
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(next) = letters.next() {
                    match next {
                        '"' => break,
                        '\\' if matches!(letters.peek(), Some('"' | '\\' | '$' | '`')) => {
                            word.extend(letters.next());
                        }
                        '\\' if letters.peek() == Some(&'\n') => drop(letters.next()),
                        next => word.push(next),
                    }
                }
            }
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

fn end(commands: &mut [Vec<String>], word: Option<String>) {
    if let (Some(command), Some(word)) = (commands.last_mut(), word) {
        command.push(word);
    }
}
