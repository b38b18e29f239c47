//! The live view as lines. Pure, so that it can be tested and never half drawn.

use super::{
    event::millis,
    store::{self, Kind},
    try_next::{Invocation, suggestions},
    view::{Life, Row, Seen, View},
};
use crate::output::{Line, Look, shape};
use std::time::Duration;
use tenure_core::{Assignment, Severity, State};

/// Rows for events, however large the terminal is.
const EVENT_ROWS_MAX: usize = 12;

/// Rows for events that other things make room for: a receipt, and that writes go on.
const EVENT_ROWS_LEAST: usize = 5;

/// What a person sees besides what changes.
pub struct Frame<'a> {
    /// How this program was started.
    pub invocation: &'a Invocation,
    /// What becomes of the data.
    pub data: &'a str,
    /// Columns and lines of the terminal.
    pub size: (usize, usize),
}

impl Frame<'_> {
    /// All lines, with as many events as fit.
    pub fn lines(&self, view: &View, seen: &Seen, now: Duration) -> Vec<Line> {
        let (_, height) = self.size;
        let mut bottom = self.bottom(view, &seen.state);
        let mut top = self.top(view, seen, now, true);
        let room = |top: &[Line], bottom: &[Line]| height.saturating_sub(top.len() + bottom.len());
        if room(&top, &bottom) < EVENT_ROWS_LEAST {
            bottom.retain(|line| !line.is_blank());
            top.retain(|line| !line.is_blank());
        }
        if room(&top, &bottom) < EVENT_ROWS_LEAST {
            // What is simulated is the least that there is to see.
            top = self.top(view, seen, now, false);
            top.retain(|line| !line.is_blank());
        }
        let room = room(&top, &bottom).clamp(1, EVENT_ROWS_MAX);
        top.extend(self.events(view, room));
        top.extend(bottom);
        top.truncate(height);
        top
    }

    fn top(&self, view: &View, seen: &Seen, now: Duration, is_all: bool) -> Vec<Line> {
        let mut top = vec![self.title(now)];
        top.extend(servers(view, now));
        top.push(Line::plain(""));
        top.extend(store::lines(view, seen, now));
        if is_all {
            top.extend(simulated(&seen.state, view.kind));
        }
        top.push(summary(&seen.state));
        top.push(writes(seen));
        top.push(Line::plain(""));
        top
    }

    fn bottom(&self, view: &View, state: &State) -> Vec<Line> {
        let mut bottom = vec![Line::plain("")];
        let (width, _) = self.size;
        for (what, commands) in suggestions(self.invocation, view, state) {
            bottom.push(Line::new(Look::Bold, what));
            let rows = commands.iter().flat_map(|command| broken(command, width));
            bottom.extend(rows.map(|row| Line::new(Look::Command, row)));
        }
        bottom
    }

    fn title(&self, now: Duration) -> Line {
        let text = format!(
            "tenure dev   up {}   Ctrl-C stops everything   {}",
            clock(now),
            self.data
        );
        Line::new(Look::Bold, text)
    }
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    format!("{:02}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

fn servers(view: &View, now: Duration) -> Vec<Line> {
    let header = format!(
        "  {:<8}{:<17}{:<9}{:<11}{:>6}{:>10}",
        "SERVER", "API", "PID", "ROLE", "TERM", "APPLIED"
    );
    let mut lines = vec![Line::new(Look::Dim, header)];
    lines.extend(
        view.servers
            .iter()
            .map(|row| server(row, view.leader == Some(row.id), now)),
    );
    lines
}

fn server(row: &Row, leads: bool, now: Duration) -> Line {
    let mark = if leads { '*' } else { ' ' };
    let head = format!("{mark} {:<8}{:<17}", row.id, row.api.as_str());
    match (&row.life, &row.said) {
        (
            Some(Life::Dead {
                how, restart_at, ..
            }),
            _,
        ) => {
            let left = restart_at.saturating_sub(now).as_secs_f32().ceil();
            Line::new(
                Look::Bad,
                format!("{head}{:<9}dead: {how}; started again in {left} s", "-"),
            )
        }
        (Some(Life::Running(pid)), Some(said)) => {
            let look = if leads { Look::Good } else { Look::Plain };
            let text = format!(
                "{head}{pid:<9}{:<11}{:>6}{:>10}",
                said.role, said.term, said.applied
            );
            Line::new(look, text)
        }
        (Some(Life::Running(pid)), None) => {
            Line::new(Look::Bad, format!("{head}{pid:<9}does not answer"))
        }
        (None, _) => Line::plain(format!("{head}{:<9}starting", "-")),
    }
}

/// The other services with a primary, which nobody really runs.
fn simulated(state: &State, kind: Kind) -> Vec<Line> {
    let others = state
        .services()
        .keys()
        .filter(|it| it.as_str() != kind.name());
    let assigned = others.filter_map(|name| state.assignment(name));
    assigned.map(|now| service(state, now)).collect()
}

/// How much there is, and what is wrong anywhere.
fn summary(state: &State) -> Line {
    let nodes = state
        .nodes()
        .values()
        .filter(|node| node.is_present())
        .count();
    let (services, instances) = (state.services().len(), state.instance_count());
    let findings = state.findings();
    let (look, word) = match findings.first() {
        None => (Look::Plain, "nothing is wrong".to_owned()),
        Some(worst) => {
            let look = if worst.severity == Severity::Critical {
                Look::Bad
            } else {
                Look::Plain
            };
            (
                look,
                format!(
                    "{} finding(s): {} {}",
                    findings.len(),
                    worst.subject,
                    worst.what
                ),
            )
        }
    };
    Line::new(
        look,
        format!("  {nodes} nodes, {services} services, {instances} instances; {word}"),
    )
}

fn service(state: &State, now: &Assignment) -> Line {
    let Some(primary) = now.primary else {
        return Line::new(Look::Bad, format!("  {:<14} no primary", now.service));
    };
    let node = shape::node_name(state, primary.node);
    let text = format!(
        "  {:<14} primary {node:<7} simulated     epoch {}; in sync: {}",
        now.service,
        now.epoch,
        now.in_sync.len()
    );
    Line::plain(text)
}

fn writes(seen: &Seen) -> Line {
    let written = &seen.written;
    if let Some(lost) = &written.lost {
        return Line::new(Look::Bad, format!("  servers: LOST: {lost}"));
    }
    if let Some(trouble) = &written.trouble {
        return Line::new(
            Look::Bad,
            format!(
                "  servers: {} writes acknowledged; {trouble}",
                written.acknowledged
            ),
        );
    }
    let micros = written.latency.as_micros();
    Line::plain(format!(
        "  servers: {} writes acknowledged, the last in {}.{} ms; longest gap {} ms",
        written.acknowledged,
        micros / 1_000,
        micros / 100 % 10,
        millis(written.longest)
    ))
}

/// What is said before anything has happened.
fn beginning(kind: Kind) -> &'static str {
    match kind {
        Kind::Redis => {
            "redis-server is real, under agents; all other instances are simulated by dev"
        }
        Kind::Mysql => {
            "mysql-server is real, MariaDB under agents; all other instances are simulated by dev"
        }
        Kind::BuiltIn => {
            "a small service in memory, built in, stands in for redis-server under the same agents; \
             all other instances are simulated by dev"
        }
    }
}

