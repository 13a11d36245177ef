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
    Resampler::new(method, coordinates).write_f32(from, window);
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
    for method in [Method::Bilinear, Method::Area, Method::Nearest] {
        let mut samples = vec![7; whole.pixels()];
        let mut window = Window::whole_of(&mut samples, whole, 1).part((1, 2), Size::new(3, 1));
        window.fill_around(&[9]);
        Resampler::new(method, Coordinates::HalfPixel).write_u8(&from, window).unwrap();
        assert_eq!(samples, [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 10, 10, 10, 9, 9, 9, 9, 9, 9], "{method:?}");
    }
}

fn methods() -> impl Strategy<Value = (Method, Coordinates)> {
    let methods = prop_oneof![Just(Method::Bilinear), Just(Method::Area), Just(Method::Nearest)];
    (methods, prop_oneof![Just(Coordinates::HalfPixel), Just(Coordinates::TfLegacy)])
}

proptest! {
    /// No size makes it panic, no sample leaves the range of the picture, and rounding is all that differs.
    #[test]
    fn any_size_to_any_other(
        from in (1..20usize, 1..20usize), to in (1..20usize, 1..20usize), how in methods(), seed: u8,
    ) {
        let (from, to) = (Size::new(from.0, from.1), Size::new(to.0, to.1));
        let samples: Vec<u8> = (0..from.pixels()).map(|i| (i * 37 + usize::from(seed)) as u8).collect();
        let from = image(from, &samples);
        let exact = resized(&from, to, how.0, how.1);
        let (low, high) = (*samples.iter().min().unwrap(), *samples.iter().max().unwrap());
        prop_assert!(exact.iter().all(|v| (f32::from(low) - 1e-3..=f32::from(high) + 1e-3).contains(v)), "{exact:?}");
        let mut rounded = vec![0u8; to.pixels()];
        Resampler::new(how.0, how.1).write_u8(&from, Window::whole_of(&mut rounded, to, 1)).unwrap();
        for (rounded, exact) in rounded.iter().zip(&exact) {
            prop_assert!((f32::from(*rounded) - exact).abs() <= 1.0, "{rounded} {exact}");
        }
    }
}
