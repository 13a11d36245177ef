//! Any config, printed as text in any style, is read back as it was; and no text whatever makes the crate panic.

use hippocamp_model_config::{
    BackendFacts, DefaultFacts, Gpu, GpuSupport, Interface, ModelConfig, apply_defaults, from_json, parse,
    to_json, to_text, validate,
};
use proptest::collection::vec;
use proptest::prelude::*;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};

/// Random choices that proptest can shrink.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    /// 0 once they are used up, so that everything ends.
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn one_of(&mut self, count: usize) -> usize {
        usize::from(self.next()) % count
    }

    fn number(&mut self) -> u64 {
        let bytes = std::array::from_fn(|_| self.next());
        [0, 1, u64::from(bytes[0]), u64::from_le_bytes(bytes), u64::MAX][self.one_of(5)]
    }

    fn message(&mut self, descriptor: &MessageDescriptor) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            if self.next() < 128 {
                continue;
            }
            let value = if field.is_map() { self.map(&field) } else { self.field(&field) };
            message.set_field(&field, value);
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        if field.is_list() {
            let length = self.one_of(4);
            return Value::List((0..length).map(|_| self.value(&field.kind())).collect());
        }
        self.value(&field.kind())
    }

    fn map(&mut self, field: &FieldDescriptor) -> Value {
        let Kind::Message(entry) = field.kind() else { unreachable!("maps have entries") };
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let length = self.one_of(3);
        let entries = (0..length).map(|_| {
            let key = self.value(&key).into_map_key().expect("keys are scalars");
            (key, self.value(&value))
        });
        Value::Map(entries.collect())
    }

    fn value(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => Value::Bool(self.next() > 127),
            Kind::Int32 => Value::I32(self.number() as i32),
            Kind::Int64 => Value::I64(self.number() as i64),
            Kind::Uint32 => Value::U32(self.number() as u32),
            Kind::Uint64 => Value::U64(self.number()),
            Kind::Float => {
                let value = f32::from_bits(self.number() as u32);
                Value::F32(if value.is_nan() { f32::INFINITY } else { value })
            }
            // Few digits: the JSON reader may be off by the last bit of longer ones.
            Kind::Double => Value::F64(f64::from(self.number() as i32) / 16.0),
            Kind::String => {
                let length = self.one_of(6);
                Value::String((0..length).map(|_| self.character()).collect())
            }
            Kind::Enum(names) => {
                let index = self.one_of(names.values().len());
                Value::EnumNumber(names.values().nth(index).expect("in range").number())
            }
            Kind::Message(message) => Value::Message(self.message(message)),
            other => unreachable!("no {other:?} in a config"),
        }
    }

    fn character(&mut self) -> char {
        const CHARACTERS: [char; 12] =
            ['a', 'Z', '0', ' ', '"', '\'', '\\', '\n', '\u{7f}', '\u{e4}', '\u{1f600}', '\u{0}'];
        CHARACTERS[self.one_of(CHARACTERS.len())]
    }

    fn print(&mut self, message: &DynamicMessage, out: &mut String) {
        let descriptor = message.descriptor();
        for field in descriptor.fields().filter(|field| message.has_field(field)) {
            match &*message.get_field(&field) {
                Value::List(elements) => self.print_list(&field, elements, out),
                Value::Map(entries) => {
                    for (key, value) in entries {
                        self.print_entry(&field, key, value, out);
                    }
                }
                value => {
                    out.push_str(field.name());
                    self.print_value(&field.kind(), value, true, out);
                }
            }
            out.push_str([" ", "\n", ", ", "; ", " # a { comment\n"][self.one_of(5)]);
        }
    }

    fn print_list(&mut self, field: &FieldDescriptor, elements: &[Value], out: &mut String) {
        if self.next() > 127 {
            for element in elements {
                out.push_str(field.name());
                self.print_value(&field.kind(), element, true, out);
                out.push('\n');
            }
            return;
        }
        out.push_str(field.name());
        out.push_str(": [");
        for (index, element) in elements.iter().enumerate() {
            out.push_str(if index > 0 { ",\n" } else { "" });
            self.print_value(&field.kind(), element, false, out);
        }
        out.push(']');
    }

    fn print_entry(&mut self, field: &FieldDescriptor, key: &MapKey, value: &Value, out: &mut String) {
        let Kind::Message(entry) = field.kind() else { unreachable!("maps have entries") };
        out.push_str(field.name());
        out.push_str(" { key");
        self.print_value(&entry.map_entry_key_field().kind(), &key.clone().into(), true, out);
        out.push_str(" value");
        self.print_value(&entry.map_entry_value_field().kind(), value, true, out);
        out.push_str(" }\n");
    }

    fn print_value(&mut self, kind: &Kind, value: &Value, colon: bool, out: &mut String) {
        if let Value::Message(message) = value {
            out.push_str(if colon && self.next() > 127 { ": " } else { " " });
            let (open, close) = [("{ ", " }"), ("<", ">")][self.one_of(2)];
            out.push_str(open);
            self.print(message, out);
            out.push_str(close);
            return;
        }
        out.push_str(if colon { ": " } else { "" });
        let written = match (value, kind) {
            (Value::String(text), _) => return self.print_string(text, out),
            (Value::EnumNumber(number), Kind::Enum(names)) if self.next() > 127 => {
                names.get_value(*number).expect("a known number").name().to_owned()
            }
            (Value::EnumNumber(number), _) => number.to_string(),
            (Value::Bool(value), _) => value.to_string(),
            (Value::I32(value), _) => value.to_string(),
            (Value::I64(value), _) => value.to_string(),
            (Value::U32(value), _) => format!("{value:#x}"),
            (Value::U64(value), _) if *value > 0 => format!("0{value:o}"),
            (Value::U64(value), _) => value.to_string(),
            (Value::F32(value), _) => format!("{value:?}"),
            (Value::F64(value), _) => format!("{value:?}"),
            (other, _) => unreachable!("no {other:?} in a config"),
        };
        out.push_str(&written);
    }

    fn print_string(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => out.extend(['\\', character]),
                '\n' => out.push_str(["\\n", "\\012", "\\x0a"][self.one_of(3)]),
                '\0' => out.push_str("\\0\"\t\""),
                '\u{e4}' => out.push_str(["\\u00e4", "\\303\\244", "\u{e4}"][self.one_of(3)]),
                '\u{1f600}' => out.push_str(["\\U0001f600", "\\ud83d\\ude00", "\u{1f600}"][self.one_of(3)]),
                other => out.push(other),
            }
        }
        out.push('"');
    }
}