impl Frame<'_> {
    /// The latest events, whole ones as far as there is room.
    fn events(&self, view: &View, room: usize) -> Vec<Line> {
        let (width, _) = self.size;
        let beginning = vec![beginning(view.kind).to_owned()];
        let beginning = (Look::Dim, Duration::ZERO, beginning);
        let told = view.events.iter();
        let told = told.map(|(at, event)| (Look::Plain, *at, event.rows()));
        let all: Vec<_> = std::iter::once(beginning).chain(told).collect();
        let mut lines: Vec<Line> = Vec::new();
        for (look, at, texts) in all.iter().rev() {
            let rows: Vec<String> = texts
                .iter()
                .enumerate()
                .flat_map(|(row, text)| {
                    let first = if row == 0 {
                        clock(*at)
                    } else {
                        "     ".to_owned()
                    };
                    wrapped(text, &format!("  {first}  "), "           ", "", width)
                })
                .collect();
            if !lines.is_empty() && lines.len() + rows.len() > room {
                break;
            }
            lines.splice(0..0, rows.into_iter().map(|row| Line::new(*look, row)));
        }
        lines.truncate(room);
        lines
    }
}

/// A command in as many rows as it needs, which a shell takes as one when they are pasted.
fn broken(command: &str, width: usize) -> Vec<String> {
    wrapped(command, "    ", "      ", " \\", width)
}

/// Text in rows of at most `width`, broken between words; a word that is longer stays whole.
fn wrapped(text: &str, first: &str, then: &str, mark: &str, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = first.to_owned();
    let mut is_empty = true;
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let mark_length = words.peek().map_or(0, |_| mark.len());
        let length = row.chars().count() + 1 + word.chars().count() + mark_length;
        if !is_empty && length > width {
            rows.push(format!("{row}{mark}"));
            row = then.to_owned();
            is_empty = true;
        }
        if !is_empty {
            row.push(' ');
        }
        row.push_str(word);
        is_empty = false;
    }
    rows.push(row);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::event::{Event, Who};

    #[test]
    fn a_long_command_is_one_to_the_shell() {
        let command =
            "tenure --server 127.0.0.1:8352,127.0.0.1:8354 set-primary redis-server --to db-2";
        let rows = broken(command, 60);
        let wanted = [
            "    tenure --server 127.0.0.1:8352,127.0.0.1:8354 \\",
            "      set-primary redis-server --to db-2",
        ];
        assert_eq!(rows, wanted);
        assert_eq!(broken("tenure status", 60), ["    tenure status"]);
    }

    #[test]
    fn the_view_fits_an_ordinary_terminal() {
        let endpoints: Vec<tenure_core::Endpoint> =
            ["127.0.0.1:7410", "127.0.0.1:7420", "127.0.0.1:7430"]
                .iter()
                .map(|text| tenure_core::Endpoint::new(text).unwrap())
                .collect();
        let mut view = View::new(&endpoints, Kind::BuiltIn);
        for server in 0..30 {
            let event = Event::Started {
                who: Who::Server(server),
                pid: 7,
                again: true,
            };
            view.happened(event, Duration::from_secs(server));
        }
        let topology = std::path::Path::new("/tmp/tenure-dev-abcdef/topology.toml");
        let invocation = Invocation::new(None, None, topology);
        let frame = Frame {
            invocation: &invocation,
            data: "",
            size: (80, 24),
        };
        let lines = frame.lines(&view, &Seen::default(), Duration::from_secs(60));
        assert_eq!(lines.len(), 24);
        let last = "    tenure apply -f /tmp/tenure-dev-abcdef/topology.toml --yes";
        assert_eq!(lines.last(), Some(&Line::new(Look::Command, last)));
    }
}
