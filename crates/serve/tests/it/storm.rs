//! Clients that come, go and resume while everything changes: INV-3 under disorder.

use serde_json::json;

use crate::{
    memory::{FeedChanges, Row},
    support::{Client, Server, start},
    ways::{Follower, Step, Way},
};

const FEEDS: [&str; 3] = ["storm0", "storm1", "storm2"];
const TICKS: u64 = 600;

/// A small generator, so that a client's deeds do not depend on another's.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Watches some feeds for some frames, then goes and comes back with its cursors.
async fn visit(server: &Server, seed: u64) {
    let mut dice = Dice(seed * 0x9E37_79B9 + 1);
    let mut tables = std::collections::HashMap::new();
    while server.memory.offset() < TICKS {
        let mut client = server.client().await;
        client.tables = std::mem::take(&mut tables);
        subscribe_to_all(&mut client, &mut dice).await;
        for _ in 0..dice.below(40) {
            if server.memory.offset() >= TICKS {
                break;
            }
            client.next().await.unwrap();
        }
        // What was read stays; what was on its way is lost with the socket.
        tables = client.tables;
        for table in tables.values_mut() {
            table.forget_pieces();
        }
    }
    let mut client = server.client().await;
    client.tables = tables;
    subscribe_to_all(&mut client, &mut dice).await;
    for (i, feed) in FEEDS.iter().enumerate() {
        client.reach(feed, TICKS).await;
        let table = &client.tables[*feed];
        assert_eq!((table.resets, &table.rows), (0, &server.memory.table(i)), "client {seed}, {feed}");
    }
}

async fn subscribe_to_all(client: &mut Client, dice: &mut Dice) {
    for (i, feed) in FEEDS.iter().enumerate() {
        let mut message = json!({"op": "subscribe", "ref": i, "feed": feed});
        // Mostly from where it stood, sometimes anew.
        if let Some(table) = client.tables.get(*feed).filter(|t| !t.cursor.is_empty() && dice.below(4) > 0) {
            message["since"] = json!(table.cursor);
        }
        if dice.below(4) == 0 {
            message["max_rate"] = json!(30);
        }
        client.say(&message).await;
    }
}

/// Follows one feed, each time in another way: a cursor is good for all of them.
async fn wander(server: &Server, seed: u64) {
    let mut dice = Dice(seed * 0x51ED_270B + 1);
    let feed = (seed % FEEDS.len() as u64) as usize;
    let mut follower = Follower::new(Way::SocketJson, server.address, FEEDS[feed]);
    follower.wait = std::time::Duration::from_millis(20);
    let ways: Vec<Way> = Way::ALL.into_iter().filter(|w| w.has_deltas()).collect();
    while server.memory.offset() < TICKS {
        follower.way = ways[dice.below(ways.len() as u64) as usize];
        follower.begin().await;
        for _ in 0..dice.below(30) {
            if server.memory.offset() >= TICKS {
                break;
            }
            assert!(!matches!(follower.step().await, Step::End), "client {seed}: the end");
        }
        follower.lose();
    }
    follower.begin().await;
    follower.reach(TICKS).await;
    let table = &follower.table;
    assert_eq!((table.resets, &table.rows), (0, &server.memory.table(feed)), "client {seed}, {:?}", follower.way);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whoever_comes_goes_and_resumes_holds_the_table() {
    let server = std::sync::Arc::new(start(&FEEDS).await);
    let visitors: Vec<_> = (1..=12)
        .map(|seed| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move { visit(&server, seed).await })
        })
        .collect();
    let wanderers: Vec<_> = (1..=12)
        .map(|seed| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move { wander(&server, seed).await })
        })
        .collect();
    let mut dice = Dice(42);
    for tick in 1..=TICKS {
        let row =
            |dice: &mut Dice| -> Row<'static> { (2 * dice.below(15) as i64 + (tick % 2) as i64, tick as f64, "storm") };
        // Of keys that no row of the same tick has.
        let deleted = |dice: &mut Dice| vec![2 * dice.below(15) as i64 + ((tick + 1) % 2) as i64];
        let changed: Vec<(usize, Vec<Row>, Vec<i64>)> = (0..FEEDS.len())
            .filter(|_| tick == TICKS || dice.below(3) > 0)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|feed| (feed, vec![row(&mut dice)], deleted(&mut dice)))
            .collect();
        let changes: Vec<FeedChanges> = changed.iter().map(|(f, u, d)| (*f, u.as_slice(), d.as_slice())).collect();
        server.memory.tick(&changes);
        if tick % 4 == 0 {
            // Who comes and goes needs the time to do so.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        // Gives the clients their turn, now and then more of it.
        for _ in 0..dice.below(200) {
            tokio::task::yield_now().await;
        }
    }
    for visitor in visitors.into_iter().chain(wanderers) {
        visitor.await.unwrap();
    }
}
