//! Inputs that are made up: reproducible, and harmless to models that take their inputs for indices.

use bytes::Bytes;
use fastrand::Rng;
use half::{bf16, f16};
use hippocamp_client::{Result, Tensor, TensorInfo, describe, dims};
use hippocamp_tensor::{DataType, push_element};

use crate::failure;

/// Integers are below this, so that they fit every type and are mostly valid as indices.
const INTEGERS: i8 = 100;

/// The length of a made-up text.
const TEXT: usize = 16;

/// The most that one made-up input may take, in bytes.
const MAX: usize = 2 << 30;

/// An input of random elements: floats from 0 to 1, integers from 0 to 99, texts of 16 letters.
pub(crate) fn tensor(
    random: &mut Rng,
    info: &TensorInfo,
    given: Option<&[i64]>,
    batch: i64,
) -> Result<Tensor> {
    let shape = shape(info, given, batch)?;
    let each = info.data_type.byte_size().unwrap_or(TEXT + 4);
    let elements = shape.iter().try_fold(1usize, |all, &size| all.checked_mul(usize::try_from(size).ok()?));
    let Some(elements) = elements.filter(|elements| elements.saturating_mul(each) <= MAX) else {
        return failure(format!("input '{}' of shape {} is larger than 2 GiB", info.name, dims(&shape)));
    };
    let mut data = Vec::with_capacity(elements * each);
    for _ in 0..elements {
        push(&mut data, random, info.data_type);
    }
    Ok(Tensor { name: info.name.clone(), data_type: info.data_type, shape, data: Bytes::from(data) })
}

/// The model's shape with its open sizes filled in. An open first size is the batch; `given` may leave it out.
pub(crate) fn shape(info: &TensorInfo, given: Option<&[i64]>, batch: i64) -> Result<Vec<i64>> {
    let wanted = &info.shape;
    let fits = |shape: &[i64]| {
        shape.len() == wanted.len()
            && shape.iter().zip(wanted).all(|(size, wanted)| *size >= 0 && (*wanted == -1 || size == wanted))
    };
    let takes_batches = wanted.first() == Some(&-1);
    if let Some(given) = given {
        let batched = [&[batch], given].concat();
        return match (fits(&batched), fits(given)) {
            (true, _) => Ok(batched),
            (false, true) if batch == 1 || given.first() == Some(&batch) => Ok(given.to_vec()),
            (false, true) => failure(format!(
                "--batch {batch} and --shape {}:{} say different sizes; leave the batch out of --shape",
                info.name,
                list(given)
            )),
            (false, false) => {
                failure(format!("input '{}' has shape {}, got {}", info.name, dims(wanted), dims(given)))
            }
        };
    }
    if batch > 1 && !takes_batches {
        return failure(format!("--batch {batch}: input {} takes no batches", describe(info)));
    }
    let mut shape = wanted.clone();
    if takes_batches {
        shape[0] = batch;
    }
    if shape.contains(&-1) {
        return failure(format!(
            "the model leaves sizes of input {} open; say them by --shape {}:{}",
            describe(info),
            info.name,
            list(&vec![16; wanted.len() - usize::from(takes_batches)])
        ));
    }
    Ok(shape)
}

fn list(sizes: &[i64]) -> String {
    dims(sizes).trim_matches(['[', ']']).to_owned()
}

fn push(data: &mut Vec<u8>, random: &mut Rng, data_type: DataType) {
    let mut integer = || random.i8(0..INTEGERS);
    match data_type {
        DataType::Bool => data.push(u8::from(random.bool())),
        DataType::Uint8 | DataType::Int8 => data.push(integer() as u8),
        DataType::Uint16 | DataType::Int16 => data.extend_from_slice(&i16::from(integer()).to_le_bytes()),
        DataType::Uint32 | DataType::Int32 => data.extend_from_slice(&i32::from(integer()).to_le_bytes()),
        DataType::Uint64 | DataType::Int64 => data.extend_from_slice(&i64::from(integer()).to_le_bytes()),
        DataType::Fp16 => data.extend_from_slice(&f16::from_f32(random.f32()).to_le_bytes()),
        DataType::Bf16 => data.extend_from_slice(&bf16::from_f32(random.f32()).to_le_bytes()),
        DataType::Fp32 => data.extend_from_slice(&random.f32().to_le_bytes()),
        DataType::Fp64 => data.extend_from_slice(&random.f64().to_le_bytes()),
        DataType::Bytes => {
            let text: Vec<u8> = (0..TEXT).map(|_| random.u8(b'a'..=b'z')).collect();
            push_element(data, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(data_type: DataType, shape: &[i64]) -> TensorInfo {
        TensorInfo { name: "X".to_owned(), data_type, shape: shape.to_vec() }
    }

    fn fault(shape_of_model: &[i64], given: Option<&[i64]>, batch: i64) -> String {
        shape(&info(DataType::Fp32, shape_of_model), given, batch).unwrap_err().to_string()
    }

    #[test]
    fn open_sizes_are_the_batch_or_said() {
        type Case<'a> = (&'a [i64], Option<&'a [i64]>, i64, &'a [i64]);
        let cases: [Case<'_>; 6] = [
            (&[2, 3], None, 1, &[2, 3]),
            (&[-1, 3], None, 4, &[4, 3]),
            (&[-1, -1], Some(&[16]), 4, &[4, 16]),
            (&[-1, -1], Some(&[4, 16]), 4, &[4, 16]),
            (&[-1], Some(&[16]), 1, &[16]),
            (&[-1, 3, -1], Some(&[3, 8]), 1, &[1, 3, 8]),
        ];
        for (model, given, batch, want) in cases {
            assert_eq!(shape(&info(DataType::Fp32, model), given, batch).unwrap(), want, "{model:?}");
        }
    }

    #[test]
    fn what_does_not_fit_says_what_to_do() {
        assert!(fault(&[-1, -1, 3], None, 1).ends_with("say them by --shape X:16,16"));
        assert!(fault(&[2, 3], None, 4).contains("takes no batches"));
        assert!(fault(&[-1, 3], Some(&[2, 3]), 4).contains("leave the batch out"));
        assert!(fault(&[-1, 3], Some(&[4]), 1).contains("has shape [-1,3], got [4]"));
        assert!(fault(&[-1, -1], Some(&[-5]), 1).contains("got [-5]"));
        let mut random = Rng::with_seed(1);
        let huge = tensor(&mut random, &info(DataType::Fp64, &[-1]), Some(&[1 << 40]), 1);
        assert!(huge.unwrap_err().to_string().contains("larger than 2 GiB"));
    }

    #[test]
    fn elements_have_the_size_of_their_type() {
        let mut random = Rng::with_seed(1);
        for data_type in [DataType::Bool, DataType::Int8, DataType::Uint16, DataType::Int32, DataType::Fp16] {
            let made = tensor(&mut random, &info(data_type, &[-1, 5]), None, 3).unwrap();
            assert_eq!(Some(made.data.len()), data_type.byte_size().map(|size| size * 15), "{data_type}");
        }
        let floats = tensor(&mut random, &info(DataType::Fp32, &[64]), None, 1).unwrap();
        let floats = floats.data.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word));
        assert!(floats.clone().all(|float| (0.0..1.0).contains(&float)));
        let texts = tensor(&mut random, &info(DataType::Bytes, &[2]), None, 1).unwrap();
        assert_eq!(
            hippocamp_tensor::BytesElements::new(&texts.data).map(|text| text.unwrap().len()).sum::<usize>(),
            32
        );
    }
}
