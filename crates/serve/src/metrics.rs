//! Handles of the metrics that the server counts. Made once, held where they are needed:
//! nothing is looked up by name on a hot path.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use model::{Code, metric};

use crate::encode::framing::Framing;

/// Counts of the whole server.
pub struct ServerMetrics {
    /// Refusals, in the order of [`Code::ALL`].
    refused: Vec<Counter>,
    /// Open connections that speak HTTP.
    pub http_connections: Gauge,
    /// Open WebSockets.
    websockets: Gauge,
    /// Open streams of events.
    event_streams: Gauge,
    /// Bytes written to viewers.
    pub bytes_sent: Counter,
    /// Viewers whose socket takes no more at the moment.
    pub lagging: Gauge,
    pub unsent_bytes: Gauge,
    /// Time of a pull query.
    pub query_seconds: Histogram,
}

impl ServerMetrics {
    /// Registers them with the recorder that is installed.
    pub fn new() -> Self {
        Self {
            refused: Code::ALL.iter().map(|c| counter!(metric::REQUESTS_REFUSED, "code" => c.as_str())).collect(),
            http_connections: gauge!(metric::CONNECTIONS, "transport" => "http"),
            websockets: gauge!(metric::CONNECTIONS, "transport" => "websocket"),
            event_streams: gauge!(metric::CONNECTIONS, "transport" => "sse"),
            bytes_sent: counter!(metric::BYTES_SENT),
            lagging: gauge!(metric::LAGGING),
            unsent_bytes: gauge!(metric::UNSENT_BYTES),
            query_seconds: histogram!(metric::QUERY_SECONDS),
        }
    }

    /// Open connections to viewers of this kind.
    pub fn viewers(&self, framing: Framing) -> &Gauge {
        if framing.is_websocket() { &self.websockets } else { &self.event_streams }
    }

    /// Counts a refusal (INV-6).
    pub fn refuse(&self, code: Code) {
        // `Code` has no fields and stands in the order of `ALL`.
        if let Some(counter) = self.refused.get(code as usize) {
            counter.increment(1);
        }
    }
}

/// Counts of one feed.
pub struct FeedMetrics {
    /// Subscriptions now.
    pub subscriptions: Gauge,
    /// Frames sent to viewers.
    pub frames_sent: Counter,
    /// Cursors that could not be resumed.
    pub resets: Counter,
}

impl FeedMetrics {
    /// For the feed of this name.
    pub fn new(feed: &str) -> Self {
        Self {
            subscriptions: gauge!(metric::SUBSCRIPTIONS, "feed" => feed.to_owned()),
            frames_sent: counter!(metric::FRAMES_SENT, "feed" => feed.to_owned()),
            resets: counter!(metric::RESETS, "feed" => feed.to_owned()),
        }
    }
}

/// Encodings of one feed's frames.
pub fn frames_encoded(feed: &str) -> Counter {
    counter!(metric::FRAMES_ENCODED, "feed" => feed.to_owned())
}

/// Counts of one dashboard.
pub struct DashboardMetrics {
    /// Open sockets that watch it.
    pub connections: Gauge,
    /// Frames sent to them.
    pub processed: Counter,
}

impl DashboardMetrics {
    /// For the dashboard of this name.
    pub fn new(dashboard: &str) -> Self {
        Self {
            connections: gauge!(metric::ACTIVE_CONNECTIONS, "dashboard_id" => dashboard.to_owned()),
            processed: counter!(metric::MESSAGES_PROCESSED, "dashboard_id" => dashboard.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Code;

    #[test]
    fn codes_stand_in_the_order_of_their_list() {
        for (i, code) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, i);
        }
    }
}
