//! A feed as a table that updates in place. It takes the whole terminal, and gives it back as
//! it was.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Stdout},
    time::{Duration, Instant},
};

use client::{Error, Event, Row, Subscription, Table};
use ratatui::{
    Frame, Terminal,
    backend::TermionBackend,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Text},
    widgets::{Cell, Row as Shown, Table as Rows},
};
use serde_json::Value;
use termion::{
    event::Key,
    input::TermRead,
    raw::{IntoRawMode, RawTerminal},
    screen::{AlternateScreen, IntoAlternateScreen},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::MissedTickBehavior,
};

use crate::table::{cell, is_number};

/// The screen is drawn at most so often: faster than this nobody reads.
const FRAME: Duration = Duration::from_millis(100);

/// How long a row that changed stands out.
const FRESH: Duration = Duration::from_secs(1);

/// Of a change of more rows than these none stands out: they all would.
const MAX_FRESH: usize = 1_000;

/// Above so many rows they stand in the order in which the client keeps them.
const MAX_SORTED: usize = 10_000;

/// A longer cell is cut.
const WIDEST: usize = 40;

type Screen = Terminal<TermionBackend<AlternateScreen<RawTerminal<Stdout>>>>;

/// What is seen, apart from the table itself.
pub(super) struct View {
    title: String,
    /// Colours may be used.
    colors: bool,
    /// The first row that is shown.
    top: usize,
    /// What stands in place of the help, while there is no connection.
    trouble: Option<String>,
    /// Keys that changed, and when.
    fresh: HashMap<String, Instant>,
}

impl View {
    pub(super) fn new(title: String, colors: bool) -> Self {
        Self { title, colors, top: 0, trouble: None, fresh: HashMap::new() }
    }

    /// Takes note of what happened to the table.
    pub(super) fn note(&mut self, event: &Event, table: &Table, now: Instant) {
        match event {
            Event::Disconnected { reason, retry_in } => {
                let seconds = retry_in.as_secs_f64();
                self.trouble = Some(format!("not connected: {reason}; trying again in {seconds:.1} s"));
            }
            Event::Reconnected => self.trouble = None,
            Event::Subscribed { .. } | Event::Snapshot { .. } => self.fresh.clear(),
            Event::Delta { upserts, .. } if upserts.len() > MAX_FRESH => self.fresh.clear(),
            Event::Delta { upserts, .. } => {
                self.forget(now);
                let keys = upserts.iter().map(|row| key_of(row, table));
                self.fresh.extend(keys.map(|key| (key, now)));
                if self.fresh.len() > MAX_FRESH {
                    self.fresh.clear();
                }
            }
        }
    }

    /// Rows that stood out for long enough; whether there were any.
    fn forget(&mut self, now: Instant) -> bool {
        let before = self.fresh.len();
        self.fresh.retain(|_, since| now.duration_since(*since) < FRESH);
        self.fresh.len() != before
    }

