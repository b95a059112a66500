//! The task behind a client. It owns the socket, tells it what the client wants, hands
//! frames to their subscribers, and when the socket is lost makes another.
//!
//! ```text
//!  Client ── commands ──►┌──────┐◄──► socket ◄──► server
//!  Subscription ◄─ items ┤ Link │
//!               drained ►└──────┘
//! ```
//!
//! What it promises: the frames that a subscriber gets have no gap between them. A
//! frame that does not fit in a subscriber's queue is not waited for, since the
//! subscriber may itself be waiting for an acknowledgement that stands behind it on the
//! socket. The feed is unsubscribed instead, and once the queue is empty subscribed again
//! from the cursor of the last frame that did fit (INV-3, INV-4).

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering, fence},
    },
    time::Duration,
};

use serde_json::{json, value::RawValue};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Bytes, Message},
};

use crate::{
    Error, Options, Published,
    connect::Connect,
    frame::{Delta, Frame, Refusal, Snapshot},
    table::{Pieces, Step, step},
    wire::{Moved, Wire},
};

/// What a client asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Follow a feed.
    Subscribe {
        feed: String,
        since: Option<String>,
        to: mpsc::Sender<Item>,
        lagging: Arc<AtomicBool>,
        answer: oneshot::Sender<Result<(), Error>>,
    },
    /// Publish events, a JSON array.
    Publish { stream: String, events: Box<RawValue>, answer: oneshot::Sender<Result<Published, Error>> },
}

/// What a subscriber gets.
#[derive(Debug)]
pub(crate) enum Item {
    /// A frame; snapshots are whole.
    Frame(Frame),
    /// The connection was lost.
    Disconnected { reason: String, retry_in: Duration },
    /// There is one again.
    Reconnected,
    /// The subscription has ended.
    Failed(Error),
}

/// How a subscription stands with the server.
#[derive(Debug, PartialEq)]
enum State {
    /// Asked for, or to be asked for on the next connection.
    Asked,
    /// Answered: frames of this view are its.
    Live(String),
    /// Unsubscribed until its queue is empty.
    Lagging,
}

/// A subscription.
#[derive(Debug)]
struct Follower {
    feed: String,
    state: State,
    /// Of the last frame in its queue.
    cursor: Option<String>,
    pieces: Pieces,
    to: mpsc::Sender<Item>,
    lagging: Arc<AtomicBool>,
    /// A gap was met and nothing good has come since.
    gap: bool,
}

/// Why a connection ended.
enum End {
    /// Nobody needs it any more.
    Finished,
    /// It was lost; the server may have said when to come again.
    Lost { reason: String, after: Option<Duration> },
}

fn lost(reason: impl Into<String>) -> End {
    End::Lost { reason: reason.into(), after: None }
}

/// The task's state.
pub(crate) struct Link<C> {
    connector: C,
    options: Options,
    commands: mpsc::Receiver<Command>,
    drained: Arc<Notify>,
    /// By the number on the wire. A number is never used twice.
    followers: BTreeMap<u64, Follower>,
    publishes: HashMap<u64, oneshot::Sender<Result<Published, Error>>>,
    next_reference: u64,
    /// Attempts to connect since a server last brought something. An opened socket alone
    /// is no success: a server that accepts and closes must not be hammered.
    attempt: u32,
}

/// Publishes that wait for their acknowledgement; further ones wait as commands.
const UNACKNOWLEDGED: usize = 1024;

/// One gap may be a fault that passes; two in a row are the server's, and it is left alone
/// for a while.
const TWO_GAPS: &str = "two gaps in a row: the server does not resume this feed";

impl<C: Connect> Link<C> {
    pub fn new(connector: C, options: Options, commands: mpsc::Receiver<Command>, drained: Arc<Notify>) -> Self {
        Self {
            connector,
            options,
            commands,
            drained,
            followers: BTreeMap::new(),
            publishes: HashMap::new(),
            next_reference: 1,
            attempt: 0,
        }
    }

