//! The real server on a free port, with a table in memory behind it.

mod abuse;
mod changes;
mod described;
mod events;
mod forms;
mod http;
mod large;
mod limits;
mod memory;
mod publish;
mod slow;
mod socket;
mod storm;
mod support;
mod transports;
mod updates;
mod ways;
