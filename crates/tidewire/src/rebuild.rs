//! `tidewire rebuild`.

use std::time::Duration;

use client::{Error, Http};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::{
    cli::RebuildOptions,
    report::{Failure, connect, count, print, print_json, refused},
};

/// How often the server is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(200);

pub(crate) fn rebuild(options: &RebuildOptions) -> Result<(), Failure> {
    let (http, runtime) = connect(&options.url)?;
    let done = runtime.block_on(follow(&http, &options.feed));
    let (rows, failure) = done.map_err(|error| runtime.block_on(refused(&http, error, &options.feed)))?;
    if let Some(why) = failure {
        return Err(Failure::new(format!("feed `{}` {why}", options.feed)));
    }
    if options.json {
        return print_json(&json!({ "feed": options.feed, "rows": rows }));
    }
    print(format!("feed `{}` is rebuilt: {}", options.feed, count(rows as usize, "row")))
}

/// Returns the rows once it is done, and why it could not be, if so.
async fn follow(http: &Http, feed: &str) -> Result<(u64, Option<String>), Error> {
    http.rebuild(feed).await?;
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent} %  {elapsed}") {
        bar.set_style(style);
    }
    loop {
        let feeds = http.feeds().await?;
        let Some(found) = feeds.into_iter().find(|f| f.name == feed) else {
            // The server was started anew without it.
            bar.finish_and_clear();
            return Ok((0, Some("is gone: the server was started anew without it".to_owned())));
        };
        match found.rebuilding {
            Some(share) => bar.set_position((share * 1000.0) as u64),
            None => {
                bar.finish_and_clear();
                return Ok((found.rows, found.failure));
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
