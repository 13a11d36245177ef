//! A change of settings as a client asks for it. The texts are Triton's.

use thiserror::Error;

use crate::Level;

/// What a change does to one setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// The setting stays as it is.
    #[default]
    Keep,
    /// The setting follows the one that it stands in for: a model's that of the server, the server's that of its start.
    Clear,
    /// The setting gets this value.
    Set(T),
}

/// A change of the settings of the server or of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What is noted.
    pub level: Field<Level>,
    /// Every how many requests one is traced.
    pub rate: Field<u32>,
    /// How many requests are traced in all.
    pub count: Field<i32>,
    /// How many traces make a file.
    pub log_frequency: Field<u32>,
}

/// Why a change was not made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChangeFault {
    /// The trace file is chosen when the server is started.
    #[error("trace file location can not be updated through network protocol")]
    File,
    /// A value that cannot be what it is meant for.
    #[error("{0}")]
    Value(String),
}

/// The protocol that a change came by. Two of its texts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Protocol {
    Http,
    Grpc,
}

/// Reads a change. `values` returns the values that the client gave a setting: `None` if it does not name the setting, an
/// empty list to clear it. Settings of other names are ignored.
pub fn parse_change<'v>(
    protocol: Protocol,
    values: impl Fn(&str) -> Option<Vec<&'v str>>,
) -> Result<Change, ChangeFault> {
    if values("trace_file").is_some() {
        return Err(ChangeFault::File);
    }
    let number =
        |name: &str, highest: u32| one(name, values(name).as_deref(), |text| unsigned(name, text, highest));
    let level = match values("trace_level") {
        None => Field::Keep,
        Some(names) if names.is_empty() => Field::Clear,
        Some(names) => match level(&names)? {
            Some(level) => Field::Set(level),
            None => Field::Keep,
        },
    };
    Ok(Change {
        level,
        rate: number("trace_rate", u32::MAX)?,
        count: one("trace_count", values("trace_count").as_deref(), |text| count(protocol, text))?,
        log_frequency: number("log_frequency", u32::MAX)?,
    })
}

/// The level of those names; `None` if none of them is known.
fn level(names: &[&str]) -> Result<Option<Level>, ChangeFault> {
    let mut level = None;
    for name in names {
        let one = match *name {
            "OFF" if names.len() > 1 => {
                return Err(ChangeFault::Value("Expect only one trace level 'OFF' is specified".to_owned()));
            }
            "OFF" => Level::OFF,
            "TIMESTAMPS" => Level { timestamps: true, ..Level::OFF },
            "TENSORS" => Level { tensors: true, ..Level::OFF },
            _ => continue,
        };
        level = Some(one.and(level.unwrap_or_default()));
    }
    Ok(level)
}

fn one<T>(
    name: &str,
    values: Option<&[&str]>,
    read: impl FnOnce(&str) -> Result<T, ChangeFault>,
) -> Result<Field<T>, ChangeFault> {
    match values {
        None => Ok(Field::Keep),
        Some([]) => Ok(Field::Clear),
        Some([value]) => read(value).map(Field::Set),
        Some(_) => Err(ChangeFault::Value(format!("expect only 1 value for '{name}'"))),
    }
}

fn whole(name: &str, text: &str, range: &str) -> Result<i64, ChangeFault> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(ChangeFault::Value(format!("Unable to parse '{name}', got: {text}")));
    }
    text.parse().map_err(|_| out_of_range(name, text, range))
}

fn out_of_range(name: &str, text: &str, range: &str) -> ChangeFault {
    ChangeFault::Value(format!("Unable to parse '{name}', value is out of range [ {range} ], got: {text}"))
}

fn unsigned(name: &str, text: &str, highest: u32) -> Result<u32, ChangeFault> {
    let range = format!("0, {highest}");
    u32::try_from(whole(name, text, &range)?).map_err(|_| out_of_range(name, text, &range))
}

fn count(protocol: Protocol, text: &str) -> Result<i32, ChangeFault> {
    const RANGE: &str = "-1, 2147483647";
    let count = whole("trace_count", text, RANGE)?;
    if (i64::from(i32::MIN)..-1).contains(&count) {
        let space = if protocol == Protocol::Grpc { " " } else { "" };
        return Err(ChangeFault::Value(format!(
            "Unable to parse 'trace_count'. Expecting value >= -1, got:{space}{text}"
        )));
    }
    i32::try_from(count).map_err(|_| out_of_range("trace_count", text, RANGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &[&'static str])]) -> Result<Change, String> {
        let find = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, values)| values.to_vec());
        parse_change(Protocol::Http, find).map_err(|fault| fault.to_string())
    }

    #[test]
    fn each_setting_is_kept_cleared_or_set() {
        assert_eq!(read(&[]), Ok(Change::default()));
        let change = read(&[
            ("trace_level", &["TENSORS", "FOO", "TIMESTAMPS"]),
            ("trace_rate", &["4294967295"]),
            ("trace_count", &["-1"]),
            ("log_frequency", &[]),
            ("other", &["1", "2"]),
        ]);
        let expected = Change {
            level: Field::Set(Level { timestamps: true, tensors: true }),
            rate: Field::Set(u32::MAX),
            count: Field::Set(-1),
            log_frequency: Field::Clear,
        };
        assert_eq!(change, Ok(expected));
        assert_eq!(read(&[("trace_level", &["off"])]).unwrap().level, Field::Keep, "names have a case");
        assert_eq!(read(&[("trace_level", &["OFF"])]).unwrap().level, Field::Set(Level::OFF));
    }

    #[test]
    fn faults_have_tritons_texts() {
        let cases: [(&str, &[&'static str], &str); 9] = [
            ("trace_file", &[], "trace file location can not be updated through network protocol"),
            ("trace_level", &["OFF", "TENSORS"], "Expect only one trace level 'OFF' is specified"),
            ("trace_rate", &["abc"], "Unable to parse 'trace_rate', got: abc"),
            ("trace_rate", &[""], "Unable to parse 'trace_rate', got: "),
            ("log_frequency", &["1", "2"], "expect only 1 value for 'log_frequency'"),
            (
                "trace_rate",
                &["4294967296"],
                "Unable to parse 'trace_rate', value is out of range [ 0, 4294967295 ], got: 4294967296",
            ),
            (
                "log_frequency",
                &["-1"],
                "Unable to parse 'log_frequency', value is out of range [ 0, 4294967295 ], got: -1",
            ),
            ("trace_count", &["-2"], "Unable to parse 'trace_count'. Expecting value >= -1, got:-2"),
            (
                "trace_count",
                &["99999999999999999999"],
                "Unable to parse 'trace_count', value is out of range [ -1, 2147483647 ], got: 99999999999999999999",
            ),
        ];
        for (name, values, text) in cases {
            assert_eq!(read(&[(name, values)]), Err(text.to_owned()), "{name} {values:?}");
        }
        let grpc = parse_change(Protocol::Grpc, |name| (name == "trace_count").then(|| vec!["-2"]));
        assert_eq!(
            grpc.unwrap_err().to_string(),
            "Unable to parse 'trace_count'. Expecting value >= -1, got: -2"
        );
    }
}
