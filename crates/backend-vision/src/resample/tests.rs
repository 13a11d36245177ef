use proptest::prelude::*;

use super::*;
use crate::value::Color;

fn image(size: Size, samples: &[u8]) -> Image {
    let mut image = Image::default();
    image.begin_u8(size, Color::Grey).unwrap().copy_from_slice(samples);
    image
}

fn resized(from: &Image, to: Size, method: Method, coordinates: Coordinates) -> Vec<f32> {
    let mut samples = vec![0.0; to.pixels()];
    let window = Window::whole_of(&mut samples, to, 1);
    Resampler::new(method, coordinates, false).write_f32(from, window).unwrap();
    samples
}

#[test]
fn bilinear_has_half_pixel_centres() {
    let from = image(Size::new(4, 1), &[0, 40, 80, 120]);
    let to = |width| resized(&from, Size::new(width, 1), Method::Bilinear, Coordinates::HalfPixel);
    assert_eq!(to(2), [20.0, 100.0]);
    assert_eq!(to(8), [0.0, 10.0, 30.0, 50.0, 70.0, 90.0, 110.0, 120.0]);
    assert_eq!(to(1), [60.0]);
}

#[test]
fn the_old_corners_of_tensorflow() {
    let from = image(Size::new(4, 1), &[0, 40, 80, 120]);
    let to = |width| resized(&from, Size::new(width, 1), Method::Bilinear, Coordinates::TfLegacy);
    assert_eq!(to(2), [0.0, 80.0]);
    assert_eq!(to(8), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 120.0]);
    assert_eq!(to(1), [0.0]);
}

#[test]
fn area_takes_the_mean_of_what_it_covers() {
    let from = image(Size::new(3, 2), &[0, 30, 60, 90, 120, 150]);
    let to = |size| resized(&from, size, Method::Area, Coordinates::HalfPixel);
    assert_eq!(to(Size::new(1, 1)), [75.0]);
    let pair = to(Size::new(2, 1));
    assert!((pair[0] - 55.0).abs() < 1e-4 && (pair[1] - 95.0).abs() < 1e-4, "{pair:?}");
}

/// The results of Pillow 12.0.0 for this row in 4 and in 17 pixels.
#[test]
fn filters_are_those_of_pillow() {
    let row = [0, 255, 10, 200, 90, 0, 60, 255, 30, 128, 7];
    let from = image(Size::new(row.len(), 1), &row);
    let wants: [(Method, [u8; 4], [u8; 17]); 3] = [
        (
            Method::Bilinear,
            [120, 94, 102, 83],
            [0, 120, 226, 68, 88, 194, 122, 58, 0, 39, 117, 244, 123, 53, 116, 64, 7],
        ),
        (
            Method::Bicubic,
            [116, 94, 106, 79],
            [0, 124, 246, 48, 72, 201, 130, 51, 0, 23, 120, 254, 121, 35, 125, 65, 0],
        ),
        (
            Method::Lanczos,
            [119, 92, 105, 83],
            [0, 134, 249, 50, 58, 206, 146, 40, 0, 5, 137, 255, 121, 28, 123, 71, 0],
        ),
    ];
    for (method, few, many) in wants {
        for want in [&few[..], &many[..]] {
            let size = Size::new(want.len(), 1);
            let mut got = vec![0; want.len()];
            let mut resampler = Resampler::new(method, Coordinates::HalfPixel, true);
            resampler.write_u8(&from, Window::whole_of(&mut got, size, 1)).unwrap();
            assert_eq!(got, want, "{method:?}");
            // The same as a column: columns are computed like rows.
            let standing = image(Size::new(1, row.len()), &row);
            let size = Size::new(1, want.len());
            resampler.write_u8(&standing, Window::whole_of(&mut got, size, 1)).unwrap();
            assert_eq!(got, want, "{method:?}, standing");
        }
    }
}

#[test]
fn a_side_longer_than_a_table_may_be_is_refused_by_filters_alone() {
    let from = image(Size::new(MAX_FILTERED_SIDE + 1, 1), &vec![9; MAX_FILTERED_SIDE + 1]);
    let mut samples = vec![0; 4];
    let mut resize = |antialias| {
        let window = Window::whole_of(&mut samples, Size::new(4, 1), 1);
        Resampler::new(Method::Bilinear, Coordinates::HalfPixel, antialias).write_u8(&from, window)
    };
    resize(false).unwrap();
    let error = resize(true).unwrap_err();
    assert_eq!(error.message(), "the picture has 65536x1 pixels, for antialiasing a side may have 65535");
}

