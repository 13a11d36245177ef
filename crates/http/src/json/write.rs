//! Writing JSON by hand, into one buffer.

/// Appends values to a text. Commas are put where they belong; that names and values alternate inside of objects, and
/// that what is opened is closed, is up to the caller.
#[derive(Debug, Default)]
pub struct JsonWriter {
    out: Vec<u8>,
    /// A value was written here: the next one needs a comma.
    after_value: bool,
}

impl JsonWriter {
    pub fn with_capacity(capacity: usize) -> JsonWriter {
        JsonWriter { out: Vec::with_capacity(capacity), after_value: false }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    pub fn open_object(&mut self) {
        self.open(b'{');
    }

    pub fn close_object(&mut self) {
        self.close(b'}');
    }

    pub fn open_array(&mut self) {
        self.open(b'[');
    }

    pub fn close_array(&mut self) {
        self.close(b']');
    }

    /// The name of the member that is written next.
    pub fn name(&mut self, name: &str) {
        self.string(name.as_bytes());
        self.out.push(b':');
        self.after_value = false;
    }

    /// A string. The bytes need not be UTF-8: those that need no escape are written as they are.
    pub fn string(&mut self, value: &[u8]) {
        self.before_value();
        self.out.push(b'"');
        let mut plain = 0;
        for (at, &byte) in value.iter().enumerate() {
            if !matches!(byte, b'"' | b'\\' | 0..0x20) {
                continue;
            }
            self.out.extend_from_slice(&value[plain..at]);
            plain = at + 1;
            self.escape(byte);
        }
        self.out.extend_from_slice(&value[plain..]);
        self.out.push(b'"');
    }

    pub fn boolean(&mut self, value: bool) {
        self.before_value();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub fn integer(&mut self, value: impl itoa::Integer) {
        self.before_value();
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// The shortest text that reads as this number again. It shows that it is a float: `1.0`. NaN and the infinities are
    /// written as bare words.
    pub fn double(&mut self, value: f64) {
        self.before_value();
        if value.is_finite() {
            self.out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
        } else if value.is_nan() {
            self.out.extend_from_slice(b"NaN");
        } else {
            self.out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
        }
    }

    /// A value that is JSON already.
    pub fn json(&mut self, value: &[u8]) {
        self.before_value();
        self.out.extend_from_slice(value);
    }

    /// A tensor's shape.
    pub fn shape(&mut self, shape: &[i64]) {
        self.open_array();
        for &dimension in shape {
            self.integer(dimension);
        }
        self.close_array();
    }

    /// Makes room for what will be written.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    fn before_value(&mut self) {
        if self.after_value {
            self.out.push(b',');
        }
        self.after_value = true;
    }

    fn open(&mut self, bracket: u8) {
        self.before_value();
        self.out.push(bracket);
        self.after_value = false;
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.after_value = true;
    }

    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0C => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                self.out.extend_from_slice(b"\\u00");
                self.out.extend_from_slice(&digits);
                return;
            }
        };
        self.out.extend_from_slice(&[b'\\', short]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut JsonWriter)) -> String {
        let mut writer = JsonWriter::default();
        write(&mut writer);
        String::from_utf8_lossy(&writer.into_bytes()).into_owned()
    }

    #[test]
    fn commas_are_where_they_belong() {
        let text = written(|w| {
            w.open_object();
            w.name("a");
            w.open_array();
            w.integer(1);
            w.open_array();
            w.close_array();
            w.boolean(true);
            w.close_array();
            w.name("b");
            w.json(b"{}");
            w.close_object();
        });
        assert_eq!(text, r#"{"a":[1,[],true],"b":{}}"#);
    }

    #[test]
    fn floats_show_that_they_are() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (f64::from(0.1f32), "0.10000000149011612"),
            (1e300, "1e300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(written(|w| w.double(value)), text);
        }
    }

    #[test]
    fn strings_are_escaped_and_keep_their_bytes() {
        assert_eq!(
            written(|w| w.string(b"a\"\\/\n\t\x08\x0C\r\x00\x1Fz")),
            r#""a\"\\/\n\t\b\f\r\u0000\u001Fz""#
        );
        let mut writer = JsonWriter::default();
        writer.string(b"\xFF\xFE\0z");
        assert_eq!(writer.into_bytes(), b"\"\xFF\xFE\\u0000z\"");
    }
}
