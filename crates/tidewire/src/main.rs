//! The program. All of it is in the library, so that tests can run it with a store of theirs.

fn main() -> std::process::ExitCode {
    tidewire::run(std::env::args_os())
}
