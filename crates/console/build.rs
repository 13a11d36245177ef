//! Compresses the page, which is committed as `console/dist` and made by `npm run build` there: building needs no Node.

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let page = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../console/dist");
    let out = env::var("OUT_DIR")?;
    for name in ["index.html", "console.js", "console.css"] {
        let file = page.join(name);
        println!("cargo::rerun-if-changed={}", file.display());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&fs::read(&file)?)?;
        fs::write(Path::new(&out).join(name).with_added_extension("gz"), encoder.finish()?)?;
    }
    Ok(())
}
