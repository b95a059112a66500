//! WebSocket: the handshake ([`handshake`]), frames ([`codec`]), messages ([`message`])
//! and close codes ([`close`]). What happens between is the hub's.

pub mod close;
pub mod codec;
pub mod handshake;
pub mod message;