#[test]
fn nearest_takes_the_upper_left() {
    let from = image(Size::new(4, 2), &[1, 2, 3, 4, 5, 6, 7, 8]);
    let to = |size| resized(&from, size, Method::Nearest, Coordinates::HalfPixel);
    assert_eq!(to(Size::new(2, 1)), [1.0, 3.0]);
    assert_eq!(to(Size::new(3, 2)), [1.0, 2.0, 3.0, 5.0, 6.0, 7.0]);
}

#[test]
fn a_window_leaves_what_is_around_it() {
    let (from, whole) = (image(Size::new(2, 2), &[10; 4]), Size::new(5, 4));
    for method in [Method::Bilinear, Method::Bicubic, Method::Lanczos, Method::Area, Method::Nearest] {
        let mut samples = vec![7; whole.pixels()];
        let mut window = Window::whole_of(&mut samples, whole, 1).part((1, 2), Size::new(3, 1));
        window.fill_around(&[9]);
        Resampler::new(method, Coordinates::HalfPixel, true).write_u8(&from, window).unwrap();
        assert_eq!(samples, [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 10, 10, 10, 9, 9, 9, 9, 9, 9], "{method:?}");
    }
}

/// Each method with and without antialiasing, where there is a choice.
fn methods() -> impl Strategy<Value = (Method, Coordinates, bool)> {
    let methods = prop_oneof![
        Just(Method::Bilinear),
        Just(Method::Bicubic),
        Just(Method::Lanczos),
        Just(Method::Area),
        Just(Method::Nearest)
    ];
    (methods, prop_oneof![Just(Coordinates::HalfPixel), Just(Coordinates::TfLegacy)], any::<bool>())
}

/// How far a filter with negative weights may exceed the range of the image.
fn overshoot(method: Method) -> f32 {
    if matches!(method, Method::Bicubic | Method::Lanczos) { 255.0 } else { 1e-3 }
}

proptest! {
    /// No size causes a panic, no sample leaves the range of the image, and 8-bit and FP32 results differ only by
    /// rounding.
    #[test]
    fn any_size_to_any_other(
        from in (1..20usize, 1..20usize), to in (1..20usize, 1..20usize), how in methods(), seed: u8,
    ) {
        let (from, to) = (Size::new(from.0, from.1), Size::new(to.0, to.1));
        let samples: Vec<u8> = (0..from.pixels()).map(|i| (i * 37 + usize::from(seed)) as u8).collect();
        let from = image(from, &samples);
        let mut resampler = Resampler::new(how.0, how.1, how.2);
        let mut exact = vec![0.0; to.pixels()];
        resampler.write_f32(&from, Window::whole_of(&mut exact, to, 1)).unwrap();
        let room = overshoot(how.0);
        let (low, high) = (*samples.iter().min().unwrap(), *samples.iter().max().unwrap());
        prop_assert!(exact.iter().all(|v| (f32::from(low) - room..=f32::from(high) + room).contains(v)), "{exact:?}");
        let mut rounded = vec![0u8; to.pixels()];
        resampler.write_u8(&from, Window::whole_of(&mut rounded, to, 1)).unwrap();
        // Overshoot is clamped between the passes, so the results are only comparable if there is one pass.
        if room < 1.0 || from.size.height == to.height {
            for (rounded, exact) in rounded.iter().zip(&exact) {
                let exact = exact.clamp(0.0, 255.0);
                prop_assert!((f32::from(*rounded) - exact).abs() <= 1.01, "{rounded} {exact}");
            }
        }
    }
}

proptest! {
    #[test]
    fn halving_takes_the_mean_of_four(
        (width, height) in (1usize..40, 1usize..5),
        color in prop_oneof![Just(Color::Rgb), Just(Color::Grey)],
        seed in any::<u8>(),
    ) {
        let (size, half) = (Size::new(2 * width, 2 * height), Size::new(width, height));
        let channels = color.channels();
        let sample = |x: usize, y: usize, channel| (seed as usize + x * 53 + y * 191 + channel * 97 + x * y) as u8;
        let mut from = Image::default();
        for (at, to) in from.begin_u8(size, color).unwrap().iter_mut().enumerate() {
            *to = sample(at / channels % size.width, at / channels / size.width, at % channels);
        }
        for method in [Method::Bilinear, Method::Area] {
            let mut to = vec![0; half.pixels() * channels];
            let window = Window::whole_of(&mut to, half, channels);
            Resampler::new(method, Coordinates::HalfPixel, false).write_u8(&from, window).unwrap();
            for (at, got) in to.iter().enumerate() {
                let (x, y, channel) = (at / channels % width, at / channels / width, at % channels);
                let four = [(0, 0), (1, 0), (0, 1), (1, 1)];
                let sum: u32 = four.iter().map(|(i, j)| u32::from(sample(2 * x + i, 2 * y + j, channel))).sum();
                prop_assert_eq!(u32::from(*got), (sum + 2) / 4);
            }
        }
    }
}