    /// Draws the table, as much of it as there is room for.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, table: &Table) {
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
        // One line is for the names.
        let room = usize::from(body.height).saturating_sub(1);
        self.top = self.top.min(table.len().saturating_sub(room));
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let last = table.len().min(self.top + room);
        let shown = if table.len() > room { format!(", {} to {last} shown", self.top + 1) } else { String::new() };
        frame.render_widget(Line::styled(format!("{} · {} rows{shown}", self.title, table.len()), bold), head);
        self.rows(frame, body, room, table);
        let help = self.trouble.as_deref().unwrap_or("↑ ↓ PgUp PgDn Home End move · q ends");
        frame.render_widget(Line::styled(help, Style::new().add_modifier(Modifier::DIM)), foot);
    }

    fn rows(&self, frame: &mut Frame<'_>, area: Rect, room: usize, table: &Table) {
        let columns = table.columns();
        let rows: Vec<&Row> = sorted(table).into_iter().skip(self.top).take(room).collect();
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().zip(columns).map(|(value, c)| clip(cell(value, &c.data_type))).collect())
            .collect();
        let widths = columns.iter().enumerate().map(|(i, column)| {
            let widest = cells.iter().map(|row| width(&row[i])).max().unwrap_or(0);
            Constraint::Length(widest.max(width(&column.name)) as u16)
        });
        let aligned = |text: &str, number: bool| {
            let text = Text::raw(text.to_owned());
            Cell::new(if number { text.right_aligned() } else { text })
        };
        let numbers: Vec<bool> = columns.iter().map(|c| is_number(&c.data_type)).collect();
        let names = columns.iter().zip(&numbers).map(|(column, number)| aligned(&column.name, *number));
        let shown = rows.iter().zip(&cells).map(|(row, cells)| {
            let line = Shown::new(cells.iter().zip(&numbers).map(|(text, number)| aligned(text, *number)));
            if self.fresh.contains_key(&key_of(row, table)) { line.style(self.standing_out()) } else { line }
        });
        let header = Shown::new(names).style(Style::new().add_modifier(Modifier::UNDERLINED));
        frame.render_widget(Rows::new(shown, widths).header(header).column_spacing(2), area);
    }

    fn standing_out(&self) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        if self.colors { bold.fg(Color::Yellow) } else { bold }
    }

    /// Moves; whether it goes on.
    fn press(&mut self, key: Key, page: usize, rows: usize) -> bool {
        match key {
            Key::Char('q') | Key::Esc | Key::Ctrl('c' | 'd') => return false,
            Key::Up | Key::Char('k') => self.top = self.top.saturating_sub(1),
            Key::Down | Key::Char('j') => self.top += 1,
            Key::PageUp => self.top = self.top.saturating_sub(page),
            Key::PageDown | Key::Char(' ') => self.top += page,
            Key::Home => self.top = 0,
            Key::End => self.top = rows,
            _ => {}
        }
        true
    }
}

/// Follows a feed until the user or the server ends it.
pub(super) async fn follow(feed: &mut Subscription, mut view: View) -> Result<(), super::Ended> {
    let mut keys = keys();
    let mut resized = signal(SignalKind::window_change())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Nothing is drawn before the rows are there: that the feed is not there is told on a
    // terminal as it was, and a table of no rows would be none of its.
    loop {
        let event = feed.next().await?;
        view.note(&event, feed.table(), Instant::now());
        if matches!(event, Event::Snapshot { .. } | Event::Delta { .. }) {
            break;
        }
    }
    let out = io::stdout().into_raw_mode()?.into_alternate_screen()?;
    let mut screen: Screen = Terminal::new(TermionBackend::new(out))?;
    screen.hide_cursor()?;
    let mut clock = tokio::time::interval(FRAME);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changed = true;
    let ended: Result<(), Error> = loop {
        tokio::select! {
            event = feed.next() => match event {
                Ok(event) => {
                    view.note(&event, feed.table(), Instant::now());
                    changed = true;
                }
                Err(error) => break Err(error),
            },
            Some(key) = keys.recv() => {
                let page = usize::from(screen.size()?.height).saturating_sub(3).max(1);
                if !view.press(key, page, feed.table().len()) {
                    break Ok(());
                }
                changed = true;
            }
            _ = resized.recv() => changed = true,
            _ = interrupt.recv() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
            _ = clock.tick() => {
                changed |= view.forget(Instant::now());
                if std::mem::take(&mut changed) {
                    screen.draw(|frame| view.draw(frame, feed.table()))?;
                }
            }
        }
    };
    screen.show_cursor()?;
    drop(screen);
    ended.map_err(Into::into)
}

/// What is typed. Reading a terminal blocks, so a thread does; it ends with the process.
fn keys() -> mpsc::Receiver<Key> {
    let (sender, keys) = mpsc::channel(16);
    if io::stdin().is_terminal() {
        std::thread::spawn(move || {
            for key in io::stdin().keys().map_while(Result::ok) {
                if sender.blocking_send(key).is_err() {
                    return;
                }
            }
        });
    }
    keys
}

fn key_of(row: &Row, table: &Table) -> String {
    client::table::key_text(&row[..table.key().len().min(row.len())])
}

/// The rows as the page has them: the newest first by the times or the numbers of rows in their
/// key, then by the rest of it.
fn sorted(table: &Table) -> Vec<&Row> {
    let mut rows: Vec<&Row> = table.rows().collect();
    if rows.len() <= MAX_SORTED {
        let is_age = |column: &client::frame::Column| column.data_type == "timestamp" || column.name == "_seq";
        let key = table.columns().iter().take(table.key().len()).enumerate();
        let (ages, others): (Vec<_>, Vec<_>) = key.map(|(i, column)| (i, is_age(column))).partition(|(_, age)| *age);
        rows.sort_by(|a, b| {
            let compared = ages.iter().chain(&others).map(|(i, age)| {
                let order = compare(&a[*i], &b[*i]);
                if *age { order.reverse() } else { order }
            });
            compared.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
    }
    rows
}

/// Numbers by size, texts by their letters.
fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (a, b) => a.to_string().cmp(&b.to_string()),
    }
}

