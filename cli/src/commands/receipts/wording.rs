//! How a receipt reads: a heading, and what the change of primary rested on, a few words to a line.

use super::super::instance::position;
use crate::{
    clock,
    output::{escape, shape},
};
use tenure_core::{Completeness, Millis, Phase, Receipt, State};

/// How far the words before each line's text reach.
const LABEL_WIDTH: usize = 13;

/// The receipt as a whole.
pub(in crate::commands) fn block(state: &State, receipt: &Receipt) -> String {
    let to = shape::node_name(state, receipt.to.node);
    let from = receipt.from.map_or_else(
        || "the first primary".to_owned(),
        |from| format!("in place of {}", shape::node_name(state, from.node)),
    );
    let heading = format!(
        "{}, epoch {}: {to}, {from}; {} ({})",
        receipt.service,
        receipt.epoch,
        receipt.account.cause,
        clock::utc(receipt.stamp)
    );
    format!("{}\n{}", escape(&heading), body(state, receipt))
}

/// What it rested on, without the heading.
pub(in crate::commands) fn body(state: &State, receipt: &Receipt) -> String {
    let account = &receipt.account;
    let mut lines = vec![
        ("fence", account.fence.to_string()),
        ("data", data(state, &account.completeness)),
        ("timeline", timeline(receipt)),
    ];
    let considered = account.considered.iter().map(|one| {
        let name = shape::node_name(state, one.node);
        match &one.position {
            Some(at) => format!("{name} at {}: {}", position(at), one.verdict),
            None => format!("{name}: {}", one.verdict),
        }
    });
    lines.extend(labelled("candidates", considered));
    let evidence = account.evidence.iter().map(ToString::to_string);
    lines.extend(labelled("evidence", evidence));
    if let Some(from) = receipt.from {
        let name = shape::node_name(state, from.node);
        let returned = receipt.returned.as_str();
        let text = match returned {
            "" => format!("{name} has not come back as a replica yet"),
            returned => format!("{name}: {returned}"),
        };
        lines.push(("old primary", text));
    }
    if account.cause.is_failover() {
        let text = if receipt.acknowledged {
            "yes".to_owned()
        } else {
            format!("no; `tenure ack {}` does", receipt.service)
        };
        lines.push(("acknowledged", text));
    }
    let lines = lines
        .iter()
        .map(|(label, text)| format!("  {label:LABEL_WIDTH$} {}", escape(text)));
    lines.collect::<Vec<_>>().join("\n")
}

/// For how long nobody took writes, in a sentence; None for the first primary, before which nobody
/// could.
pub(in crate::commands) fn outage(receipt: &Receipt) -> Option<String> {
    let confirmed = receipt.account.timeline.get(&Phase::Confirmed);
    match (&receipt.account.completeness, confirmed) {
        (Completeness::First, _) => None,
        (_, None) => Some("the new primary has not confirmed yet that it serves".to_owned()),
        (Completeness::Equal, Some(after)) => Some(format!("writes were paused for {after}")),
        (
            Completeness::Proven { .. } | Completeness::Bounded { .. } | Completeness::Unknown,
            Some(after),
        ) => Some(format!(
            "it served {after} after the last sign of life of the old one"
        )),
    }
}

/// The label stands before the first line alone.
fn labelled(
    label: &'static str,
    lines: impl Iterator<Item = String>,
) -> impl Iterator<Item = (&'static str, String)> {
    lines
        .enumerate()
        .map(move |(at, line)| (if at == 0 { label } else { "" }, line))
}

fn data(state: &State, known: &Completeness) -> String {
    match known {
        Completeness::Proven { heard } => {
            format!("{known} ({})", shape::node_names(state, heard).join(", "))
        }
        Completeness::First
        | Completeness::Equal
        | Completeness::Bounded { .. }
        | Completeness::Unknown => known.to_string(),
    }
}

fn timeline(receipt: &Receipt) -> String {
    let timeline = &receipt.account.timeline;
    if timeline.is_empty() {
        return "not known".to_owned();
    }
    let since = match receipt.account.completeness {
        Completeness::First => "after it was asked for",
        Completeness::Equal => "after writes were paused",
        Completeness::Proven { .. } | Completeness::Bounded { .. } | Completeness::Unknown => {
            "after the last sign of life"
        }
    };
    let step = |(phase, at): (&Phase, &Millis)| format!("{phase} {at}");
    let steps: Vec<String> = timeline.iter().map(step).collect();
    format!("{}, {since}", steps.join(", "))
}

#[cfg(test)]
pub(in crate::commands) mod tests {
    use super::*;
    use std::{collections::BTreeSet, sync::Arc};
    use tenure_core::{
        Account, Attributes, Cause, Considered, Epoch, FenceProof, Incarnation, Lifecycle, Member,
        Node, NodeId, NodeName, Note, Position, Record, Revision, ServiceName, Timestamp,
    };

