//! Pictures as the inputs of a network.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use hippocamp_backend_vision::decode_rgb;
use hippocamp_tensorrt_sys::DataType;
use hippocamp_tensorrt_sys::build::NetworkTensor;
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};

use crate::PlanArgs;

/// How a picture becomes an input.
#[derive(Clone, Debug)]
pub(crate) struct Preparation {
    width: u32,
    height: u32,
    channels: usize,
    channels_first: bool,
    mean: [f32; 3],
    scale: [f32; 3],
    bgr: bool,
}

impl Preparation {
    /// For an input of pictures, under the shape that it is calibrated with.
    pub(crate) fn of(args: &PlanArgs, input: &NetworkTensor, shape: &[i64]) -> Result<Preparation> {
        let name = &input.name;
        if input.data_type != Ok(DataType::Float) {
            bail!("calibration fills inputs of FLOAT with pictures, '{name}' has {:?}", input.data_type);
        }
        let (channels, height, width, channels_first) = match shape {
            [_, 3, height, width] => (3, *height, *width, true),
            [_, height, width, 3] => (3, *height, *width, false),
            [_, 1, height, width] => (1, *height, *width, true),
            [_, height, width, 1] => (1, *height, *width, false),
            _ => bail!(
                "calibration fills inputs of shape [N, 3, H, W] or [N, H, W, 3] with pictures, '{name}' has {shape:?}"
            ),
        };
        let size = |size: i64| u32::try_from(size).ok().filter(|size| (1..=16_384).contains(size));
        let (Some(height), Some(width)) = (size(height), size(width)) else {
            bail!("input '{name}' would have pictures of {width} by {height}");
        };
        Ok(Preparation {
            width,
            height,
            channels,
            channels_first,
            mean: args.mean.0,
            scale: args.scale.0,
            bgr: args.bgr,
        })
    }

    /// The values of one picture.
    pub(crate) fn len(&self) -> usize {
        self.channels * self.width as usize * self.height as usize
    }

    /// Reads a picture, resizes it to the input's size and normalises it, in the input's layout.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<f32>> {
        // The decoder of the server, so that the plan is calibrated with the pictures that it will get.
        let picture = open(path).with_context(|| format!("'{}' cannot be read", path.display()))?;
        let picture = picture.resize_exact(self.width, self.height, FilterType::Triangle);
        let area = self.width as usize * self.height as usize;
        let mut values = vec![0.0; self.len()];
        let mut put = |pixel: usize, channel: usize, value: u8| {
            let place =
                if self.channels_first { channel * area + pixel } else { pixel * self.channels + channel };
            values[place] = (f32::from(value) - self.mean[channel]) * self.scale[channel];
        };
        if self.channels == 1 {
            picture.to_luma8().pixels().enumerate().for_each(|(n, pixel)| put(n, 0, pixel.0[0]));
        } else {
            for (n, pixel) in picture.to_rgb8().pixels().enumerate() {
                let [red, green, blue] = pixel.0;
                let ordered = if self.bgr { [blue, green, red] } else { [red, green, blue] };
                ordered.into_iter().enumerate().for_each(|(channel, value)| put(n, channel, value));
            }
        }
        Ok(values)
    }
}

fn open(path: &Path) -> Result<DynamicImage> {
    let (width, height, pixels) =
        decode_rgb(&std::fs::read(path)?).map_err(|error| anyhow!("{}", error.message()))?;
    let size = u32::try_from(width).ok().zip(u32::try_from(height).ok());
    let picture = size.and_then(|(width, height)| RgbImage::from_raw(width, height, pixels));
    picture.map(DynamicImage::ImageRgb8).context("it is too large")
}

/// The pictures of a folder, in the order of their names.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("'{}' cannot be read", folder.display()))?;
    let is_picture = |path: &PathBuf| {
        let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        ending
            .is_some_and(|ending| ["jpg", "jpeg", "png", "bmp", "webp"].iter().any(|known| ending == *known))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_picture).collect();
    files.sort();
    if files.is_empty() {
        bail!("'{}' has no pictures (.jpg, .png, .bmp, .webp)", folder.display());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn preparation(line: &str, shape: &[i64]) -> Result<Preparation> {
        let args = PlanArgs::read(line.split(' ').map(OsString::from)).unwrap();
        let input = NetworkTensor {
            name: "x".to_owned(),
            dims: shape.to_vec(),
            data_type: Ok(DataType::Float),
            is_shape_tensor: false,
        };
        Preparation::of(&args, &input, shape)
    }

    #[test]
    fn a_picture_is_normalised_in_the_layout_of_the_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        image::RgbImage::from_fn(2, 1, |x, _| image::Rgb([10 + x as u8, 20, 30])).save(&path).unwrap();
        let read = |line: &str, shape: &[i64]| preparation(line, shape).unwrap().read(&path).unwrap();
        assert_eq!(read("plan m", &[1, 3, 1, 2]), [10.0, 11.0, 20.0, 20.0, 30.0, 30.0]);
        assert_eq!(read("plan m", &[1, 1, 2, 3]), [10.0, 20.0, 30.0, 11.0, 20.0, 30.0]);
        let line = "plan m --bgr --mean 10,0,0 --scale 0.5,1,2";
        assert_eq!(read(line, &[4, 3, 1, 2]), [10.0, 10.0, 20.0, 20.0, 20.0, 22.0]);
        assert_eq!(files(folder.path()).unwrap(), [path]);
    }

    #[test]
    fn files_of_several_scans_are_read_as_the_server_reads_them() {
        let kinds = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../backend-vision/tests/pictures/kinds"));
        for name in ["scans_420", "scans_444_restarts", "scans_of_two_422", "thirds"] {
            // 39 by 29 pixels, and what OpenCV makes of them.
            let read = |ending| {
                preparation("plan m", &[1, 3, 29, 39]).unwrap().read(&kinds.join(format!("{name}.{ending}")))
            };
            let (jpeg, png) = (read("jpg").unwrap(), read("png").unwrap());
            let off = jpeg.iter().zip(&png).map(|(a, b)| (a - b).abs()).sum::<f32>() / png.len() as f32;
            assert!(off < 2.0, "{name} is off by {off} in the mean");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, b"no picture").unwrap();
        let fault = format!("{:#}", preparation("plan m", &[1, 3, 2, 2]).unwrap().read(&path).unwrap_err());
        assert!(fault.contains("a.jpg' cannot be read: "), "{fault}");
    }

    #[test]
    fn inputs_that_are_no_pictures_are_refused() {
        let fault = preparation("plan m", &[1, 16]).unwrap_err().to_string();
        assert!(fault.ends_with("'x' has [1, 16]"), "{fault}");
        let empty = tempfile::tempdir().unwrap();
        assert!(files(empty.path()).unwrap_err().to_string().contains("has no pictures"));
    }
}
