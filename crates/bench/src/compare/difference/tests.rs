use bytes::Bytes;
use hippocamp_tensor::push_element;
use proptest::prelude::*;

use super::*;

fn tensor(data_type: DataType, shape: &[i64], data: impl Into<Bytes>) -> Tensor {
    Tensor { name: "y".to_owned(), data_type, shape: shape.to_vec(), data: data.into() }
}

fn floats(shape: &[i64], numbers: &[f32]) -> Tensor {
    let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    tensor(DataType::Fp32, shape, data)
}

fn compared(a: &Tensor, b: &Tensor, tolerance: f64) -> Differences {
    let mut differences = Differences::default();
    differences.add(3, a, b, Tolerance { absolute: tolerance, relative: 0.0 });
    differences
}

#[test]
fn the_largest_differences_are_where_they_are() {
    let a = floats(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 0.5]);
    let b = floats(&[2, 3], &[0.0, 1.0, 2.0, 3.5, 4.0, 0.25]);
    let found = compared(&a, &b, 0.3);
    assert_eq!((found.elements, found.different, found.above), (6, 2, 1));
    let absolute = found.absolute.as_ref().unwrap();
    assert_eq!((absolute.difference, absolute.sample, &absolute.index), (0.5, 3, &vec![1, 0]));
    assert_eq!((absolute.a, absolute.b), (3.0, 3.5));
    let relative = found.relative.as_ref().unwrap();
    assert_eq!((relative.difference, &relative.index), (0.5, &vec![1, 2]));
    assert!(!found.is_within() && compared(&a, &b, 0.5).is_within());
    assert_eq!(compared(&a, &a, 0.0), Differences { elements: 6, ..Differences::default() });
}

#[test]
fn what_is_no_number_is_the_same_as_itself_and_far_from_the_rest() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0];
    // Other bits of the same.
    let other = [f32::from_bits(0x7fc0_0001), f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0];
    assert_eq!(compared(&floats(&[5], &odd), &floats(&[5], &other), 0.0).different, 0);
    for (a, b) in [(f32::NAN, 1.0), (1.0, f32::NAN), (f32::INFINITY, f32::NEG_INFINITY), (f32::INFINITY, 1.0)]
    {
        let found = compared(&floats(&[1], &[a]), &floats(&[1], &[b]), 1e30);
        assert_eq!((found.different, found.above), (1, 1), "{a} {b}");
        assert!(found.absolute.unwrap().difference.is_infinite());
    }
}

#[test]
fn integers_are_exact() {
    let of = |number: i64| tensor(DataType::Int64, &[1], number.to_le_bytes().to_vec());
    let found = compared(&of(i64::MAX), &of(i64::MAX - 1), 0.0);
    assert_eq!((found.different, found.above, found.absolute.unwrap().difference), (1, 1, 1.0));
    assert_eq!(compared(&of(5), &of(7), 2.0).above, 0, "a tolerance counts for them, too");
    let bools = |bytes: &'static [u8]| tensor(DataType::Bool, &[3], bytes);
    assert_eq!(compared(&bools(&[1, 2, 0]), &bools(&[1, 1, 1]), 0.0).different, 1);
}

#[test]
fn texts_are_the_same_or_not() {
    let texts = |list: &[&str]| {
        let mut data = Vec::new();
        for text in list {
            push_element(&mut data, text.as_bytes());
        }
        tensor(DataType::Bytes, &[list.len() as i64], data)
    };
    let found = compared(&texts(&["a", "b", "c"]), &texts(&["a", "B", "C"]), 1e9);
    assert_eq!((found.elements, found.different, found.above), (3, 2, 2));
    assert_eq!(found.first_text, Some((3, vec![1])));
    assert!(compared(&texts(&["a"]), &texts(&["a"]), 0.0).is_within());
}

#[test]
fn other_shapes_and_types_are_told_and_not_compared() {
    let found = compared(&floats(&[2], &[0.0, 1.0]), &floats(&[1, 2], &[5.0, 5.0]), 1e9);
    assert_eq!(found.form, Some((3, "FP32 [2]".to_owned(), "FP32 [1,2]".to_owned())));
    assert_eq!((found.elements, found.is_within()), (0, false));
}

#[test]
fn answers_are_added_up() {
    let mut found = Differences::default();
    let tolerance = Tolerance::default();
    for (sample, b) in [(0, 1.5_f32), (1, 3.0), (2, 2.0)] {
        found.add(sample, &floats(&[1], &[1.0]), &floats(&[1], &[b]), tolerance);
    }
    assert_eq!((found.elements, found.different), (3, 3));
    assert_eq!(found.absolute.map(|largest| (largest.sample, largest.difference)), Some((1, 2.0)));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(a in proptest::collection::vec(any::<u8>(), 0..64), b in proptest::collection::vec(any::<u8>(), 0..64)) {
        for data_type in [DataType::Bool, DataType::Fp16, DataType::Bf16, DataType::Int32, DataType::Fp64, DataType::Bytes] {
            let found = compared(&tensor(data_type, &[7, 0, 3], a.clone()), &tensor(data_type, &[7, 0, 3], b.clone()), 0.0);
            prop_assert!(found.above == found.different);
        }
    }

    #[test]
    fn the_index_leads_back(place in 0_usize..24) {
        let index = index(&[2, 3, 4], place);
        prop_assert_eq!(index[0] * 12 + index[1] * 4 + index[2], place as i64);
    }
}
