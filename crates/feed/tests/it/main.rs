//! What a feed promises its readers, held against a plain model of a table.

mod clients;
mod costs;
mod damage;
mod model_feed;
mod restart;
mod rows;
mod semantics;
