//! Every path, with what it takes and what it can answer.

use model::{Code, Reason};
use utoipa::openapi::{
    ArrayBuilder, Paths, PathsBuilder,
    schema::{ObjectBuilder, OneOfBuilder, Schema, Type},
};

use super::{
    operation::{Answer, Operation, shape, text},
    shapes,
};
use crate::{
    encode::body::Representation,
    http::{dead_letters, feeds, page, streams},
    ingest::Receipt,
};

/// What a server that is stopping, or a log that takes no more, answers to a write.
const WRITING: [Code; 5] = [Code::LimitReached, Code::Internal, Code::Unavailable, Code::Shutdown, Code::DiskFull];

/// All of them.
pub fn all() -> Paths {
    let paths = [
        ("/v1/streams", list_streams()),
        ("/v1/streams/{stream}", push()),
        ("/v1/streams/{stream}/dead-letters", list_dead_letters()),
        ("/v1/streams/{stream}/dead-letters/replay", replay_dead_letters()),
        ("/v1/feeds", list_feeds()),
        ("/v1/feeds/{feed}", read_feed()),
        ("/v1/feeds/{feed}/rebuild", rebuild_feed()),
        ("/v1/dashboards", list_dashboards()),
        ("/v1/dashboards/{dashboard}", describe_dashboard()),
        ("/v1/ws", open_socket()),
        ("/livez", live()),
        ("/readyz", ready()),
        ("/metrics", metrics()),
        ("/openapi.json", describe()),
        ("/", show_page()),
        ("/dashboard/{dashboard}", show_dashboard()),
        ("/assets/{path}", show_asset()),
    ];
    paths.into_iter().fold(PathsBuilder::new(), |all, (path, operation)| all.path(path, operation.done())).build()
}

fn list_streams() -> Operation {
    Operation::get("list_streams", "streams", "The streams, their columns and how they stand")
        .answers_json::<streams::Streams>(200, "The streams.")
}

fn push() -> Operation {
    let event = shape::<shapes::Event>();
    let events = ArrayBuilder::new().items(event.clone());
    let json = OneOfBuilder::new().item(event).item(events);
    let lines = || text().description(Some("One object a line.")).into();
    let packed = || text().content_media_type("application/msgpack").into();
    let csv = text().description(Some("A header line with the fields' names, then records."));
    Operation::post("push_events", "streams", "Events in")
        .about("Answered when the accepted events are kept. What is refused of them becomes a dead letter.")
        .path("stream", "A stream whose source is `http`.")
        .header(
            "Idempotency-Key",
            text().min_length(Some(1)).max_length(Some(255)).pattern(Some("^[!-~]+$")),
            "Sent again with the same body, the events are kept once and the answer is that of the first request.",
        )
        .header("Content-Encoding", text().enum_values(Some(["identity", "gzip", "zstd"])), "How the body is packed.")
        .takes(
            "Events.",
            [
                ("application/json", json.into()),
                ("application/x-ndjson", lines()),
                ("application/ndjson", lines()),
                ("application/jsonl", lines()),
                ("text/csv", csv.into()),
                ("application/msgpack", packed()),
                ("application/vnd.msgpack", packed()),
                ("application/x-msgpack", packed()),
            ],
        )
        .answers_json::<Receipt>(200, "They are kept, but those that are listed.")
        .refuses(&[Code::BadRequest, Code::UnknownStream, Code::RequestTimeout, Code::IdempotencyInFlight])
        .refuses(&[Code::TooLarge, Code::UnsupportedMedia])
        .refuses(&[Code::NoneAccepted, Code::IdempotencyMismatch, Code::NotWritable])
        .refuses(&WRITING)
}

fn reasons() -> ObjectBuilder {
    text().enum_values(Some(Reason::ALL.map(Reason::as_str)))
}

fn list_dead_letters() -> Operation {
    let limit = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    Operation::get("list_dead_letters", "streams", "What was refused of a stream, the newest first")
        .path("stream", "A stream.")
        .query("before", shapes::letter_id(), "Those before this one: the `next` of the page before.")
        .query("reason", reasons(), "Those that were refused for this reason.")
        .query("limit", limit.maximum(Some(dead_letters::MAX_PAGE as u64)), "How many at most; 100 unless said.")
        .answers_json::<dead_letters::Found>(200, "A page of them.")
        .refuses(&[Code::UnknownStream, Code::Shutdown])
}

