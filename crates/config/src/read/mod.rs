//! From trees to the typed configuration: one module a section.

mod dashboard;
pub(crate) mod dead_letters;
mod feed;
mod generator;
mod server;
mod stream;

use std::path::PathBuf;

use crate::{
    keys,
    load::Options,
    reader::Reader,
    shape::Naming,
    types::{Config, Durability},
    yaml::Node,
};

/// Sections whose entries add up over the files of a directory.
const ADDING: [&str; 4] = ["limits", "streams", "feeds", "dashboards"];

/// Reads the files of a configuration as one. What is wrong is left in the reader; the
/// configuration counts only if nothing is.
pub(crate) fn config(reader: &mut Reader<'_>, roots: &[Node], options: &Options) -> Config {
    let roots: Vec<&Node> = roots.iter().collect();
    let root = reader.merged(&roots, &keys::ROOT, "the configuration", &ADDING);
    // What a panel or `listen:` asks for may stand under a misspelt key.
    reader.whole &= !["feeds", "insecure"].iter().any(|key| root.misspelt(key));

    let streams: Vec<&Node> = root.all("streams").collect();
    let named = reader.named(&streams, Naming::Identifier, "stream");
    let named = reader.below(named, &keys::STREAM, "stream");
    dead_letters::check_names(reader, &named);
    let streams = named.iter().filter_map(|(name, node)| stream::stream(reader, name, node)).collect();

    let feeds: Vec<&Node> = root.all("feeds").collect();
    let feeds = reader.named(&feeds, Naming::Identifier, "feed");
    let feeds = reader.below(feeds, &keys::FEED, "feed");
    // A feed that is wrong in itself is still there for the panels that show it.
    let names: Vec<&str> = feeds.iter().map(|(name, _)| name.text.as_str()).collect();
    let feeds = feeds.iter().filter_map(|(name, node)| feed::feed(reader, name, node)).collect();

    let dashboards: Vec<&Node> = root.all("dashboards").collect();
    let dashboards = reader.named(&dashboards, Naming::Page, "dashboard");
    let dashboards = reader.below(dashboards, &keys::DASHBOARD, "dashboard");
    let dashboards =
        dashboards.into_iter().filter_map(|(name, node)| dashboard::dashboard(reader, name, node, &names)).collect();

    let insecure = reader.flag(&root, "insecure");
    let data_dir = reader.text(&root, "data_dir").map(PathBuf::from);
    Config {
        listen: server::listen(reader, &root, options.listen.as_deref(), insecure),
        data_dir: if options.memory { None } else { options.data_dir.clone().or(data_dir) },
        durability: match reader.word(&root, "durability") {
            Some("process") => Durability::Process,
            _ => Durability::Fsync,
        },
        insecure,
        cors: server::cors(reader, &root),
        limits: server::limits(reader, &root),
        streams,
        feeds,
        dashboards,
    }
}
