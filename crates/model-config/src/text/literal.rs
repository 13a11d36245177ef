//! The values of string, integer and float tokens.

/// Unescapes a string token, quotes included, onto `out`. On a fault: the characters in front of the bad escape, the
/// opening quote counted, and what is wrong with it.
pub(super) fn unescape(token: &str, out: &mut Vec<u8>) -> Result<(), (u32, &'static str)> {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    let mut rest = inner;
    while let Some(index) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..index]);
        let escape = &rest[index + 1..];
        rest = one_escape(escape, out).map_err(|message| {
            let before = inner.len() - rest.len() + index;
            (1 + inner[..before].chars().count() as u32, message)
        })?;
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// Reads what follows a backslash and returns the text behind it.
fn one_escape<'a>(escape: &'a str, out: &mut Vec<u8>) -> Result<&'a str, &'static str> {
    let Some(first) = escape.chars().next() else {
        return Err("Invalid escape sequence in string literal.");
    };
    let rest = &escape[first.len_utf8()..];
    let byte = match first {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' | '?' | '\'' | '"' => first as u8,
        '0'..='7' => return octal(escape, out),
        'x' | 'X' => return hex(rest, out),
        'u' => return unicode(rest, 4, out),
        'U' => return unicode(rest, 8, out),
        _ => return Err("Invalid escape sequence in string literal."),
    };
    out.push(byte);
    Ok(rest)
}

/// Up to three digits.
fn octal<'a>(digits: &'a str, out: &mut Vec<u8>) -> Result<&'a str, &'static str> {
    let length = digits.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let (digits, rest) = digits.split_at(length);
    out.push(u8::from_str_radix(digits, 8).map_err(|_| "Octal escape sequence is greater than \\377.")?);
    Ok(rest)
}

/// One or two digits.
fn hex<'a>(digits: &'a str, out: &mut Vec<u8>) -> Result<&'a str, &'static str> {
    let length = digits.bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
    let (digits, rest) = digits.split_at(length);
    out.push(u8::from_str_radix(digits, 16).map_err(|_| "Expected hex digits for escape sequence.")?);
    Ok(rest)
}

/// Exactly four or eight digits. Two halves of a surrogate pair make one character.
fn unicode<'a>(digits: &'a str, length: usize, out: &mut Vec<u8>) -> Result<&'a str, &'static str> {
    let fault = if length == 4 {
        "Expected four hex digits for \\u escape sequence."
    } else {
        "Expected eight hex digits up to 10ffff for \\U escape sequence"
    };
    let (code, mut rest) = code_point(digits, length).ok_or(fault)?;
    let mut code = code;
    if (0xd800..0xdc00).contains(&code)
        && let Some((low, behind)) = rest.strip_prefix("\\u").and_then(|digits| code_point(digits, 4))
        && (0xdc00..0xe000).contains(&low)
    {
        code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        rest = behind;
    }
    let character = char::from_u32(code).ok_or(fault)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(rest)
}

fn code_point(digits: &str, length: usize) -> Option<(u32, &str)> {
    let (digits, rest) = digits.split_at_checked(length)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// An integer token: decimal, `0x` hexadecimal or `0` octal. `None` if it does not fit.
pub(super) fn integer(token: &str) -> Option<u64> {
    if let Some(digits) = token.strip_prefix("0x").or_else(|| token.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok();
    }
    let radix = if token.len() > 1 && token.starts_with('0') { 8 } else { 10 };
    u64::from_str_radix(token, radix).ok()
}

/// A float token, or a decimal integer token. Never fails for what the lexer lets through.
pub(super) fn float(token: &str) -> Option<f64> {
    token.trim_end_matches(['f', 'F']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(token: &str) -> Result<String, (u32, &'static str)> {
        let mut out = Vec::new();
        unescape(token, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn knows_all_escapes() {
        assert_eq!(unescaped(r#""\a\b\f\n\r\t\v\\\?\'\"""#).unwrap(), "\x07\x08\x0c\n\r\t\x0b\\?'\"");
        assert_eq!(unescaped(r"'\0\61\1012\x4a\x4Az\x9'").unwrap(), "\u{0}1A2JJz\t");
        assert_eq!(unescaped(r"'\303\244\xc3\xa4ä'").unwrap(), "äää");
        assert_eq!(unescaped(r"'\u00e4\U0001F600\ud83d\ude00'").unwrap(), "ä😀😀");
    }

    #[test]
    fn says_which_escape_is_wrong() {
        let invalid = "Invalid escape sequence in string literal.";
        assert_eq!(unescaped(r"'ä\q'"), Err((2, invalid)));
        assert_eq!(unescaped(r"'a\nb\xg'"), Err((5, "Expected hex digits for escape sequence.")));
        assert_eq!(unescaped(r"'\777'"), Err((1, "Octal escape sequence is greater than \\377.")));
        for lone_or_short in [r"'\ud83d'", r"'\ud83d\u0041'", r"'\u12'", r"'\U00110000'", r"'\u+123'"] {
            assert!(unescaped(lone_or_short).is_err(), "{lone_or_short}");
        }
    }

    #[test]
    fn reads_numbers() {
        assert_eq!(integer("0"), Some(0));
        assert_eq!(integer("0x1F"), Some(31));
        assert_eq!(integer("017"), Some(15));
        assert_eq!(integer("18446744073709551615"), Some(u64::MAX));
        assert_eq!(integer("18446744073709551616"), None);
        assert_eq!(float("1.5e3f"), Some(1500.0));
        assert_eq!(float(".5"), Some(0.5));
        assert_eq!(float("7."), Some(7.0));
        assert_eq!(float("10F"), Some(10.0));
    }
}