fn replay_dead_letters() -> Operation {
    Operation::post("replay_dead_letters", "streams", "Decodes what was refused anew; what fits becomes events")
        .path("stream", "A stream.")
        .query("after", shapes::letter_id(), "Those after this one: the `next` of the answer before.")
        .query("reason", reasons(), "Those that were refused for this reason.")
        .answers_json::<dead_letters::Replayed>(200, "What became of them.")
        .refuses(&[Code::UnknownStream, Code::NotWritable])
        .refuses(&WRITING)
}

fn list_feeds() -> Operation {
    Operation::get("list_feeds", "feeds", "The feeds, their columns and how they stand")
        .answers_json::<feeds::Feeds>(200, "The feeds.")
}

fn read_feed() -> Operation {
    let both = OneOfBuilder::new().item(shape::<shapes::Snapshot>()).item(shape::<shapes::Delta>()).build();
    let mut answer = Answer::new(
        "With `since`, what changed: a delta, or a snapshot with `reset` where the cursor cannot be resumed. \
         Without, the snapshot. In the form that `Accept` likes best; NDJSON, CSV and Arrow hold rows alone, so \
         they are not had with `since`. `text/event-stream` stays open and sends frames as they come: `data` is a \
         frame of the WebSocket, `id` its cursor.",
    );
    for form in Representation::ALL {
        // Without its parameters, which say more than the type.
        let media = form.names()[0];
        answer = match form {
            Representation::Json => answer.form(media, Schema::from(both.clone())),
            Representation::Ndjson | Representation::Csv | Representation::EventStream => answer.text(media),
            Representation::MessagePack | Representation::Arrow => answer.form(media, text().content_media_type(media)),
        };
    }
    let answer = answer
        .tagged()
        .header("Tidewire-Cursor", shape::<shapes::Cursor>(), "The cursor behind the answer.")
        .header("Content-Encoding", text(), "How the body is packed: what `Accept-Encoding` likes best.")
        .header("Vary", text(), "What the answer depends on.")
        .link(
            "changes",
            "read_feed",
            "What changed since.",
            [("feed", "$request.path.feed"), ("since", "$response.header.Tidewire-Cursor")],
        );
    Operation::get("read_feed", "feeds", "What changed in a feed since a cursor, or its snapshot")
        .path("feed", "A feed.")
        .query("since", shape::<shapes::Cursor>(), "The cursor of the last frame, to go on from there.")
        .query(
            "wait",
            text().pattern(Some("^[0-9]{1,9}(ms|s|m)$")),
            "With `since`: how long to wait for a change, as in `25s`; at most a minute. Nothing new is an empty delta.",
        )
        .query(
            "max_rate",
            ObjectBuilder::new().schema_type(Type::Number).exclusive_minimum(Some(0)),
            "For server-sent events: at most so many frames a second. What is left out is merged.",
        )
        .header("If-None-Match", text(), "The `ETag` that is held: 304 if no row changed since.")
        .header(
            "Last-Event-ID",
            text(),
            "For server-sent events: the last `id`. It goes before `since`, and is a cursor.",
        )
        .answers(200, answer)
        .answers(304, Answer::new("What is held is the newest.").tagged())
        .refuses(&[Code::MalformedCursor, Code::UnknownFeed, Code::NotAcceptable])
        .refuses(&[Code::Internal, Code::Unavailable, Code::Shutdown])
}

fn rebuild_feed() -> Operation {
    Operation::post("rebuild_feed", "feeds", "Makes a feed anew from the log")
        .about("Answered when it has begun; `GET /v1/feeds` says how far it is. The old rows are served until then.")
        .path("feed", "A feed.")
        .answers_json::<feeds::Rebuilding>(202, "It has begun.")
        .refuses(&[Code::UnknownFeed, Code::CannotRebuild, Code::Shutdown])
}

