//! The service as the live view shows it: its primary, who follows it, and how the writer fares.

use crate::{
    dev::{
        event::millis,
        view::{Seen, View},
    },
    output::{Line, Look, shape},
};
use std::time::Duration;
use tenure_core::{Assignment, NodeId, Role, State};

/// The primary's node, and its process.
pub fn primary(view: &View, state: &State) -> Option<(String, Option<u32>)> {
    let now = state.assignment(&view.kind.service())?;
    let node = shape::node_name(state, now.primary?.node);
    let pid = view.stores.get(node.as_str()).copied();
    Some((node, pid))
}

/// Its lines.
pub fn lines(view: &View, seen: &Seen, now: Duration) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let state = &seen.state;
    if let Some(assigned) = state.assignment(&view.kind.service()) {
        lines.push(instances(view, state, assigned));
    }
    lines.push(writes(seen, now));
    lines
}

fn instances(view: &View, state: &State, now: &Assignment) -> Line {
    let name = view.kind.service();
    let Some((node, pid)) = primary(view, state) else {
        return Line::new(Look::Bad, format!("  {name:<14} no primary"));
    };
    let serves = |member: tenure_core::Member| {
        let role = state.instance(&name, member.node)?.report.role?;
        Some(role == (Role::Primary, now.epoch))
    };
    let serves = now.primary.and_then(serves).unwrap_or(false);
    let (look, word) = if serves && pid.is_some() {
        (Look::Good, "primary")
    } else {
        (Look::Bad, "moving to")
    };
    let pid = pid.map_or_else(|| "not running".to_owned(), |pid| format!("pid {pid}"));
    let text = format!(
        "  {name:<14} {word} {node:<7} {pid:<13} epoch {}; {}",
        now.epoch,
        replicas(state, now)
    );
    Line::new(look, text)
}

/// What the log says of those that follow.
fn replicas(state: &State, now: &Assignment) -> String {
    let primary = now.primary.map(|member| member.node);
    let instances = state.instances(&now.service).map(|it| it.node);
    let others: Vec<NodeId> = instances.filter(|node| Some(*node) != primary).collect();
    let named = |wanted: &dyn Fn(NodeId) -> bool| {
        let those = others.iter().filter(|node| wanted(**node));
        let names: Vec<String> = those.map(|node| shape::node_name(state, *node)).collect();
        names.join(" ")
    };
    let in_sync = |node| now.in_sync.contains(&node);
    let syncing = |node| now.syncing.contains(&node) && !in_sync(node);
    let out = |node| !in_sync(node) && !syncing(node);
    let kinds = [
        ("in sync", named(&in_sync)),
        ("syncing", named(&syncing)),
        ("out", named(&out)),
    ];
    let kinds = kinds.iter().filter(|(_, names)| !names.is_empty());
    let kinds: Vec<String> = kinds
        .map(|(kind, names)| format!("{kind}: {names}"))
        .collect();
    kinds.join(", ")
}

fn writes(seen: &Seen, now: Duration) -> Line {
    let traffic = &seen.traffic;
    if let Some(lost) = &traffic.lost {
        return Line::new(Look::Bad, format!("    writer: LOST: {lost}"));
    }
    let count = traffic.acknowledged;
    if let Some(still) = traffic.stands_still(now) {
        let why = traffic.trouble.as_deref().unwrap_or("no answer");
        let text = format!(
            "    writer: {count} acknowledged, none for {} s: {why}",
            still.as_secs()
        );
        return Line::new(Look::Bad, text);
    }
    let last = traffic.moves.last();
    let last = last.map_or_else(String::new, |last| {
        format!(", last move {} ms", millis(last.gap))
    });
    Line::plain(format!(
        "    writer: {count} acknowledged, {}/s; gaps: longest {} ms{last}",
        traffic.rate,
        millis(traffic.longest)
    ))
}
