//! What a program holds: a client and its subscriptions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering, fence},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    Backoff, Error, Table,
    address::Address,
    connect::{Connect, Tcp},
    frame::{Column, Frame, Rejected, Row},
    link::{Command, Item, Link},
    table::Change,
};

/// How a client behaves. Make it with [`Options::new`] and change what you need.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server: `http://HOST:PORT`.
    pub url: String,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// How long one attempt to connect may take: 10 s.
    pub connect_timeout: Duration,
    /// After this long without a message a ping is sent: 25 s, as the server does.
    pub ping_after: Duration,
    /// After this long without a message the connection counts as lost: 60 s.
    pub silence: Duration,
    /// Bytes of one message to the server: 64 KiB, the server's default limit.
    pub max_message: usize,
    /// Bytes of one message from the server: 64 MiB.
    pub max_frame: usize,
    /// Rows of one feed's table: 4 million.
    pub max_rows: usize,
    /// How long [`crate::Http`] tries again before it gives up: 60 s.
    pub retry_for: Duration,
}

impl Options {
    /// The defaults, for the server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(25),
            silence: Duration::from_mins(1),
            max_message: 64 << 10,
            max_frame: 64 << 20,
            max_rows: 4_000_000,
            retry_for: Duration::from_mins(1),
        }
    }
}

/// Commands on their way to the task. More wait in their callers.
const COMMANDS: usize = 64;

/// Frames that wait for one subscriber. One that is slower is resumed from its cursor later.
const WAITING: usize = 16;

/// A connection to a server that mends itself. Cheap to clone; ends with the last clone
/// and the last subscription.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    drained: Arc<Notify>,
    max_message: usize,
    max_rows: usize,
}

/// What a publish came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// How many events are kept.
    pub accepted: u64,
    /// Which are not, and why; at most 100 of them.
    pub rejected: Vec<Rejected>,
    /// How many are not.
    pub rejected_total: u64,
}

impl Client {
    /// Connects. Fails if the first attempt does; what is lost later is mended.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let address = Address::parse(&options.url)?;
        let tcp = Tcp { address, max_frame: options.max_frame, timeout: options.connect_timeout };
        Self::over(tcp, options).await
    }

    /// Connects over any carrier.
    pub(crate) async fn over<C: Connect>(connector: C, options: Options) -> Result<Self, Error> {
        let socket =
            connector.connect().await.map_err(|reason| Error::Unreachable { url: options.url.clone(), reason })?;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let drained = Arc::new(Notify::new());
        let client =
            Self { commands, drained: drained.clone(), max_message: options.max_message, max_rows: options.max_rows };
        tokio::spawn(Link::new(connector, options, receiver, drained).run(socket));
        Ok(client)
    }

    /// Follows a feed, from its snapshot or, with `since`, from a cursor on. The table then
    /// holds what changed since it.
    pub async fn subscribe(&self, feed: &str, since: Option<String>) -> Result<Subscription, Error> {
        let table = match &since {
            Some(cursor) => {
                cursor.parse::<model::Cursor>().map_err(crate::table::TableError::from)?;
                Table::since(cursor)
            }
            None => Table::new(),
        };
        let (to, items) = mpsc::channel(WAITING);
        let lagging = Arc::new(AtomicBool::new(false));
        let (answer, answered) = oneshot::channel();
        let command = Command::Subscribe { feed: feed.to_owned(), since, to, lagging: lagging.clone(), answer };
        self.commands.send(command).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)??;
        Ok(Subscription { feed: feed.to_owned(), table, items, lagging, client: self.clone(), failed: None })
    }

    /// Publishes events and waits until the server says that they are kept.
    ///
    /// Nothing is sent while there is no connection. After [`Error::Unacknowledged`] the
    /// events may be kept or not; where that matters, use [`crate::Http::post`] with an
    /// idempotency key.
    pub async fn publish<T: Serialize>(&self, stream: &str, events: &[T]) -> Result<Published, Error> {
        let events = serde_json::value::to_raw_value(events)
            .map_err(|e| Error::Refused { code: "bad_message".into(), message: e.to_string() })?;
        let (answer, answered) = oneshot::channel();
        // The envelope around the events has a fixed part and the stream's name.
        let len = events.get().len() + stream.len() + 64;
        if len > self.max_message {
            return Err(Error::TooLarge { len, max: self.max_message });
        }
        let command = Command::Publish { stream: stream.to_owned(), events, answer };
        self.commands.send(command).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

/// What happened to a feed, or to the way to it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The server told the feed's columns; said again after each reconnect.
    Subscribed {
        /// All columns, the key's first.
        columns: Vec<Column>,
        /// The key's columns.
        key: Vec<String>,
    },
    /// The table was replaced.
    Snapshot {
        /// Whether the cursor could not be resumed, so that changes may have been missed.
        reset: bool,
    },
    /// The table changed; with neither rows nor keys only its cursor moved.
    Delta {
        /// Rows that are new or replaced.
        upserts: Vec<Row>,
        /// Keys whose rows are gone.
        deletes: Vec<Row>,
    },
    /// There is no connection.
    Disconnected {
        /// What was met.
        reason: String,
        /// When the next attempt will be made.
        retry_in: Duration,
    },
    /// There is a connection again; the feed resumes from the table's cursor.
    Reconnected,
}

