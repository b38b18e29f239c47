//! What a transcript tells of a world: who did what, in the order in which it happened.

use super::World;
use std::fmt::Write as _;
use tenure_core::{
    Command, Epoch, Moment, Outcome, Receipt, Role,
    agent::{Action, Feat},
};

/// One line; several the same in a row by one actor are told as one.
#[derive(Clone)]
struct Line {
    at: Moment,
    who: String,
    what: String,
    times: u64,
}

/// Everything that was told.
#[derive(Clone, Default)]
pub struct Told {
    /// None while nobody listens.
    since: Option<Moment>,
    lines: Vec<Line>,
    /// Whoever was last said to be permitted to write, by node.
    permitted: Vec<Option<Epoch>>,
}

impl Told {
    /// The lines, with milliseconds since the first.
    pub fn text(&self) -> String {
        let since = self.since.unwrap_or_default();
        let mut text = String::new();
        for line in &self.lines {
            let at = line.at.since(since).0;
            let _ = write!(text, "{at:7}  {:<4} {}", line.who, line.what);
            if line.times > 1 {
                let _ = write!(text, " ({} times)", line.times);
            }
            text.push('\n');
        }
        text
    }
}

impl World {
    /// From now on everything is told.
    pub fn listen(&mut self) {
        self.told.since = Some(self.now);
        self.told.permitted = self.node_ids().map(|node| self.believes(node, 0)).collect();
    }

    /// A line of the transcript.
    pub fn tell(&mut self, who: &str, what: &str) {
        if self.told.since.is_none() {
            return;
        }
        let lines = &mut self.told.lines;
        let last = lines.iter_mut().rev().find(|line| line.who == who);
        if let Some(last) = last
            && last.what == what
        {
            last.times += 1;
            return;
        }
        lines.push(Line {
            at: self.now,
            who: who.to_owned(),
            what: what.to_owned(),
            times: 1,
        });
    }

    /// What an agent had its instance do.
    pub(super) fn tell_act(
        &mut self,
        node: u64,
        action: &Action,
        result: Option<&Result<Feat, String>>,
    ) {
        // Every primary is asked time and again, and told whom to let in.
        let is_routine = matches!(action, Action::Measure | Action::Permit { .. });
        if self.told.since.is_none() || is_routine {
            return;
        }
        let came = match result {
            None => "no answer".to_owned(),
            Some(Err(why)) => format!("fails: {why}"),
            Some(Ok(Feat::At(Some(at)))) => format!("at {}:{}", at.history, at.offset),
            Some(Ok(Feat::Follows(Some((rejoin, _))))) => format!("its own data are {rejoin}"),
            Some(Ok(Feat::Sees(sees))) => if *sees { "it answers" } else { "no answer" }.to_owned(),
            Some(Ok(Feat::Done | Feat::At(None) | Feat::Follows(None) | Feat::Permits(_))) => {
                "done".to_owned()
            }
        };
        self.tell(&format!("n{node}"), &format!("{}: {came}", words(action)));
    }

    /// Who may take writes, where that has changed.
    pub(super) fn tell_permitted(&mut self) {
        if self.told.since.is_none() {
            return;
        }
        for node in self.node_ids() {
            let now = self.believes(node, 0);
            let index = usize::try_from(node).expect("it is small") - 1;
            if std::mem::replace(&mut self.told.permitted[index], now) == now {
                continue;
            }
            let what = match now {
                Some(epoch) => format!("MAY TAKE WRITES by epoch {epoch}"),
                None => "may take writes no more".to_owned(),
            };
            self.tell(&format!("n{node}"), &what);
        }
    }

    pub(super) fn tell_entry(&mut self, command: &Command, outcome: &Outcome) {
        if self.told.since.is_none() {
            return;
        }
        let rejected = match outcome {
            Outcome::Done(_) | Outcome::Answered { .. } => String::new(),
            Outcome::Rejected(reject) => format!("rejected, {reject}: "),
        };
        for what in sentences(command) {
            self.tell("log", &format!("{rejected}{what}"));
        }
    }

    /// The receipt of the first service's present epoch, as `tenure history` has it.
    pub fn tell_receipt(&mut self) {
        let Receipt {
            epoch,
            to,
            account,
            returned,
            ..
        } = self.receipt();
        let mut lines = vec![
            format!(
                "receipt of epoch {epoch}: n{} is primary, {}",
                to.node, account.cause
            ),
            format!("fence: {}", account.fence),
            format!("{}", account.completeness),
        ];
        lines.extend(account.evidence.iter().map(|it| format!("seen: {it}")));
        lines.extend(
            account
                .considered
                .iter()
                .map(|it| format!("n{}: {}", it.node, it.verdict)),
        );
        let steps = account
            .timeline
            .iter()
            .map(|(phase, at)| format!("{phase} {at}"));
        lines.push(steps.collect::<Vec<_>>().join(", "));
        if !returned.as_str().is_empty() {
            lines.push(format!("the old primary: {returned}"));
        }
        for line in lines {
            self.tell("=", &line);
        }
    }
}

fn words(action: &Action) -> String {
    match action {
        Action::Promote { epoch, .. } => format!("promote by epoch {epoch}"),
        Action::Follow { primary, .. } => format!("follow {primary}"),
        Action::Fence { orderly: true } => "fence, replicas stay attached".to_owned(),
        Action::Fence { orderly: false } => "fence".to_owned(),
        Action::Detach => "detach".to_owned(),
        Action::Quiesce { lasting } => format!("hold writes back for {lasting} at most"),
        Action::Resume => "take writes again".to_owned(),
        Action::Permit { .. } => "permit".to_owned(),
        Action::Measure => "measure".to_owned(),
        Action::Probe { primary } => format!("does {primary} answer"),
    }
}

/// What an entry says, in the words of the protocol.
fn sentences(command: &Command) -> Vec<String> {
    if let Command::Batch(all) = command {
        return all.iter().flat_map(sentences).collect();
    }
    vec![sentence(command)]
}

fn sentence(command: &Command) -> String {
    if let Command::Promote {
        to,
        in_sync,
        syncing,
        succeeds,
        account,
        ..
    } = command
    {
        let (in_sync, syncing) = (names(in_sync), names(syncing));
        return format!(
            "PROMOTE n{} after epoch {succeeds} ({}); in sync: {in_sync}; syncing: {syncing}",
            to.node, account.cause
        );
    }
    if let Command::SetMembers {
        in_sync, syncing, ..
    } = command
    {
        let (in_sync, syncing) = (names(in_sync), names(syncing));
        return format!("members: in sync {in_sync}; syncing {syncing}");
    }
    if let Command::ReportInstance { member, report, .. } = command {
        let role = match report.role {
            None => "no role".to_owned(),
            Some((Role::Primary, epoch)) => format!("primary by epoch {epoch}: serves"),
            Some((role, epoch)) => format!("{role} in epoch {epoch}"),
        };
        return format!("n{} is {}, {role}", member.node, report.health);
    }
    if let Command::NoteReturn { returned, .. } = command {
        return format!("in the receipt: the old primary {returned}");
    }
    let shown = format!("{command:?}");
    let kind = shown.split([' ', '{', '(']).next().unwrap_or_default();
    kind.to_owned()
}

fn names(nodes: &std::collections::BTreeSet<tenure_core::NodeId>) -> String {
    let all: Vec<String> = nodes.iter().map(|node| format!("n{node}")).collect();
    if all.is_empty() {
        "nobody".to_owned()
    } else {
        all.join(" ")
    }
}
