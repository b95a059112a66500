//! What the crate promises, seen from outside.

mod batch_equal;
mod cases;
mod common;
mod cost;
mod damage;
mod grow;
mod json;
mod refusals;
mod select;
mod ticks;