/// A feed as it is followed: events, and the table that they make.
#[derive(Debug)]
pub struct Subscription {
    feed: String,
    table: Table,
    items: mpsc::Receiver<Item>,
    /// Set by the task while this subscription is unsubscribed for being slow.
    lagging: Arc<AtomicBool>,
    /// Keeps the task alive, and wakes it.
    client: Client,
    /// The error that ended it: said again to whoever asks again.
    failed: Option<Error>,
}

impl Subscription {
    /// The feed's name.
    pub fn feed(&self) -> &str {
        &self.feed
    }

    /// The feed's rows as of [`Table::cursor`].
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The next event, after it was applied to the table. An error ends the subscription.
    /// Safe to cancel.
    pub async fn next(&mut self) -> Result<Event, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            let item = self.items.recv().await;
            self.say_drained();
            match self.take(item) {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(error) => {
                    self.failed = Some(error.clone());
                    self.items.close();
                    self.client.drained.notify_one();
                    return Err(error);
                }
            }
        }
    }

    /// Wakes the task if it waits for this queue to be empty. The fence pairs with the
    /// task's: it sets `lagging` before it looks at the queue, this side empties the queue
    /// before it looks at `lagging`, so one of the two sees the other.
    fn say_drained(&self) {
        fence(Ordering::SeqCst);
        if self.items.is_empty() && self.lagging.load(Ordering::SeqCst) {
            self.client.drained.notify_one();
        }
    }

    fn take(&mut self, item: Option<Item>) -> Result<Option<Event>, Error> {
        let frame = match item {
            None => return Err(Error::Closed),
            Some(Item::Failed(error)) => return Err(error),
            Some(Item::Disconnected { reason, retry_in }) => {
                return Ok(Some(Event::Disconnected { reason, retry_in }));
            }
            Some(Item::Reconnected) => return Ok(Some(Event::Reconnected)),
            Some(Item::Frame(frame)) => frame,
        };
        if let Frame::Subscribed(answer) = frame {
            self.table.subscribed(&answer)?;
            return Ok(Some(Event::Subscribed { columns: answer.columns, key: answer.key }));
        }
        let change = self.table.apply(frame)?;
        if self.table.len() > self.client.max_rows {
            return Err(Error::TooManyRows { feed: self.feed.clone(), max: self.client.max_rows });
        }
        Ok(match change {
            Change::Nothing => None,
            Change::Swapped { reset } => Some(Event::Snapshot { reset }),
            Change::Changed { upserts, deletes } => Some(Event::Delta { upserts, deletes }),
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Closed first, so that the task that wakes finds it closed and unsubscribes.
        self.items.close();
        self.client.drained.notify_one();
    }
}