fn width(text: &str) -> usize {
    ratatui::text::Span::raw(text).width()
}

fn clip(text: String) -> String {
    if text.chars().count() <= WIDEST {
        return text;
    }
    text.chars().take(WIDEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use client::frame::Frame as Message;
    use ratatui::{backend::TestBackend, buffer::Buffer};

    use super::*;

    fn table(frames: &[&str]) -> Table {
        let mut table = Table::new();
        for frame in frames {
            table.apply(Message::parse(frame).expect("a frame")).expect("it fits");
        }
        table
    }

    const SNAPSHOT: &str = r#"{"type":"snapshot","view":"f","key":["k"],"columns":[{"name":"k","type":"bigint"},{"name":"name","type":"text"}],"cursor":"1-1-1","reset":false,"data":[[10,9,2],["ten","a\u001b[2J","Köln 東京"]]}"#;

    fn drawn(view: &mut View, table: &Table, height: u16) -> (Vec<String>, Buffer) {
        let mut screen = Terminal::new(TestBackend::new(60, height)).expect("a screen");
        screen.draw(|frame| view.draw(frame, table)).expect("it is drawn");
        let buffer = screen.backend().buffer().clone();
        let line = |y| (0..60).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        ((0..height).map(line).collect(), buffer)
    }

    #[test]
    fn rows_stand_by_key_under_their_names_and_cannot_command_the_terminal() {
        let (lines, _) = drawn(&mut View::new("f".to_owned(), true), &table(&[SNAPSHOT]), 6);
        assert_eq!(lines[0], "f · 3 rows");
        assert_eq!(lines[1], " k  name");
        // A wide character takes two cells, of which the second is blank.
        assert_eq!(lines[2].replace(' ', ""), "2Köln東京");
        assert_eq!((lines[3].as_str(), lines[4].as_str()), (" 9  a\u{fffd}[2J", "10  ten"));
        assert!(lines[5].contains("q ends"));
    }

    #[test]
    fn a_table_that_is_longer_than_the_screen_is_moved_through() {
        let (table, mut view) = (table(&[SNAPSHOT]), View::new("f".to_owned(), true));
        assert!(view.press(Key::End, 2, 3));
        let (lines, _) = drawn(&mut view, &table, 5);
        assert_eq!((lines[0].as_str(), lines[3].as_str()), ("f · 3 rows, 2 to 3 shown", "10  ten"));
        assert!(view.press(Key::Up, 2, 3));
        let (lines, _) = drawn(&mut view, &table, 5);
        assert_eq!(lines[0], "f · 3 rows, 1 to 2 shown");
        assert!(!view.press(Key::Char('q'), 2, 3) && !view.press(Key::Ctrl('c'), 2, 3));
    }

    #[test]
    fn what_changed_stands_out_for_a_moment_and_in_colour_only_where_that_is_wanted() {
        let table = table(&[SNAPSHOT]);
        let now = Instant::now();
        let delta = Event::Delta { upserts: table.rows().take(1).cloned().collect(), deletes: Vec::new() };
        for (colors, expected) in [(true, Color::Yellow), (false, Color::Reset)] {
            let mut view = View::new("f".to_owned(), colors);
            view.note(&delta, &table, now);
            let (lines, buffer) = drawn(&mut view, &table, 6);
            let at = |y: u16| (buffer[(1, y)].fg, buffer[(1, y)].modifier.contains(Modifier::BOLD));
            let marked: Vec<u16> = (2..5).filter(|y| at(*y).1).collect();
            assert_eq!(marked.len(), 1, "{lines:?}");
            assert_eq!(at(marked[0]).0, expected);
            assert!(view.forget(now + FRESH));
            let (_, buffer) = drawn(&mut view, &table, 6);
            assert!((2..5).all(|y| !buffer[(1, y)].modifier.contains(Modifier::BOLD)));
        }
    }
}
