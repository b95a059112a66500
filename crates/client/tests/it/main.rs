//! The client against small servers on real sockets, and against the documentation.

mod docs;
mod http;
mod socket;
