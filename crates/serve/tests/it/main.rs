//! The real server on a free port, with a table in memory behind it.

mod abuse;
mod described;
mod http;
mod limits;
mod memory;
mod slow;
mod socket;
mod storm;
mod support;
mod transports;
mod ways;