    fn note(text: &str) -> Note {
        Note::new(text).unwrap()
    }

    /// Three nodes, db-1 to db-3.
    pub(in crate::commands) fn nodes() -> State {
        let mut state = State::default();
        for id in 1..=3 {
            state.put(Record::Node(Arc::new(Node {
                id: NodeId(id),
                name: NodeName::new(&format!("db-{id}")).unwrap(),
                zone: None,
                labels: Attributes::default(),
                weight: 100,
                incarnation: Incarnation(1),
                lifecycle: Lifecycle::Active,
                reason: Note::default(),
                created: Revision(id),
                modified: Revision(id),
            })));
        }
        state
    }

    fn member(node: u64) -> Member {
        Member {
            node: NodeId(node),
            incarnation: Incarnation(1),
        }
    }

    fn considered(node: u64, offset: u64, verdict: &str) -> Considered {
        Considered {
            node: NodeId(node),
            position: Some(Position {
                history: note("8f3a"),
                offset,
            }),
            verdict: note(verdict),
        }
    }

    /// A failover from db-1 to db-2.
    pub(in crate::commands) fn failover() -> Receipt {
        Receipt {
            service: ServiceName::new("redis-server").unwrap(),
            epoch: Epoch(5),
            from: Some(member(1)),
            to: member(2),
            account: Account {
                cause: Cause::NodeLost,
                fence: FenceProof::LeaseOver {
                    silent: Millis(1_010),
                },
                completeness: Completeness::Proven {
                    heard: BTreeSet::from([NodeId(2), NodeId(3)]),
                },
                evidence: vec![note("silent at server 1"), note("silent at server 3")],
                considered: vec![
                    considered(2, 1_234, "chosen"),
                    considered(3, 1_200, "34 behind"),
                ],
                timeline: [
                    (Phase::Detected, Millis(1_004)),
                    (Phase::Fenced, Millis(1_010)),
                    (Phase::Surveyed, Millis(1_013)),
                    (Phase::Committed, Millis(1_016)),
                    (Phase::Confirmed, Millis(1_024)),
                ]
                .into(),
            },
            stamp: Timestamp(951_782_399_999),
            acknowledged: false,
            returned: Note::default(),
        }
    }

    #[test]
    fn a_failover_reads_as_a_few_lines() {
        let wanted = "\
redis-server, epoch 5: db-2, in place of db-1; node lost (2000-02-28T23:59:59Z)
  fence         its lease ran out (1010 ms silent)
  data          nothing acknowledged was lost: most advanced of 2 heard from (db-2, db-3)
  timeline      detected 1004 ms, fenced 1010 ms, surveyed 1013 ms, committed 1016 ms, confirmed 1024 ms, after the last sign of life
  candidates    db-2 at 8f3a:1234: chosen
                db-3 at 8f3a:1200: 34 behind
  evidence      silent at server 1
                silent at server 3
  old primary   db-1 has not come back as a replica yet
  acknowledged  no; `tenure ack redis-server` does";
        assert_eq!(block(&nodes(), &failover()), wanted);
        let outage = outage(&failover()).unwrap();
        let served = "it served 1024 ms after the last sign of life of the old one";
        assert_eq!(outage, served);
    }

    #[test]
    fn what_a_node_says_cannot_move_the_cursor() {
        let mut receipt = failover();
        receipt.service = ServiceName::new("redis-server").unwrap();
        receipt.account.evidence = vec![note("\u{202e}evil")];
        assert!(block(&nodes(), &receipt).contains("evidence      \\u{202e}evil"));
    }

    #[test]
    fn a_switchover_says_how_long_writes_were_paused() {
        let mut receipt = failover();
        receipt.account.cause = Cause::Switchover;
        receipt.account.fence = FenceProof::Confirmed;
        receipt.account.completeness = Completeness::Equal;
        receipt.account.timeline = [(Phase::Confirmed, Millis(14))].into();
        receipt.returned = note("identical");
        let text = block(&nodes(), &receipt);
        assert!(text.contains("timeline      confirmed 14 ms, after writes were paused"));
        assert!(text.contains("old primary   db-1: identical"));
        assert!(!text.contains("acknowledged  "), "nobody has to: {text}");
        let paused = "writes were paused for 14 ms".to_owned();
        assert_eq!(outage(&receipt), Some(paused));
        receipt.account.timeline.clear();
        assert!(outage(&receipt).unwrap().contains("has not confirmed yet"));
        receipt.account.completeness = Completeness::First;
        assert_eq!(outage(&receipt), None);
    }
}
