//! Black-box tests: they start the binary on a free port and speak its protocols.

mod bad_input;
mod bad_start;
mod clients;
mod crash;
mod dead_letters;
mod files;
mod flights;
mod life;
mod logs;
mod memory;
mod ops;
mod power;
mod reload;
mod restart;
mod server;
