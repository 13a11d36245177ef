//! Whatever the decoder of the common kind of JPEG reads, `zune-jpeg` reads too, to the same pixels.
#![no_main]

use hippocamp_jpeg::{Decoder, Order};
use libfuzzer_sys::fuzz_target;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

const MAX_PIXELS: usize = 1 << 16;

fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let options = DecoderOptions::default().set_strict_mode(false).jpeg_set_out_colorspace(ColorSpace::RGB);
    // `zune-jpeg` may panic, as in the server, where the step survives it.
    let headers = std::panic::catch_unwind(|| {
        let mut general = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        general.decode_headers().ok()?;
        Some((general.input_colorspace()?, general.dimensions()?))
    });
    let Ok(Some((ColorSpace::YCbCr, (width, height)))) = headers else { return };
    if width * height > MAX_PIXELS {
        return;
    }
    let mut pixels = vec![0; 3 * width * height];
    if !Decoder::default().decode(bytes, Order::Rgb, &mut pixels) {
        return;
    }
    let expected = std::panic::catch_unwind(|| {
        let mut general = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        general.decode_headers().ok()?;
        general.set_options(options.set_strict_mode(true));
        let mut expected = vec![0; 3 * width * height];
        general.decode_into(&mut expected).ok()?;
        Some(expected)
    });
    match expected {
        Ok(Some(expected)) => assert!(expected == pixels, "the pixels differ"),
        Ok(None) => panic!("zune-jpeg refuses the file"),
        Err(_) => {}
    }
});
