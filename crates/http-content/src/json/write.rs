//! Writing JSON by hand, into one buffer.

use super::plain::plain_length;

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

    #[inline]
    pub fn open_object(&mut self) {
        self.open(b'{');
    }

    #[inline]
    pub fn close_object(&mut self) {
        self.close(b'}');
    }

    #[inline]
    pub fn open_array(&mut self) {
        self.open(b'[');
    }

    #[inline]
    pub fn close_array(&mut self) {
        self.close(b']');
    }

    /// The name of the member that is written next.
    #[inline]
    pub fn name(&mut self, name: &str) {
        self.string(name.as_bytes());
        self.out.push(b':');
        self.after_value = false;
    }

    /// As [`name`](JsonWriter::name), for a name that is known when this is compiled: it is given as it is written, quoted and with
    /// its colon.
    #[inline]
    pub fn quoted_name(&mut self, name: &'static str) {
        debug_assert!(name.starts_with('"') && name.ends_with("\":"), "{name}");
        self.before_value();
        self.out.extend_from_slice(name.as_bytes());
        self.after_value = false;
    }

    /// A string. Bytes that need no escape are written as they are: whoever does not know that they are UTF-8 has to look.
    pub fn string(&mut self, value: &[u8]) {
        self.out.reserve(value.len() + 3);
        self.before_value();
        self.out.push(b'"');
        let mut rest = value;
        loop {
            let (plain, special) = rest.split_at(plain_length(rest));
            self.out.extend_from_slice(plain);
            let Some((&byte, behind)) = special.split_first() else { break };
            self.escape(byte);
            rest = behind;
        }
        self.out.push(b'"');
    }

    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.before_value();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    #[inline]
    pub fn integer(&mut self, value: impl itoa::Integer) {
        self.before_value();
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// The shortest text that reads as this number again. It shows that it is a float: `1.0`. NaN and the infinities are
    /// written as bare words.
    pub fn double(&mut self, value: f64) {
        self.before_value();
        self.out.extend_from_slice(Digits::new().of(value));
    }

    /// The same for many, one after the other.
    pub fn doubles(&mut self, values: impl Iterator<Item = f64>) {
        let (mut digits, mut line, mut end) = (Digits::new(), [0; 1024], 0);
        for value in values {
            if end + WIDEST_DOUBLE > line.len() {
                self.out.extend_from_slice(&line[..end]);
                end = 0;
            }
            if self.after_value {
                line[end] = b',';
                end += 1;
            }
            self.after_value = true;
            let text = digits.of(value);
            put(text, &mut line[end..]);
            end += text.len();
        }
        self.out.extend_from_slice(&line[..end]);
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

    #[inline]
    fn before_value(&mut self) {
        if self.after_value {
            self.out.push(b',');
        }
        self.after_value = true;
    }

    #[inline]
    fn open(&mut self, bracket: u8) {
        self.before_value();
        self.out.push(bracket);
        self.after_value = false;
    }

    #[inline]
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

/// The most that a double takes, with the comma before it.
pub(super) const WIDEST_DOUBLE: usize = 25;

/// From here on a double is written with an exponent.
const WITH_EXPONENT: f64 = 1e16;

/// Room for the text of a double.
struct Digits {
    usual: zmij::Buffer,
    large: [u8; WIDEST_DOUBLE],
}

impl Digits {
    fn new() -> Digits {
        Digits { usual: zmij::Buffer::new(), large: [0; WIDEST_DOUBLE] }
    }

    fn of(&mut self, value: f64) -> &[u8] {
        if value.abs() < WITH_EXPONENT {
            self.usual.format_finite(value).as_bytes()
        } else if value.is_finite() {
            self.large(value)
        } else if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        }
    }

    /// `1e300`, where the formatter writes `1e+300`.
    #[cold]
    fn large(&mut self, value: f64) -> &[u8] {
        let mut end = 0;
        for byte in self.usual.format_finite(value).bytes().filter(|&byte| byte != b'+') {
            self.large[end] = byte;
            end += 1;
        }
        &self.large[..end]
    }
}

/// Copies a short text. Two copies of a size that is known, overlapping, take a fraction of a call.
fn put(text: &[u8], target: &mut [u8]) {
    let size = text.len();
    let target = &mut target[..size];
    if let (Some(first), Some(last)) = (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        target[..16].copy_from_slice(first);
        target[size - 16..].copy_from_slice(last);
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        target[..8].copy_from_slice(first);
        target[size - 8..].copy_from_slice(last);
    } else {
        for (to, from) in target.iter_mut().zip(text) {
            *to = *from;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn floats_read_as_what_they_are_and_are_as_short_as_can_be(bits in any::<u64>(), narrow in any::<f32>(), power in -320..310, plain in -1e6..1e6) {
            for value in [f64::from_bits(bits), f64::from(narrow), plain, plain.trunc(), 10f64.powi(power)] {
                if value.is_finite() {
                    let text = written(|w| w.double(value));
                    prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
                    let form = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
                    prop_assert_eq!(form(&text), form(&standard(value)), "{}", text);
                    prop_assert!(text.len() < WIDEST_DOUBLE);
                }
            }
        }

        #[test]
        fn many_floats_are_written_as_one_by_one(values in prop::collection::vec(any::<f64>(), 0..200)) {
            let many = written(|w| w.doubles(values.iter().copied()));
            prop_assert_eq!(many, written(|w| values.iter().for_each(|value| w.double(*value))));
        }
    }

    /// The same by the standard library, which may end in another digit where two texts are equally short and near.
    fn standard(value: f64) -> String {
        let scientific = format!("{value:e}");
        let exponent: i32 = scientific.split_once('e').unwrap().1.parse().unwrap();
        let plain = value.to_string();
        match plain.contains('.') {
            _ if value != 0.0 && !(-5..16).contains(&exponent) => scientific,
            true => plain,
            false => plain + ".0",
        }
    }

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
            w.quoted_name("\"c\":");
            w.integer(2);
            w.close_object();
        });
        assert_eq!(text, r#"{"a":[1,[],true],"b":{},"c":2}"#);
    }

    #[test]
    fn floats_show_that_they_are() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (f64::from(0.1f32), "0.10000000149011612"),
            (1e300, "1e300"),
            (-1.5e16, "-1.5e16"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e-5, "0.00001"),
            (1.5e-6, "1.5e-6"),
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
