//! What a plan of the double says. Behind the header of a plan it is text, a statement a line:
//!
//! ```text
//! profiles 2
//! input x FLOAT -1,4 device data 1,4:4,4:8,4 9,4:16,4:16,4   each profile's least, best and largest shape
//! input s INT32 2 host shape 1,1:2,4:8,8                     of a shape tensor the values
//! output y FLOAT x.0,4 device data                           sizes are numbers, of an input's shape, or of its values: s#0
//! affine x y 2 1                                             y = 2 x + 1
//! copy x y
//! values s t                                                 a shape tensor as an output
//! late x y                                                   the elements above 0, whose number only a run tells
//! refuse 3                                                   a batch of 3 rows fails
//! compute-capability 9.0                                     the kind of GPU that it is for
//! host-code                                                  it brings code
//! format x 5                                                 the order of its elements
//! implicit-batch
//! ```

use hippocamp_tensorrt_sys::{DataType, Dims};

/// A plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) profiles: usize,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) refused_rows: Vec<i64>,
    pub(crate) has_host_code: bool,
    pub(crate) has_implicit_batch: bool,
    pub(crate) wants_plugin: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) is_input: bool,
    pub(crate) data_type: DataType,
    pub(crate) sizes: Vec<Size>,
    pub(crate) on_host: bool,
    pub(crate) is_shape: bool,
    /// For each profile, the least, the best and the largest: a shape, or the values of a shape tensor.
    pub(crate) ranges: Vec<[Vec<i64>; 3]>,
    pub(crate) format: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Fixed(i64),
    OfShape(String, usize),
    OfValues(String, usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Affine { from: String, to: String, factor: f32, offset: f32 },
    Copy { from: String, to: String },
    Values { from: String, to: String },
    Late { from: String, to: String },
}

impl Tensor {
    /// The shape as an engine says it, -1 for what varies.
    pub(crate) fn dims(&self) -> Dims {
        let size = |size: &Size| if let Size::Fixed(size) = size { *size } else { -1 };
        let sizes: Vec<i64> = self.sizes.iter().map(size).collect();
        Dims::new(&sizes).unwrap_or(Dims::INVALID)
    }
}

impl Plan {
    pub(crate) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Reads the text of a plan.
    pub(crate) fn parse(text: &str) -> Result<Plan, String> {
        let mut plan = Plan { profiles: 1, ..Plan::default() };
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            plan.statement(line).ok_or_else(|| format!("Serialization assertion failed: {line}"))?;
        }
        Ok(plan)
    }

    fn statement(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let own = |text: &&str| (*text).to_owned();
        match words.as_slice() {
            ["profiles", count] => self.profiles = count.parse().ok()?,
            ["input", rest @ ..] => self.tensors.push(tensor(rest, true)?),
            ["output", rest @ ..] => self.tensors.push(tensor(rest, false)?),
            ["affine", from, to, factor, offset] => self.operations.push(Operation::Affine {
                from: own(from),
                to: own(to),
                factor: factor.parse().ok()?,
                offset: offset.parse().ok()?,
            }),
            ["copy", from, to] => self.operations.push(Operation::Copy { from: own(from), to: own(to) }),
            ["values", from, to] => self.operations.push(Operation::Values { from: own(from), to: own(to) }),
            ["late", from, to] => self.operations.push(Operation::Late { from: own(from), to: own(to) }),
            ["refuse", rows] => self.refused_rows.push(rows.parse().ok()?),
            ["host-code"] => self.has_host_code = true,
            ["implicit-batch"] => self.has_implicit_batch = true,
            ["plugin", name] => self.wants_plugin = Some(own(name)),
            ["format", name, format] => {
                let tensor = self.tensors.iter_mut().find(|tensor| tensor.name == *name)?;
                tensor.format = format.parse().ok()?;
            }
            _ => return None,
        }
        Some(())
    }
}

fn tensor(words: &[&str], is_input: bool) -> Option<Tensor> {
    let [name, data_type, sizes, place, kind, ranges @ ..] = words else { return None };
    let data_type = match *data_type {
        "FLOAT" => DataType::Float,
        "HALF" => DataType::Half,
        "BF16" => DataType::BFloat16,
        "INT8" => DataType::Int8,
        "INT32" => DataType::Int32,
        "INT64" => DataType::Int64,
        "BOOL" => DataType::Bool,
        "UINT8" => DataType::UInt8,
        "FP8" => DataType::Fp8,
        _ => return None,
    };
    let range = |text: &&str| {
        let parts: Vec<Vec<i64>> = text.split(':').map(numbers).collect::<Option<_>>()?;
        <[Vec<i64>; 3]>::try_from(parts).ok()
    };
    let sizes =
        if *sizes == "scalar" { Vec::new() } else { sizes.split(',').map(size).collect::<Option<_>>()? };
    Some(Tensor {
        name: (*name).to_owned(),
        is_input,
        data_type,
        sizes,
        on_host: *place == "host",
        is_shape: *kind == "shape",
        ranges: ranges.iter().map(range).collect::<Option<_>>()?,
        format: 0,
    })
}

fn numbers(text: &str) -> Option<Vec<i64>> {
    text.split(',').map(|number| number.parse().ok()).collect()
}

fn size(text: &str) -> Option<Size> {
    if let Ok(number) = text.parse() {
        return Some(Size::Fixed(number));
    }
    if let Some((name, index)) = text.split_once('.') {
        return Some(Size::OfShape(name.to_owned(), index.parse().ok()?));
    }
    let (name, index) = text.split_once('#')?;
    Some(Size::OfValues(name.to_owned(), index.parse().ok()?))
}