    /// Runs until the last client and subscription are gone.
    pub async fn run(mut self, mut socket: WebSocketStream<C::Stream>) {
        loop {
            let mut wire = Wire::new(socket);
            let Err(end) = self.session(&mut wire).await;
            for (_, answer) in self.publishes.drain() {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(Err(Error::Unacknowledged));
            }
            let End::Lost { mut reason, mut after } = end else {
                // A courtesy: the server learns that nobody is missing.
                let _ = timeout(Duration::from_secs(1), wire.close()).await;
                return;
            };
            drop(wire);
            socket = loop {
                let unit = rand::random::<f64>();
                let retry_in = after.take().unwrap_or_else(|| self.options.backoff.delay(self.attempt, unit));
                self.attempt = self.attempt.saturating_add(1);
                tracing::debug!(%reason, ?retry_in, "disconnected");
                self.tell_all(|| Item::Disconnected { reason: reason.clone(), retry_in });
                if !self.wait(retry_in).await {
                    return;
                }
                match self.connector.connect().await {
                    Ok(socket) => break socket,
                    Err(why) => reason = why,
                }
            };
            self.tell_all(|| Item::Reconnected);
        }
    }

    /// Waits between two attempts; false if nobody is left to connect for.
    async fn wait(&mut self, time: Duration) -> bool {
        let until = sleep(time);
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => return true,
                command = self.commands.recv() => match command {
                    None => return false,
                    Some(Command::Publish { answer, .. }) => { let _ = answer.send(Err(Error::Disconnected)); }
                    Some(Command::Subscribe { feed, since, to, lagging, answer }) => {
                        let _ = answer.send(self.admit(feed, since, to, lagging).map(|_| ()));
                    }
                },
            }
        }
    }

    /// A notice for every subscriber. One whose queue is full goes without: it has frames
    /// to read first, and then gets `subscribed`.
    fn tell_all(&mut self, item: impl Fn() -> Item) {
        for follower in self.followers.values() {
            let _ = follower.to.try_send(item());
        }
    }

    /// Takes a new subscription; gives back its number on the wire.
    fn admit(
        &mut self,
        feed: String,
        since: Option<String>,
        to: mpsc::Sender<Item>,
        lagging: Arc<AtomicBool>,
    ) -> Result<u64, Error> {
        if self.followers.values().any(|f| f.feed == feed && !f.to.is_closed()) {
            return Err(Error::AlreadySubscribed(feed));
        }
        let reference = self.reference();
        let pieces = Pieces::default();
        let follower = Follower { feed, state: State::Asked, cursor: since, pieces, to, lagging, gap: false };
        self.followers.insert(reference, follower);
        Ok(reference)
    }

    fn reference(&mut self) -> u64 {
        let reference = self.next_reference;
        self.next_reference += 1;
        reference
    }

    /// Serves one connection until it ends. Nothing waits for a write but the next command,
    /// so what the server says is heard meanwhile.
    async fn session(&mut self, wire: &mut Wire<C::Stream>) -> Result<Infallible, End> {
        self.sweep(None);
        let references: Vec<u64> = self.followers.keys().copied().collect();
        for reference in references {
            self.subscribe(wire, reference);
        }
        let mut heard = Instant::now();
        let mut pinged = false;
        loop {
            let due = heard + if pinged { self.options.silence } else { self.options.ping_after };
            let stuck = wire.stuck_since().map(|since| since + self.options.silence);
            tokio::select! {
                // The socket before the clock: what has come is no silence.
                biased;
                command = self.commands.recv(), if stuck.is_none() && self.publishes.len() < UNACKNOWLEDGED => {
                    self.on_command(wire, command.ok_or(End::Finished)?);
                }
                moved = wire.step() => {
                    let Moved::Heard(message) = moved else { continue };
                    heard = Instant::now();
                    pinged = false;
                    match message {
                        None => return Err(lost("the server closed the connection")),
                        Some(Err(error)) => return Err(lost(error.to_string())),
                        Some(Ok(message)) => self.on_message(wire, message)?,
                    }
                }
                () = self.drained.notified() => self.on_drained(wire),
                () = sleep_until(stuck.map_or(due, |stuck| stuck.min(due))) => {
                    let silence = self.options.silence;
                    if wire.stuck_since().is_some_and(|since| since.elapsed() >= silence) {
                        return Err(lost(format!("the server took nothing for {} s", silence.as_secs())));
                    }
                    if Instant::now() < due {
                        continue;
                    }
                    if pinged {
                        return Err(lost(format!("nothing heard for {} s", silence.as_secs())));
                    }
                    pinged = true;
                    wire.write(Message::Ping(Bytes::new()));
                }
            }
        }
    }

    fn on_command(&mut self, wire: &mut Wire<C::Stream>, command: Command) {
        match command {
            Command::Subscribe { feed, since, to, lagging, answer } => {
                self.sweep(Some(wire));
                match self.admit(feed, since, to, lagging) {
                    Err(error) => {
                        let _ = answer.send(Err(error));
                    }
                    Ok(reference) => {
                        let _ = answer.send(Ok(()));
                        self.subscribe(wire, reference);
                    }
                }
            }
            Command::Publish { stream, events, answer } => {
                let reference = self.reference();
                let text = format!(
                    r#"{{"op":"publish","ref":{reference},"stream":{},"events":{}}}"#,
                    json!(stream),
                    events.get()
                );
                self.publishes.insert(reference, answer);
                wire.write(Message::text(text));
            }
        }
    }

    fn on_message(&mut self, wire: &mut Wire<C::Stream>, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Close(Some(frame)) => {
                return Err(lost(format!("the server closed the connection: {} {}", frame.code, frame.reason)));
            }
            Message::Close(None) => return Err(lost("the server closed the connection")),
            Message::Binary(_) => return Err(lost("the server sent binary data")),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(()),
        };
        let frame = Frame::parse(&text).map_err(|e| lost(e.to_string()))?;
        match frame {
            Frame::Subscribed(answer) => {
                let reference = answer.reference;
                let Some(follower) = self.followers.get_mut(&reference) else { return Ok(()) };
                if follower.state != State::Asked {
                    return Ok(());
                }
                follower.state = State::Live(answer.view.clone());
                let cursor = follower.cursor.clone();
                self.hand(wire, reference, Frame::Subscribed(answer), cursor);
                Ok(())
            }
            Frame::Snapshot(piece) => self.on_piece(wire, piece),
            Frame::Delta(delta) => self.on_delta(wire, delta),
            Frame::Published { reference, accepted, rejected, rejected_total } => {
                self.attempt = 0;
                if let Some(answer) = self.publishes.remove(&reference) {
                    let _ = answer.send(Ok(Published { accepted, rejected, rejected_total }));
                }
                Ok(())
            }
            Frame::Error(refusal) => self.on_refusal(refusal),
            Frame::Closing { code, message, retry_after_ms } => Err(End::Lost {
                reason: format!("{message} ({code})"),
                after: retry_after_ms.map(|ms| Duration::from_millis(ms).min(self.options.backoff.max * 4)),
            }),
            Frame::Unknown(_) => Ok(()),
        }
    }

    /// The subscription whose frames carry this view's name.
    fn of_view(&self, view: &str) -> Option<u64> {
        let is_its = |f: &Follower| matches!(&f.state, State::Live(v) if v == view);
        self.followers.iter().find(|(_, f)| is_its(f)).map(|(r, _)| *r)
    }

    fn on_piece(&mut self, wire: &mut Wire<C::Stream>, piece: Snapshot) -> Result<(), End> {
        // Frames of a feed that was just unsubscribed may still come.
        let Some(reference) = self.of_view(&piece.view) else { return Ok(()) };
        let Some(follower) = self.followers.get_mut(&reference) else { return Ok(()) };
        let whole = follower.pieces.push(piece).map_err(|e| lost(e.to_string()))?;
        if follower.pieces.rows() > self.options.max_rows {
            follower.pieces.clear();
            let error = Error::TooManyRows { feed: follower.feed.clone(), max: self.options.max_rows };
            self.fail(wire, reference, error);
            return Ok(());
        }
        let Some(snapshot) = whole else { return Ok(()) };
        let cursor = snapshot.cursor.clone();
        self.hand(wire, reference, Frame::Snapshot(snapshot), cursor);
        Ok(())
    }

    fn on_delta(&mut self, wire: &mut Wire<C::Stream>, delta: Delta) -> Result<(), End> {
        let Some(reference) = self.of_view(&delta.view) else { return Ok(()) };
        let Some(follower) = self.followers.get_mut(&reference) else { return Ok(()) };
        match step(follower.cursor.as_deref(), &delta.from, &delta.cursor).map_err(|e| lost(e.to_string()))? {
            Step::Known => {}
            Step::Forward => {
                let cursor = Some(delta.cursor.clone());
                self.hand(wire, reference, Frame::Delta(delta), cursor);
            }
            Step::Gap if follower.gap => return Err(lost(TWO_GAPS)),
            Step::Gap => {
                follower.gap = true;
                tracing::warn!(feed = %follower.feed, from = %delta.from, "a gap: resuming from the last cursor");
                unsubscribe(wire, reference);
                self.subscribe(wire, reference);
            }
        }
        Ok(())
    }

    /// Puts a frame into its subscriber's queue; `cursor` is where the subscriber then stands.
    fn hand(&mut self, wire: &mut Wire<C::Stream>, reference: u64, frame: Frame, cursor: Option<String>) {
        let Some(follower) = self.followers.get_mut(&reference) else { return };
        let brings = !matches!(frame, Frame::Subscribed(_));
        match follower.to.try_send(Item::Frame(frame)) {
            Ok(()) => {
                follower.cursor = cursor;
                if brings {
                    follower.gap = false;
                    self.attempt = 0;
                }
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                follower.state = State::Lagging;
                follower.pieces.clear();
                follower.lagging.store(true, Ordering::SeqCst);
                unsubscribe(wire, reference);
                // Its last items may have been taken just before `lagging` was set.
                fence(Ordering::SeqCst);
                self.on_drained(wire);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => self.sweep(Some(wire)),
        }
    }

    /// Someone's queue is empty, or someone is gone.
    fn on_drained(&mut self, wire: &mut Wire<C::Stream>) {
        self.sweep(Some(wire));
        let ready = |f: &Follower| f.state == State::Lagging && f.to.capacity() == f.to.max_capacity();
        let references: Vec<u64> = self.followers.iter().filter(|(_, f)| ready(f)).map(|(r, _)| *r).collect();
        for reference in references {
            self.subscribe(wire, reference);
        }
    }

    /// Forgets the subscriptions that their owners dropped, and tells the server if there is one.
    fn sweep(&mut self, mut wire: Option<&mut Wire<C::Stream>>) {
        let gone: Vec<u64> = self.followers.iter().filter(|(_, f)| f.to.is_closed()).map(|(r, _)| *r).collect();
        for reference in gone {
            let told = self.followers.remove(&reference).is_some_and(|f| f.state != State::Lagging);
            if let Some(wire) = wire.as_deref_mut().filter(|_| told) {
                unsubscribe(wire, reference);
            }
        }
    }

    /// Subscribes a feed from where its subscriber stands, under a new number, so that
    /// answers to the old one cannot be taken for answers to this.
    fn subscribe(&mut self, wire: &mut Wire<C::Stream>, reference: u64) {
        let Some(mut follower) = self.followers.remove(&reference) else { return };
        if follower.state == State::Lagging && follower.to.capacity() < follower.to.max_capacity() {
            self.followers.insert(reference, follower);
            return;
        }
        let reference = self.reference();
        follower.state = State::Asked;
        follower.lagging.store(false, Ordering::SeqCst);
        follower.pieces.clear();
        let mut message = json!({"op": "subscribe", "ref": reference, "feed": follower.feed});
        if let Some(cursor) = &follower.cursor {
            message["since"] = json!(cursor);
        }
        self.followers.insert(reference, follower);
        wire.write(Message::text(message.to_string()));
    }

    /// Ends a subscription with an error.
    fn fail(&mut self, wire: &mut Wire<C::Stream>, reference: u64, error: Error) {
        if let Some(follower) = self.followers.remove(&reference) {
            // The queue may be full. Its end is then all that the subscriber sees.
            let _ = follower.to.try_send(Item::Failed(error));
        }
        unsubscribe(wire, reference);
    }

    fn on_refusal(&mut self, refusal: Refusal) -> Result<(), End> {
        let Refusal { reference, code, message } = refusal;
        let error = Error::Refused { code: code.clone(), message: message.clone() };
        let Some(reference) = reference else {
            tracing::warn!(%code, %message, "the server refused a message");
            return Ok(());
        };
        if let Some(answer) = self.publishes.remove(&reference) {
            let _ = answer.send(Err(error));
        } else if let Some(follower) = self.followers.get(&reference) {
            let soon = [model::Code::Unavailable, model::Code::Shutdown].iter().any(|c| c.as_str() == code);
            if soon {
                return Err(lost(format!("{message} ({code})")));
            }
            let _ = follower.to.try_send(Item::Failed(error));
            self.followers.remove(&reference);
        }
        Ok(())
    }
}

fn unsubscribe<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, reference: u64) {
    wire.write(Message::text(format!(r#"{{"op":"unsubscribe","ref":{reference}}}"#)));
}

#[cfg(test)]
mod tests;
