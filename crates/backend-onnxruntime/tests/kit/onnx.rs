//! Writes small ONNX files, with as much of the format as the tests need.

use hippocamp_tensor::DataType;

/// The numbers of element types in the format.
pub(crate) mod element {
    pub(crate) const FLOAT: u64 = 1;
    pub(crate) const INT32: u64 = 6;
    pub(crate) const INT64: u64 = 7;
    pub(crate) const STRING: u64 = 8;
    pub(crate) const FLOAT8E4M3FN: u64 = 17;
}

/// A protobuf message under construction.
#[derive(Clone, Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.as_ref().len() as u64);
        self.0.extend_from_slice(value.as_ref());
        self
    }

    fn message(self, field: u64, value: Message) -> Self {
        self.bytes(field, value.0)
    }
}

/// A graph under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph(Message);

impl Graph {
    pub(crate) fn node(self, operator: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        self.node_with(operator, inputs, outputs, &[])
    }

    /// A node with integer attributes.
    pub(crate) fn node_with(
        self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, u64)],
    ) -> Self {
        let mut node = Message::default();
        for input in inputs {
            node = node.bytes(1, input);
        }
        for output in outputs {
            node = node.bytes(2, output);
        }
        node = node.bytes(3, format!("{operator}_of_{}", outputs.join("_"))).bytes(4, operator);
        for (name, value) in attributes {
            const INT: u64 = 2;
            node = node.message(5, Message::default().bytes(1, name).number(3, *value).number(20, INT));
        }
        Graph(self.0.message(1, node))
    }

    /// Adds an input. -1 is a variable dimension; `None` is a tensor of any rank.
    pub(crate) fn input(self, name: &str, element: u64, dims: Option<&[i64]>) -> Self {
        Graph(self.0.message(11, value_info(name, tensor_type(element, dims))))
    }

    pub(crate) fn output(self, name: &str, element: u64, dims: Option<&[i64]>) -> Self {
        Graph(self.0.message(12, value_info(name, tensor_type(element, dims))))
    }

    /// Adds an output that is a sequence of tensors.
    pub(crate) fn sequence_output(self, name: &str, element: u64) -> Self {
        let kind = Message::default().message(4, Message::default().message(1, tensor_type(element, None)));
        Graph(self.0.message(12, value_info(name, kind)))
    }

    pub(crate) fn initializer(self, name: &str, element: u64, dims: &[i64], raw: &[u8]) -> Self {
        let mut tensor = Message::default();
        for dim in dims {
            tensor = tensor.number(1, *dim as u64);
        }
        Graph(self.0.message(5, tensor.number(2, element).bytes(8, name).bytes(9, raw)))
    }

    /// Adds an initializer whose data is in another file at some offset.
    pub(crate) fn external_initializer(
        self,
        name: &str,
        element: u64,
        dims: &[i64],
        place: (&str, u64, u64),
    ) -> Self {
        const EXTERNAL: u64 = 1;
        let (file, offset, length) = place;
        let mut tensor = Message::default();
        for dim in dims {
            tensor = tensor.number(1, *dim as u64);
        }
        tensor = tensor.number(2, element).bytes(8, name);
        for (key, value) in
            [("location", file), ("offset", &offset.to_string()), ("length", &length.to_string())]
        {
            tensor = tensor.message(13, Message::default().bytes(1, key).bytes(2, value));
        }
        Graph(self.0.message(5, tensor.number(14, EXTERNAL)))
    }

    /// Adds a node of an operator set other than the standard one, with lists of numbers as attributes.
    pub(crate) fn node_of(
        self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, &[u64])],
    ) -> Self {
        let mut node = Message::default();
        for input in inputs {
            node = node.bytes(1, input);
        }
        for output in outputs {
            node = node.bytes(2, output);
        }
        node = node.bytes(4, operator).bytes(7, domain);
        for (name, values) in attributes {
            const INTS: u64 = 7;
            let list =
                values.iter().fold(Message::default().bytes(1, name), |list, value| list.number(8, *value));
            node = node.message(5, list.number(20, INTS));
        }
        Graph(self.0.message(1, node))
    }

    /// Adds an output that is a sequence of maps from integers to elements.
    pub(crate) fn maps_output(self, name: &str, element: u64) -> Self {
        let map = Message::default().number(1, element::INT64).message(2, tensor_type(element, Some(&[])));
        let sequence = Message::default().message(1, Message::default().message(5, map));
        Graph(self.0.message(12, value_info(name, Message::default().message(4, sequence))))
    }

    /// The complete file.
    pub(crate) fn encode(self) -> Vec<u8> {
        self.encode_for(9, &[("", 19)])
    }

    /// The complete file, with an IR version and versions of operator sets.
    pub(crate) fn encode_for(self, ir_version: u64, opsets: &[(&str, u64)]) -> Vec<u8> {
        let model = Message::default().number(1, ir_version).bytes(2, "kit").bytes(3, "1.2");
        let model = model.message(7, self.0.bytes(2, "g"));
        let opset = |(domain, version): &(&str, u64)| Message::default().bytes(1, domain).number(2, *version);
        opsets.iter().fold(model, |model, each| model.message(8, opset(each))).0
    }
}

fn value_info(name: &str, kind: Message) -> Message {
    Message::default().bytes(1, name).message(2, kind)
}

fn tensor_type(element: u64, dims: Option<&[i64]>) -> Message {
    let mut tensor = Message::default().number(1, element);
    if let Some(dims) = dims {
        let mut shape = Message::default();
        for dim in dims {
            // Without a name, so that variable dimensions at the same position need not be equal.
            let dimension = Message::default();
            shape = shape.message(1, if *dim < 0 { dimension } else { dimension.number(1, *dim as u64) });
        }
        tensor = tensor.message(2, shape);
    }
    Message::default().message(1, tensor)
}

/// Every supported element type.
pub(crate) const ELEMENTS: [(u64, DataType); 14] = [
    (element::FLOAT, DataType::Fp32),
    (2, DataType::Uint8),
    (3, DataType::Int8),
    (4, DataType::Uint16),
    (5, DataType::Int16),
    (element::INT32, DataType::Int32),
    (element::INT64, DataType::Int64),
    (element::STRING, DataType::Bytes),
    (9, DataType::Bool),
    (10, DataType::Fp16),
    (11, DataType::Fp64),
    (12, DataType::Uint32),
    (13, DataType::Uint64),
    (16, DataType::Bf16),
];
