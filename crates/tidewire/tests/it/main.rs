//! Black-box tests: they start the binary on a free port and speak its protocols.

mod bad_input;
mod bad_start;
mod clients;
mod commands;
mod crash;
mod dead_letters;
mod files;
mod flights;
mod init;
mod life;
mod logs;
mod memory;
mod ops;
mod power;
mod query;
mod reload;
mod restart;
mod server;
mod wrong_configurations;
