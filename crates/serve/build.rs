//! Copies the built page to where it is embedded from. Without one the server still
//! builds, and its page says what to run.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

const MISSING: &str = "<!doctype html><meta charset=utf-8><title>Tidewire</title>\
    <p>The dashboard page was not built into this program: run <code>make build</code>.\n";

fn main() -> io::Result<()> {
    let page = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?).join("page");
    let built = Path::new("../../web/dist");
    println!("cargo::rerun-if-changed=build.rs");
    // A path that is missing would run this script, and compile the crate, every time.
    let watched = [built, Path::new("../../web")].into_iter().find(|p| p.is_dir());
    if let Some(watched) = watched {
        println!("cargo::rerun-if-changed={}", watched.display());
    }
    if page.exists() {
        fs::remove_dir_all(&page)?;
    }
    fs::create_dir_all(&page)?;
    if built.join("index.html").is_file() { copy(built, &page) } else { fs::write(page.join("index.html"), MISSING) }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
