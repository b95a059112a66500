//! The program's size, as it is and compressed, and how long its build took.
//!
//! `size [--build-seconds N]`: the build's time is what `bench/run` measured, if it was a
//! clean one.

use std::process::{Command, Stdio};

use bench::{Outcome, args::option, server::program};

/// What a compressor makes of a file, in bytes; `None` if it is not installed.
fn compressed(compressor: &[&str], path: &std::path::Path) -> Outcome<Option<usize>> {
    let [name, args @ ..] = compressor else { return Ok(None) };
    let output = Command::new(name).args(args).arg(path).stderr(Stdio::inherit()).output();
    match output {
        Ok(output) if output.status.success() => Ok(Some(output.stdout.len())),
        Ok(output) => Err(format!("{name} ended with {}", output.status).into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn main() -> Outcome {
    let seconds: u64 = option("build-seconds", 0)?;
    let program = program()?;
    let megabytes = |bytes: usize| format!("{:.1} MB", bytes as f64 / 1e6);
    println!("size: {}", megabytes(program.metadata()?.len() as usize));
    for compressor in [&["gzip", "-9", "-c"][..], &["xz", "-T1", "-c"]] {
        let size = compressed(compressor, &program)?;
        println!("  {}: {}", compressor.join(" "), size.map_or("not installed".to_owned(), megabytes));
    }
    if seconds > 0 {
        println!("  clean release build: {} min {:02} s", seconds / 60, seconds % 60);
    }
    Ok(())
}
