//! `tidewire dead-letters` and `tidewire replay`.

use std::io::{self, Write};

use client::{DeadLetter, Replayed};

use crate::{
    cli::{DeadLettersOptions, ReplayOptions},
    report::{Failure, connect, count, print as say, print_json, printable, refused, time},
};

/// Letters of one request.
const PAGE: usize = 1_000;

pub(crate) fn list(options: &DeadLettersOptions) -> Result<(), Failure> {
    let (http, runtime) = connect(&options.url)?;
    let mut out = io::stdout().lock();
    let (mut shown, mut before) = (0, None);
    while shown < options.limit {
        let limit = PAGE.min(options.limit - shown);
        let page = http.dead_letters(&options.stream, options.reason.as_deref(), before.as_deref(), limit);
        let page = runtime.block_on(page);
        let page = page.map_err(|error| runtime.block_on(refused(&http, error, &options.stream)))?;
        shown += page.dead_letters.len();
        match page.dead_letters.iter().try_for_each(|letter| print(&mut out, letter, options.json)) {
            Ok(()) => {}
            // The reader of the pipe has gone: that is how `| head` ends.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Failure::new(format!("cannot write: {error}"))),
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    if shown == 0 {
        eprintln!("no dead letters");
    }
    Ok(())
}

fn print(out: &mut impl Write, letter: &DeadLetter, json: bool) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", serde_json::to_string(letter)?);
    }
    let feed = letter.feed.as_ref().map_or(String::new(), |feed| format!(" (feed {})", printable(feed)));
    let raw = letter.raw.as_ref().or(letter.raw_base64.as_ref()).map_or("", String::as_str);
    writeln!(out, "{}  {}{feed}  {}", time(letter.at), letter.reason, printable(&letter.message))?;
    writeln!(out, "    {}{}", printable(raw), if letter.cut { "…" } else { "" })
}

pub(crate) fn replay(options: &ReplayOptions) -> Result<(), Failure> {
    let (http, runtime) = connect(&options.url)?;
    let mut total = Replayed::default();
    loop {
        let done = http.replay(&options.stream, options.reason.as_deref(), total.next.as_deref());
        let done = runtime.block_on(done);
        let done = done.map_err(|error| runtime.block_on(refused(&http, error, &options.stream)))?;
        total.replayed += done.replayed;
        total.refused += done.refused;
        total.counted += done.counted;
        total.cut += done.cut;
        total.first_refusal = total.first_refusal.or(done.first_refusal);
        total.next = done.next;
        if total.next.is_none() {
            break;
        }
    }
    if options.json {
        return print_json(&total);
    }
    say(format!("{} became events", count(total.replayed as usize, "dead letter")))?;
    if let Some(why) = &total.first_refusal {
        say(format!("{} refused as before; the first: {}", total.refused, printable(why)))?;
    }
    if total.counted > 0 {
        say(format!(
            "{} were refused after the stream had accepted them, and are in its log: not sent again; once the \
             configuration lets them in, `tidewire rebuild FEED` counts them",
            total.counted
        ))?;
    }
    if total.cut > 0 {
        say(format!("{} were kept in part only: not sent again", total.cut))?;
    }
    Ok(())
}