fn descriptor() -> MessageDescriptor {
    let pool = DescriptorPool::decode(hippocamp_proto::FILE_DESCRIPTOR_SET).expect("our own descriptors");
    pool.get_message_by_name("inference.ModelConfig").expect("part of the protocol")
}

fn config_and_text(choices: &[u8]) -> (ModelConfig, String) {
    let mut choices = Choices(choices.iter());
    let message = choices.message(&descriptor());
    let mut text = String::new();
    choices.print(&message, &mut text);
    (message.transcode_to().expect("the same schema"), text)
}

/// Everything that is done with a config before a model file is looked at.
fn use_up(config: ModelConfig) {
    let mut config = config;
    let backend = BackendFacts { gpus: GpuSupport::From(0, 0), ..BackendFacts::PLAIN };
    let facts = DefaultFacts {
        backends: [(config.backend.clone(), backend)].into(),
        gpus: Some(vec![Gpu { id: 0, compute_capability: (9, 0) }]),
        ..DefaultFacts::default()
    };
    let _ = validate(&config, None, "config.pbtxt", "m");
    apply_defaults(&mut config, "m", &facts);
    let once = config.clone();
    apply_defaults(&mut config, "m", &facts);
    assert_eq!(config, once, "defaults are filled in once");
    let _ = validate(&config, None, "config.pbtxt", "m");
    let _ = Interface::new(&config);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_comes_back(choices in vec(any::<u8>(), 0..2000)) {
        let (config, text) = config_and_text(&choices);
        let parsed = parse(&text, "config.pbtxt").map_err(|faults| TestCaseError::fail(format!("{faults}\n{text}")))?;
        prop_assert_eq!(parsed.config, config, "{}", text);
    }

    #[test]
    fn written_text_comes_back(choices in vec(any::<u8>(), 0..2000)) {
        let (config, _) = config_and_text(&choices);
        let text = to_text(&config, |path| path.len().is_multiple_of(2).then(|| format!("about {path}\n}} \"")));
        let parsed = parse(&text, "config.pbtxt").map_err(|faults| TestCaseError::fail(format!("{faults}\n{text}")))?;
        prop_assert_eq!(parsed.config, config, "{}", text);
    }

    #[test]
    fn json_comes_back(choices in vec(any::<u8>(), 0..2000)) {
        let (config, _) = config_and_text(&choices);
        let json = to_json(&config);
        let read = from_json(&json).map_err(|faults| TestCaseError::fail(format!("{faults}\n{json}")))?;
        prop_assert_eq!(read, config, "{}", json);
    }

    #[test]
    fn no_config_is_too_strange(choices in vec(any::<u8>(), 0..2000)) {
        use_up(config_and_text(&choices).0);
    }

    #[test]
    fn no_text_is_too_strange(text: String) {
        let _ = parse(&text, "config.pbtxt");
        let _ = from_json(&text);
    }

    #[test]
    fn no_broken_config_is_too_strange(choices in vec(any::<u8>(), 0..500), cuts in vec(any::<(u16, char)>(), 1..5)) {
        let mut text: Vec<char> = config_and_text(&choices).1.chars().collect();
        for (at, character) in cuts {
            let at = usize::from(at) % (text.len() + 1);
            if at < text.len() && character.is_ascii() {
                text.remove(at);
            } else {
                text.insert(at, character);
            }
        }
        if let Ok(parsed) = parse(&text.into_iter().collect::<String>(), "config.pbtxt") {
            use_up(parsed.config);
        }
    }

    #[test]
    fn no_heap_of_tokens_is_too_strange(tokens in vec(0..TOKENS.len(), 0..60)) {
        let text: Vec<&str> = tokens.into_iter().map(|token| TOKENS[token]).collect();
        for space in ["", " ", "\n"] {
            if let Ok(parsed) = parse(&text.join(space), "config.pbtxt") {
                use_up(parsed.config);
            }
        }
    }
}

const TOKENS: [&str; 24] = [
    "name",
    "input",
    "dims",
    "parameters",
    "key",
    "value",
    "max_batch_size",
    "bogus",
    ":",
    "{",
    "}",
    "<",
    ">",
    "[",
    "]",
    ",",
    ";",
    "-",
    "1",
    "0x",
    "'a'",
    "\"",
    "\u{e4}",
    "#",
];
