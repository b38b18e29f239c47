//! The live view as lines. Pure, so that it can be tested and never half drawn.

use super::{
    event::millis,
    try_next::{Invocation, suggestions},
    view::{Life, Row, Seen, View},
};
use crate::output::{Line, Look, shape};
use std::time::Duration;
use tenure_core::{Assignment, Severity, State};

/// What a person sees besides what changes.
pub struct Frame<'a> {
    /// How this program was started.
    pub invocation: &'a Invocation,
    /// What becomes of the data.
    pub data: &'a str,
    /// Lines of the terminal.
    pub height: usize,
}

impl Frame<'_> {
    /// All lines, with as many events as fit.
    pub fn lines(&self, view: &View, seen: &Seen, now: Duration) -> Vec<Line> {
        let mut top = vec![self.title(now), Line::plain("")];
        top.extend(servers(view, now));
        top.push(Line::plain(""));
        top.extend(services(&seen.state));
        top.push(writes(seen));
        top.push(Line::plain(""));
        let mut bottom = vec![
            Line::plain(""),
            Line::new(Look::Bold, "Try from a second terminal:"),
        ];
        bottom.extend(
            suggestions(self.invocation, view, &seen.state)
                .iter()
                .flat_map(|(what, commands)| {
                    let commands = commands
                        .iter()
                        .map(|command| Line::new(Look::Command, format!("      {command}")));
                    std::iter::once(Line::plain(format!("  {what}"))).chain(commands)
                }),
        );
        bottom.push(Line::new(Look::Dim, "Ctrl-C stops everything."));
        let room = self
            .height
            .saturating_sub(top.len() + bottom.len() + 1)
            .clamp(1, 8);
        top.extend(events(view, room));
        top.extend(bottom);
        top.truncate(self.height);
        top
    }

    fn title(&self, now: Duration) -> Line {
        let text = format!("tenure dev   up {}   {}", clock(now), self.data);
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

fn services(state: &State) -> Vec<Line> {
    let assigned = state
        .services()
        .keys()
        .filter_map(|name| state.assignment(name));
    let mut lines: Vec<Line> = assigned.map(|now| service(state, now)).collect();
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
    lines.push(Line::new(
        look,
        format!("  {nodes} nodes, {services} services, {instances} instances; {word}"),
    ));
    let said = "  (healthy by the word of tenure dev: there are no agents in this version)";
    lines.push(Line::new(Look::Dim, said));
    lines
}

fn service(state: &State, now: &Assignment) -> Line {
    let Some(primary) = now.primary else {
        return Line::new(Look::Bad, format!("  {:<14} no primary", now.service));
    };
    let endpoint = state
        .instance(&now.service, primary.node)
        .map(|one| one.endpoint.to_string());
    let node = shape::node_name(state, primary.node);
    let text = format!(
        "  {:<14} primary {node:<7} {:<16} epoch {}, {} in sync",
        now.service,
        endpoint.unwrap_or_default(),
        now.epoch,
        now.in_sync.len()
    );
    Line::plain(text)
}

fn writes(seen: &Seen) -> Line {
    let written = &seen.written;
    if let Some(lost) = &written.lost {
        return Line::new(Look::Bad, format!("  writes: LOST: {lost}"));
    }
    if let Some(trouble) = &written.trouble {
        return Line::new(
            Look::Bad,
            format!("  writes: {} acknowledged; {trouble}", written.acknowledged),
        );
    }
    let micros = written.latency.as_micros();
    Line::plain(format!(
        "  writes: {} acknowledged, the last in {}.{} ms; longest gap {} ms",
        written.acknowledged,
        micros / 1_000,
        micros / 100 % 10,
        millis(written.longest)
    ))
}

fn events(view: &View, room: usize) -> Vec<Line> {
    let skipped = view.events.len().saturating_sub(room);
    let shown = view.events.iter().skip(skipped);
    shown
        .map(|(at, event)| Line::plain(format!("  {}  {}", clock(*at), event.text())))
        .collect()
}