fn list_dashboards() -> Operation {
    Operation::get("list_dashboards", "dashboards", "The dashboards")
        .answers_json::<page::Dashboards>(200, "Their names and titles.")
}

fn describe_dashboard() -> Operation {
    Operation::get("describe_dashboard", "dashboards", "A dashboard and its panels")
        .path("dashboard", "A dashboard.")
        .header("If-None-Match", text(), "The `ETag` that is held: 304 if the dashboard has not changed since.")
        .answers(200, Answer::new("The dashboard.").json::<shapes::Dashboard>().tagged())
        .answers(304, Answer::new("What is held is the newest.").tagged())
        .refuses(&[Code::UnknownDashboard])
}

/// The handshake of RFC 6455.
fn handshake(operation: Operation) -> Operation {
    let switched = Answer::new("From here on it is a WebSocket.")
        .header("Sec-WebSocket-Accept", text(), "The proof that the handshake was understood.")
        .header("Sec-WebSocket-Protocol", text(), "The chosen one of the subprotocols that were offered.");
    operation
        .header("Upgrade", text(), "`websocket`; `Connection` says `Upgrade`.")
        .header("Sec-WebSocket-Version", text(), "13: that of RFC 6455.")
        .header("Sec-WebSocket-Key", text(), "16 random bytes in base64.")
        .header("Sec-WebSocket-Protocol", text(), "`tidewire.v1.json`, the default, or `tidewire.v1.msgpack`.")
        .answers(101, switched)
        .refuses(&[Code::BadRequest, Code::Internal, Code::Shutdown])
}

fn open_socket() -> Operation {
    let open = Operation::get("open_socket", "sockets", "The WebSocket: many feeds, and events in");
    handshake(open.about("Its messages and close codes stand in the protocol's description."))
}

fn live() -> Operation {
    Operation::get("live", "operations", "Whether the process answers")
        .answers(200, Answer::new("It does.").text("text/plain"))
}

fn ready() -> Operation {
    Operation::get("ready", "operations", "Whether requests can be served")
        .query("exclude", text(), "A code of `reasons` that does not count, such as `source_failed`.")
        .answers(200, Answer::new("They can.").text("text/plain"))
        .refuses(&[Code::BadRequest, Code::Unavailable, Code::Shutdown])
}

fn metrics() -> Operation {
    Operation::get("metrics", "operations", "Metrics in the text format of Prometheus")
        .answers(200, Answer::new("The metrics.").text("text/plain"))
}

/// A part of the page, or what is held of it.
fn file(operation: Operation, media: &str, about: &str) -> Operation {
    operation
        .header("If-None-Match", text(), "The `ETag` that is held: 304 if it is the newest.")
        .answers(200, Answer::new(about).text(media).tagged())
        .answers(304, Answer::new("What is held is the newest.").tagged())
}

fn describe() -> Operation {
    let document = ObjectBuilder::new().schema_type(Type::Object).required("openapi").property("openapi", text());
    Operation::get("describe", "operations", "This description")
        .header("If-None-Match", text(), "The `ETag` that is held: 304 if it is the newest.")
        .answers(200, Answer::new("OpenAPI 3.1.").form("application/json", document).tagged())
        .answers(304, Answer::new("What is held is the newest.").tagged())
        .refuses(&[Code::Internal])
}

fn show_page() -> Operation {
    file(Operation::get("show_page", "dashboards", "The page, which lists the dashboards"), "text/html", "The page.")
        .refuses(&[Code::Internal])
}

fn show_dashboard() -> Operation {
    let show = Operation::get("show_dashboard", "dashboards", "The page of a dashboard; with an upgrade, its updates")
        .path("dashboard", "A dashboard.")
        .query("format", text().enum_values(Some(["json", "msgpack"])), "Of updates: JSON unless said.");
    handshake(file(show, "text/html", "The page.")).refuses(&[Code::UnknownDashboard, Code::Internal]).or_page()
}

fn show_asset() -> Operation {
    let show = Operation::get("show_asset", "dashboards", "A part of the page, named by its content");
    file(show.path("path", "Its path, which may have slashes."), "*/*", "The part.").refuses(&[Code::NotFound])
}
