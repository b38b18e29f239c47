//! Tries to open the image in the folder that is given, and dies when it cannot: what a server does first
//! in a process of its own.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("the folder of an image is missing")?;
    Ok(tenure_storage::image::probe(Path::new(&folder))?)
}
