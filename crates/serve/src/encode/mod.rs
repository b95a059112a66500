//! Feeds to bytes: JSON cells ([`json`]) and the frames made of them ([`frame`]).

pub mod frame;
pub mod json;
