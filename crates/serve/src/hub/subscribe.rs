//! Who watches what: a client's subscriptions, and the watches behind them.

use std::sync::Arc;

use model::{Code, Cursor};

use crate::{
    dashboards::DashboardEntry,
    encode::framing::{self, Framing},
    hub::{
        Opening, Wish,
        arena::Key,
        core::{Core, State, Subscription, Viewer, Watch},
        rate,
        round::Round,
    },
    ws::message::{self, Ref, Refused, Subscribe},
};

impl Viewer {
    /// Counts the connection as one that watches a dashboard; the first counts.
    fn counts_for(&mut self, dashboard: Arc<DashboardEntry>, round: &mut Round) {
        if self.dashboard.is_none() {
            round.make_room(dashboard.slot);
            dashboard.metrics.connections.increment(1);
            self.dashboard = Some(dashboard);
        }
    }
}

impl Core {
    /// Begins what a viewer watches without saying so.
    pub fn open(&mut self, key: Key, opening: &Opening) {
        let shared = Arc::clone(&self.shared);
        if let (Some(dashboard), Some(viewer)) = (&opening.dashboard, self.viewers.get_mut(key)) {
            viewer.counts_for(Arc::clone(dashboard), &mut self.round);
        }
        if opening.framing == Framing::EventStream {
            // Not all in the same moment, where a connection is lost without a word.
            self.send(key, framing::retry(rand::random_range(500..3000)));
        }
        for (reference, wish) in (0..).zip(&opening.watches) {
            let feed = &shared.feeds[wish.feed];
            feed.metrics.subscriptions.increment(1);
            self.say(key, &message::subscribed(None, &feed.encoder));
            self.watch(key, reference, wish);
        }
    }

    /// `subscribe`.
    pub fn subscribe(&mut self, key: Key, wish: &Subscribe) {
        if let Err(refused) = self.try_subscribe(key, wish) {
            self.refuse(key, &refused);
        }
    }

    fn try_subscribe(&mut self, key: Key, wish: &Subscribe) -> Result<(), Refused> {
        let reference = wish.reference;
        let refuse = |code, message: String| Refused::new(Some(reference), code, message);
        let shared = Arc::clone(&self.shared);
        let Some(viewer) = self.viewers.get_mut(key) else { return Ok(()) };
        let feed = shared.known_feed(&wish.feed).map_err(|(code, message)| refuse(code, message))?;
        if viewer.refs.iter().any(|s| s.reference == reference) {
            return Err(refuse(Code::DuplicateRef, format!("`ref` {reference} is in use on this socket")));
        }
        let limit = shared.current().limits.max_subscriptions;
        if viewer.refs.len() >= limit {
            return Err(refuse(Code::LimitReached, format!("a socket has at most {limit} subscriptions")));
        }
        let cursor = match wish.since.as_deref().map(str::parse::<Cursor>) {
            Some(Err(e)) => return Err(refuse(Code::MalformedCursor, e.to_string())),
            Some(Ok(cursor)) => Some(cursor),
            None => None,
        };
        if let Some(name) = &wish.dashboard {
            let Some(dashboard) = shared.dashboards.get(name) else {
                return Err(refuse(Code::UnknownDashboard, "there is no such dashboard".to_owned()));
            };
            viewer.counts_for(dashboard, &mut self.round);
        }
        shared.feeds[feed].metrics.subscriptions.increment(1);
        self.say(key, &message::subscribed(Some(reference), &shared.feeds[feed].encoder));
        self.watch(key, reference, &Wish { feed, since: cursor, class: wish.max_rate.map(rate::class_of) });
        Ok(())
    }

    fn watch(&mut self, key: Key, reference: Ref, wish: &Wish) {
        let &Wish { feed, since: cursor, class } = wish;
        let Some(viewer) = self.viewers.get_mut(key) else { return };
        let known = viewer.watches.iter().copied().find(|w| self.watches.get(*w).is_some_and(|w| w.feed == feed));
        let watch = if let Some(watch) = known {
            watch
        } else {
            let state = &mut self.feeds[feed];
            let watch = self.watches.insert(Watch {
                viewer: key,
                feed,
                position: state.watchers.len(),
                class: None,
                cursor: 0,
                state: State::Asked,
                fresh: true,
                resumes: cursor.is_some(),
                again: false,
            });
            // Followed before it is asked: what changes between is delivered.
            if state.watchers.is_empty() {
                self.inbox.follow(feed);
            }
            state.watchers.push(watch);
            viewer.watches.push(watch);
            watch
        };
        viewer.refs.push(Subscription { reference, watch, class });
        self.reclass(key, watch);
        if known.is_some() {
            self.start_over(watch);
            return;
        }
        let since = cursor.and_then(|c| self.shared.feeds[feed].encoder.offset_of(c));
        if let Some(state) = self.watches.get_mut(watch) {
            state.cursor = since.unwrap_or(0);
        }
        self.ask(watch, since);
    }

    /// A second subscription of a view wants its rows too; it gets them when nothing else
    /// of the view is under way.
    fn start_over(&mut self, key: Key) {
        let Some(watch) = self.watches.get_mut(key) else { return };
        if matches!(watch.state, State::Live) {
            self.ask(key, None);
        } else {
            watch.again = true;
        }
    }

    /// `unsubscribe`.
    pub fn unsubscribe(&mut self, key: Key, reference: Ref) {
        let Some(viewer) = self.viewers.get_mut(key) else { return };
        let Some(at) = viewer.refs.iter().position(|s| s.reference == reference) else {
            let message = format!("there is no subscription with `ref` {reference} on this socket");
            self.refuse(key, &Refused::new(Some(reference), Code::UnknownRef, message));
            return;
        };
        let watch = viewer.refs.swap_remove(at).watch;
        let last = viewer.refs.iter().all(|s| s.watch != watch);
        if last {
            viewer.watches.retain(|w| *w != watch);
        }
        if let Some(state) = self.watches.get(watch) {
            self.shared.feeds[state.feed].metrics.subscriptions.decrement(1);
        }
        if last {
            self.unwatch(watch);
        } else {
            self.reclass(key, watch);
        }
    }

    pub fn unwatch(&mut self, key: Key) {
        let Some(watch) = self.watches.remove(key) else { return };
        if let Some(class) = watch.class {
            self.class_sizes[class] -= 1;
        }
        let feed = &mut self.feeds[watch.feed];
        feed.watchers.swap_remove(watch.position);
        if let Some(moved) = feed.watchers.get(watch.position).and_then(|w| self.watches.get_mut(*w)) {
            moved.position = watch.position;
        }
        if feed.watchers.is_empty() {
            self.inbox.unfollow(watch.feed);
        }
    }

    /// Gives a watch the fastest class of its subscriptions.
    fn reclass(&mut self, viewer: Key, key: Key) {
        let Some(viewer) = self.viewers.get(viewer) else { return };
        let classes = viewer.refs.iter().filter(|s| s.watch == key).map(|s| s.class);
        // `None`, as it comes, is faster than every class and the least of the options.
        let class = classes.min().flatten();
        let Some(watch) = self.watches.get_mut(key) else { return };
        if let Some(old) = std::mem::replace(&mut watch.class, class) {
            self.class_sizes[old] -= 1;
        }
        if let Some(new) = class {
            self.class_sizes[new] += 1;
            self.feeds[watch.feed].dirty |= 1 << new;
            self.classes_changed = true;
        }
    }
}
