//! Small maps with detections computed by hand.

use super::*;

/// A map of 3 x 4 cells with these values, zeros elsewhere.
fn map(channels: usize, values: &[(usize, f32)]) -> Vec<f32> {
    let mut map = vec![0.0; channels * 12];
    for &(index, value) in values {
        map[index] = value;
    }
    map
}

#[test]
fn centernet_s_own_conventions() {
    // Peaks: class 1 at row 1, column 2, and class 0 at row 0, column 0.
    let heat = map(2, &[(12 + 6, 0.9), (12 + 5, 0.4), (0, 0.5)]);
    let size = map(2, &[(6, 2.0), (12 + 6, 1.0), (0, 1.0), (12, 3.0)]);
    let offset = map(2, &[(6, 0.25), (12 + 6, 0.5)]);
    let maps = Maps::new([2, 3, 4], &heat, &size, Some(&offset), None).unwrap();
    let found = CenterNet { threshold: 0.0, ..CenterNet::default() }.decode(&maps);
    assert_eq!(found.scores, [0.9, 0.5]);
    assert_eq!(found.categories, [1, 0]);
    // x = 2 + .25, y = 1 + .5; width 2, height 1.
    assert_eq!(found.boxes, [[1.25, 1.0, 3.25, 2.0], [-0.5, -1.5, 0.5, 1.5]]);
    assert_eq!(found.landmarks, [0.0; 0]);
    // Without offsets the detection is at the middle of the cell.
    let maps = Maps::new([2, 3, 4], &heat, &size, None, None).unwrap();
    let found = CenterNet { k: 1, ..CenterNet::default() }.decode(&maps);
    assert_eq!(found.boxes, [[1.5, 1.0, 3.5, 2.0]]);
}

#[test]
fn centerface_s_conventions() {
    let heat = map(1, &[(6, 0.9)]);
    let size = map(2, &[(6, 3f32.ln()), (12 + 6, 2f32.ln())]);
    let offset = map(2, &[(6, 0.25), (12 + 6, -0.5)]);
    let landmarks = map(4, &[(6, 0.5), (12 + 6, 0.25), (24 + 6, 1.0), (36 + 6, 0.0)]);
    let centerface = CenterNet {
        k: 1,
        stride: 4.0,
        center: Some(0.5),
        offset_axes: Axes::Yx,
        size_axes: Axes::Yx,
        size_exp: true,
        landmark_axes: Axes::Yx,
        landmark_origin: Origin::Box,
        ..CenterNet::default()
    };
    let maps = Maps::new([1, 3, 4], &heat, &size, Some(&offset), Some(&landmarks)).unwrap();
    let found = centerface.decode(&maps);
    // x = (2 - .5 + .5) * 4 = 8, y = (1 + .25 + .5) * 4 = 7; width 8, height 12.
    let want = [[4.0, 1.0, 12.0, 13.0]];
    for (got, want) in found.boxes.as_flattened().iter().zip(want.as_flattened()) {
        assert!((got - want).abs() < 1e-5, "{found:?}");
    }
    for (got, want) in found.landmarks.iter().zip([6.0, 7.0, 4.0, 13.0]) {
        assert!((got - want).abs() < 1e-5, "{found:?}");
    }
    assert_eq!(found.points, 2);
}

#[test]
fn scores_behind_the_sigmoid_and_landmarks_from_the_cell() {
    let heat = map(1, &[(6, 2.0)]);
    let (size, landmarks) = (map(2, &[]), map(2, &[(6, 0.5), (12 + 6, -1.0)]));
    let maps = Maps::new([1, 3, 4], &heat, &size, None, Some(&landmarks)).unwrap();
    let found = CenterNet { k: 1, sigmoid: true, stride: 2.0, ..CenterNet::default() }.decode(&maps);
    assert!((found.scores[0] - 0.880_797).abs() < 1e-6);
    assert_eq!(found.landmarks, [5.0, 0.0]);
}

#[test]
fn maps_that_do_not_fit_each_other_are_refused() {
    let (one, two, six) = (&map(1, &[])[..], &map(2, &[])[..], &map(6, &[])[..]);
    let refused = |dims: [usize; 3], heat, size, offset, landmarks| {
        Maps::new(dims, heat, size, offset, landmarks).unwrap_err().message().to_owned()
    };
    let none = "the heat map was expected to have classes and cells, it is [1,0,4]";
    assert_eq!(refused([1, 0, 4], one, two, None, None), none);
    let overflow = refused([1, usize::MAX, 2], one, two, None, None);
    assert!(overflow.contains("was expected to have classes and cells"), "{overflow}");
    let short = "the size map was expected to have 24 values for a heat map of 3 x 4 cells, got 12";
    assert_eq!(refused([1, 3, 4], one, one, None, None), short);
    assert!(refused([2, 3, 4], one, two, None, None).starts_with("the heat map"));
    assert!(refused([1, 3, 4], one, two, Some(six), None).starts_with("the offset map"));
    assert!(refused([1, 3, 4], one, two, None, Some(&six[..13])).starts_with("the landmark map"));
}

#[test]
fn numbers_that_are_none_pass_through() {
    let heat = map(1, &[(6, f32::INFINITY), (0, f32::NAN)]);
    let size = map(2, &[(6, f32::MAX), (18, f32::NAN)]);
    let maps = Maps::new([1, 3, 4], &heat, &size, None, None).unwrap();
    let found = CenterNet { size_exp: true, ..CenterNet::default() }.decode(&maps);
    assert_eq!(found.scores[0], f32::INFINITY);
    assert_eq!(found.boxes[0][2], f32::INFINITY);
    assert!(found.boxes[0][1].is_nan());
}
