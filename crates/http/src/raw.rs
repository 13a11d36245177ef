//! Raw requests: a body that is nothing but the content of a model's only input.

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_model_config::Interface;
use hippocamp_tensor::{DataType, Shape, TensorData};

/// The type, the shape and the bytes of a model's only input, as its body gives them: one batch entry, and the open
/// dimension takes what there is.
pub(crate) fn deduce(
    model: &str,
    interface: &Interface,
    content: TensorData,
) -> Result<(DataType, Shape, TensorData)> {
    let [input] = interface.inputs.as_slice() else {
        let count = interface.inputs.len();
        return Err(refused(&format!(
            "Raw request must only have 1 input (found 1) to be deduced but got {count} inputs in '{model}' model \
             configuration"
        )));
    };
    let name = &input.name;
    if input.dims.iter().filter(|&&dim| dim == -1).count() > 1 {
        return Err(refused(&format!(
            "The shape of the raw input '{name}' can not be deduced because there are more than one variable-sized \
             dimension"
        )));
    }
    let data = if input.data_type == DataType::Bytes {
        if input.dims.element_count() != Some(1) {
            return Err(refused(&format!(
                "For BYTE datatype raw input '{name}', the model must have input shape [1]"
            )));
        }
        one_element(content)?
    } else {
        content
    };
    let open = open_dimension(&input.dims, input.data_type, data.len());
    let dims = input.dims.iter().map(|&dim| if dim == -1 { open } else { dim });
    let shape = (interface.max_batch_size > 0).then_some(1).into_iter().chain(dims).collect();
    Ok((input.data_type, shape, data))
}

/// The content with its length in front.
fn one_element(content: TensorData) -> Result<TensorData> {
    let length = u32::try_from(content.len())
        .map_err(|_| Error::invalid_arg("an element of a BYTES tensor is shorter than 4 GiB"))?;
    let length = Bytes::copy_from_slice(&length.to_le_bytes());
    Ok(std::iter::once(length).chain(content.into_host()?).collect())
}

/// How large the open dimension is; what remains of the bytes then shows when the request is checked.
fn open_dimension(dims: &Shape, data_type: DataType, size: usize) -> i64 {
    let fixed: Shape = dims.iter().copied().filter(|&dim| dim != -1).collect();
    match fixed.byte_size(data_type) {
        None | Some(0) => 0,
        Some(each) => (size / each) as i64,
    }
}

#[cold]
fn refused(text: &str) -> Error {
    Error::invalid_arg(format!("[request id: <id_unknown>] {text}"))
}

#[cfg(test)]
mod tests {
    use hippocamp_model_config::TensorSpec;

    use super::*;

    /// Type and dims of an input.
    type Declared = (DataType, &'static [i64]);

    fn deduced(inputs: &[Declared], max_batch_size: u32, content: &'static [u8]) -> Result<(Shape, Bytes)> {
        let spec = |&(data_type, dims): &Declared| TensorSpec {
            name: "IN".into(),
            data_type,
            dims: dims.into(),
            reshape: None,
            optional: false,
            is_shape_tensor: false,
            allow_ragged_batch: false,
            label_filename: String::new(),
        };
        let inputs = inputs.iter().map(spec).collect();
        let interface = Interface { inputs, max_batch_size, ..Interface::default() };
        let content = Bytes::from_static(content).into();
        deduce("m", &interface, content).map(|(_, shape, data)| (shape, data.to_host().unwrap()))
    }

    #[test]
    fn the_shape_follows_from_the_size() {
        let cases: [(DataType, &'static [i64], u32, Shape); 6] = [
            (DataType::Fp32, &[-1], 0, [3].into()),
            (DataType::Fp32, &[3, -1], 8, [1, 3, 1].into()),
            (DataType::Uint8, &[2, -1, 2], 0, [2, 3, 2].into()),
            (DataType::Uint8, &[-1, 0], 0, [0, 0].into()),
            (DataType::Fp64, &[7], 0, [7].into()),
            (DataType::Fp64, &[-1], 0, [1].into()),
        ];
        for (data_type, dims, max_batch_size, shape) in cases {
            let (got, data) = deduced(&[(data_type, dims)], max_batch_size, &[7; 12]).unwrap();
            assert_eq!((got, data.len()), (shape, 12));
        }
        assert_eq!(deduced(&[(DataType::Fp32, &[-1])], 0, b"").unwrap().0, [0].into());
    }

    #[test]
    fn bytes_are_one_element() {
        let (shape, data) = deduced(&[(DataType::Bytes, &[1])], 4, b"abc").unwrap();
        assert_eq!((shape, &data[..]), ([1, 1].into(), &b"\x03\0\0\0abc"[..]));
    }

    #[test]
    fn what_cannot_be_deduced_is_refused() {
        let fp32 = DataType::Fp32;
        let cases: [(&[Declared], &str); 4] = [
            (
                &[(fp32, &[1]), (fp32, &[1])],
                "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'm' model configuration",
            ),
            (
                &[],
                "Raw request must only have 1 input (found 1) to be deduced but got 0 inputs in 'm' model configuration",
            ),
            (
                &[(fp32, &[-1, -1])],
                "The shape of the raw input 'IN' can not be deduced because there are more than one variable-sized dimension",
            ),
            (
                &[(DataType::Bytes, &[-1])],
                "For BYTE datatype raw input 'IN', the model must have input shape [1]",
            ),
        ];
        for (inputs, text) in cases {
            let error = deduced(inputs, 0, b"abcd").unwrap_err();
            assert_eq!(error.message(), format!("[request id: <id_unknown>] {text}"));
        }
    }
}
