//! One instance as its member knows it: what is wanted of it, what it is, and what to do next.

use super::{Action, KeptService, Observation, Observed, pledges::Pledges};
use crate::{
    CopyOrder, Directive, Endpoint, Epoch, Fellow, Health, Millis, Moment, NodeId, Presence,
    Returned, Standing, StoreSign, Surveyed, Wanted,
};
use std::collections::{BTreeMap, BTreeSet};

/// How long after a failed or fruitless action the same is tried again.
const AGAIN_AFTER: Millis = Millis(50);
/// How long a replica may be without a link before it is told once more whom to follow.
const RELINK_AFTER: Millis = Millis(500);
/// How often a replica looks whether its primary answers, while it is asked to.
const PROBE_EVERY: Millis = Millis(100);
/// How long a primary that was fenced for a switchover may wait for its successor.
const HARDEN_AFTER: Millis = Millis(1_000);

/// One instance.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    /// The latest epoch heard of.
    pub(super) epoch: Epoch,
    /// What is wanted, by the latest grant.
    pub(super) directive: Option<Directive>,
    pub(super) seen: Observation,
    pub(super) standing: Standing,
    /// The latest heartbeat that says that it is idle, or the next if it is to: a grant that answers an
    /// earlier one is void, for the leader may have turned to another since.
    pub(super) idle_since: u64,
    /// Until when it may take writes, by grants.
    pub(super) leased_until: Moment,
    /// Until when it may go on as it took writes before anybody spoke of it: it is to be the first primary, and was
    /// granted that.
    pub(super) adopted_until: Moment,
    /// Who could be promoted in its place, and where they are asked for pledges; None when that is not
    /// known, or when somebody cannot be asked.
    pub(super) electors: Option<BTreeMap<NodeId, Endpoint>>,
    /// Until when it may, by pledges of others.
    pub(super) pledges: Pledges,
    /// Until when it refuses promotion, for it has pledged to others.
    pub(super) pledged_until: Moment,
    /// It pledges nothing by this epoch or an earlier one.
    pub(super) refuses: Epoch,
    /// The epoch by which its driver has confirmed that it takes writes.
    pub(super) promoted: Option<Epoch>,
    /// On which terms: how many have to have a write, and whether none may be lost. None where that is not known, as
    /// while it is being told: then it is told once more.
    pub(super) terms: Option<(u32, bool)>,
    /// Whether that is only what an earlier process of the agent had begun.
    pub(super) taken_over: bool,
    /// Whom it follows, by which epoch.
    pub(super) follows: Option<(Epoch, NodeId)>,
    followed_at: Moment,
    pub(super) permits: BTreeSet<NodeId>,
    pub(super) surveyed: Option<Surveyed>,
    pub(super) sees_primary: Option<bool>,
    pub(super) returned: Option<Returned>,
    /// Until when its writes are held back.
    pub(super) quiesced_until: Moment,
    pub(super) running: Option<Running>,
    not_before: Moment,
    probed_at: Moment,
    /// Whether it was fenced in the course of a switchover, with its replicas attached.
    pub(super) fenced_softly: bool,
    /// When its driver was last told to do something.
    told_at: Moment,
    /// The latest epoch by which it took writes.
    held: Option<Epoch>,
    /// The process that was seen last.
    pub(super) run: u64,
    /// Whether it has all that it ever acknowledged.
    pub(super) whole: bool,
    /// What it says of itself as holder of copies.
    pub(super) store: Option<StoreSign>,
    /// What its holder was told to do last.
    pub(super) orders: Vec<CopyOrder>,
}

/// An action that its driver has been told to do.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) id: u64,
    pub(super) what: Action,
    /// The survey that it answers.
    pub(super) ballot: Option<u64>,
}

impl Instance {
    pub(super) fn new(kept: KeptService) -> Self {
        Self {
            epoch: kept.epoch,
            directive: None,
            seen: Observation::nothing(),
            standing: match kept.holds {
                Some(epoch) => Standing::Primary(epoch),
                None => Standing::Idle(kept.epoch),
            },
            idle_since: 0,
            leased_until: kept.leased_until,
            adopted_until: Moment(0),
            electors: None,
            pledges: Pledges::default(),
            pledged_until: kept.pledged_until,
            refuses: kept.surveyed,
            promoted: kept.holds,
            terms: kept.terms,
            taken_over: kept.holds.is_some(),
            follows: None,
            followed_at: Moment(0),
            permits: BTreeSet::new(),
            surveyed: None,
            sees_primary: None,
            returned: None,
            quiesced_until: Moment(0),
            running: None,
            not_before: Moment(0),
            probed_at: Moment(0),
            fenced_softly: false,
            told_at: Moment(0),
            held: kept.held,
            run: kept.run,
            whole: kept.whole,
            store: None,
            orders: Vec::new(),
        }
    }

    pub(super) fn kept(&self) -> KeptService {
        KeptService {
            epoch: self.epoch,
            holds: self.standing.holds(),
            held: self.held,
            run: self.run,
            whole: self.whole,
            leased_until: self.authority_until(),
            pledged_until: self.pledged_until,
            surveyed: self.refuses,
            terms: self.terms,
        }
    }

    /// Until when it may take writes.
    pub(super) fn authority_until(&self) -> Moment {
        self.leased_until.max(self.pledges.until)
    }

    /// The epoch by which it may take writes now (promise 1: this is what the member believes).
    pub(super) fn primary_by(&self, now: Moment) -> Option<Epoch> {
        let epoch = self.standing.holds()?;
        (now < self.authority_until() && self.is_wanted_primary()).then_some(epoch)
    }

    /// A primary that no leader has spoken to since its agent was started goes on as before.
    fn is_wanted_primary(&self) -> bool {
        self.directive
            .as_ref()
            .is_none_or(|directive| matches!(directive.wanted, Wanted::Primary { .. }))
    }

    /// It takes no writes from here on, and says so first in the heartbeat `next`.
    pub(super) fn let_go(&mut self, next: u64) {
        if self.standing.holds().is_some() {
            self.standing = Standing::Idle(self.epoch);
            self.idle_since = next;
        }
        self.leased_until = Moment(0);
        self.pledges.end();
        self.promoted = None;
        self.quiesced_until = Moment(0);
        self.permits.clear();
    }

    /// Whether nothing of it is left to hand over: another is primary by a later epoch, or it was none.
    pub(super) fn has_handed_over(&self) -> bool {
        let later = self.held.is_none_or(|held| held < self.epoch);
        self.standing.holds().is_none() && (later || self.seen.presence == Presence::Exited)
    }

    /// A heartbeat was sent. One that says that it is idle ends what was granted before: the leader may
    /// turn to another on the strength of it.
    pub(super) fn said(&mut self, sequence: u64) {
        if self.standing.holds().is_none() {
            self.idle_since = sequence;
            self.leased_until = Moment(0);
        }
    }

    /// What its driver is to do next, if anything. A fence comes before everything, and is not waited
    /// with; anything else waits for what is under way.
    pub(super) fn next(&self, now: Moment) -> Option<Action> {
        if self.must_fence(now) {
            let orderly = matches!(self.standing, Standing::Quiesced(_));
            let due = !self.is_fencing() && now >= self.not_before;
            return due.then_some(Action::Fence { orderly });
        }
        if self.running.is_some() || now < self.not_before {
            return None;
        }
        let directive = self.directive.as_ref()?;
        match &directive.wanted {
            Wanted::Primary { .. } => self.as_primary(now, directive),
            Wanted::Replica { primary, .. } => self.as_replica(now, directive, *primary),
            Wanted::Standby => self.as_standby(now, directive),
            Wanted::Peer => None,
        }
    }

    /// Whether it takes, or may be taking, writes that it has no authority for. An instance that no
    /// leader ever spoke of is nobody's to stop.
    fn must_fence(&self, now: Moment) -> bool {
        match self.standing {
            Standing::Primary(_) | Standing::Quiesced(_) => self.primary_by(now).is_none(),
            Standing::Idle(_) => {
                let writable = self.epoch > Epoch(0) && self.seen.role == Observed::Writable;
                (writable && !self.is_adopted(now)) || self.is_promoting()
            }
        }
    }

    fn as_primary(&self, now: Moment, directive: &Directive) -> Option<Action> {
        let Wanted::Primary {
            write_acks,
            strict,
            members,
            detached,
        } = &directive.wanted
        else {
            return None;
        };
        let (write_acks, strict) = (*write_acks, *strict);
        // Promise 3 rests on what the policy says now.
        let steady = directive.quiesce.is_none() && matches!(self.standing, Standing::Primary(_));
        let other = self.terms != Some((write_acks, strict));
        if self.promoted != Some(directive.epoch) || (steady && other) {
            let epoch = directive.epoch;
            return self.may_promote(now).then_some(Action::Promote {
                epoch,
                write_acks,
                strict,
            });
        }
        if let Some(lasting) = directive.quiesce {
            return matches!(self.standing, Standing::Primary(_))
                .then_some(Action::Quiesce { lasting });
        }
        if matches!(self.standing, Standing::Quiesced(_)) {
            return Some(Action::Resume);
        }
        let wanted = members.iter().filter(|(node, _)| !detached.contains(node));
        let wanted: BTreeMap<NodeId, &Fellow> = wanted.map(|(node, it)| (*node, it)).collect();
        if wanted.keys().ne(self.permits.iter()) {
            let members = wanted
                .into_iter()
                .map(|(node, fellow)| (node, fellow.instance.clone()))
                .collect();
            return Some(Action::Permit { members });
        }
        None
    }

    /// Promise 1 rests on this: a lease that runs, a process, and no pledge that is outstanding. Promise
    /// 3 rests on the last: one that was started anew does not go on as if it had lost nothing.
    fn may_promote(&self, now: Moment) -> bool {
        now < self.leased_until
            && now >= self.pledged_until
            && self.seen.presence == Presence::Running
            && self.seen.health != Health::Starting
            && !self.is_bereft()
    }

    /// Whether it was primary by this epoch, was started anew since, and must not lose anything.
    pub(super) fn is_bereft(&self) -> bool {
        let strict = self
            .directive
            .as_ref()
            .is_none_or(|directive| match directive.wanted {
                Wanted::Primary { strict, .. } => strict,
                Wanted::Replica { .. } | Wanted::Standby | Wanted::Peer => true,
            });
        strict && !self.whole && self.held == Some(self.epoch)
    }

    fn as_replica(&self, now: Moment, directive: &Directive, primary: NodeId) -> Option<Action> {
        let Wanted::Replica { endpoint, .. } = &directive.wanted else {
            return None;
        };
        if self.seen.presence != Presence::Running {
            return None;
        }
        let follows = self.follows == Some((directive.epoch, primary));
        let linked = self.seen.role == Observed::Following { linked: true };
        if !follows || (!linked && now.since(self.followed_at) >= RELINK_AFTER) {
            let (epoch, primary) = (directive.epoch, endpoint.clone());
            return Some(Action::Follow { epoch, primary });
        }
        let answered = |ballot| self.surveyed.as_ref().is_some_and(|it| it.ballot == ballot);
        if directive.survey.is_some_and(|ballot| !answered(ballot)) {
            return Some(Action::Measure);
        }
        if directive.probe && now.since(self.probed_at) >= PROBE_EVERY {
            let primary = endpoint.clone();
            return Some(Action::Probe { primary });
        }
        None
    }

    /// A promotion that was given up may still be under way: a fence takes its place.
    fn is_promoting(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| matches!(running.what, Action::Promote { .. }))
    }

    pub(super) fn is_fencing(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| matches!(running.what, Action::Fence { .. }))
    }

    fn as_standby(&self, now: Moment, directive: &Directive) -> Option<Action> {
        if self.seen.presence != Presence::Running {
            return None;
        }
        // A switchover that came to nothing leaves nobody attached.
        if self.fenced_softly && now.since(self.told_at) >= HARDEN_AFTER {
            return Some(Action::Fence { orderly: false });
        }
        match directive.survey {
            Some(ballot) => {
                let answered = self.surveyed.as_ref();
                let answered = answered.is_some_and(|surveyed| surveyed.ballot == ballot);
                (!answered).then_some(Action::Detach)
            }
            None => matches!(self.seen.role, Observed::Following { .. })
                .then_some(Action::Detach)
                .filter(|_| self.follows.is_some()),
        }
    }

    /// An action was given to the driver.
    pub(super) fn began(&mut self, now: Moment, id: u64, what: Action) {
        self.told_at = now;
        let ballot = match what {
            Action::Detach | Action::Measure => self.directive.as_ref().and_then(|it| it.survey),
            Action::Promote { epoch, .. } => {
                self.standing = Standing::Primary(epoch);
                self.held = Some(epoch);
                // Until its driver says that it is done, it may serve by these terms or by those before.
                self.terms = None;
                // What it has is what there is, from here on.
                self.whole = true;
                self.fenced_softly = false;
                self.follows = None;
                None
            }
            Action::Quiesce { lasting } => {
                self.quiesced_until = now.after(lasting);
                None
            }
            Action::Follow { .. } => {
                self.fenced_softly = false;
                self.followed_at = now;
                None
            }
            Action::Probe { .. } => {
                self.probed_at = now;
                None
            }
            Action::Fence { .. } | Action::Resume | Action::Permit { .. } => None,
        };
        self.running = Some(Running { id, what, ballot });
    }

    /// What the clock alone changes: an instance whose quiescence has lapsed takes writes again by itself.
    pub(super) fn pass(&mut self, now: Moment) {
        if let Standing::Quiesced(epoch) = self.standing
            && now >= self.quiesced_until
        {
            self.standing = Standing::Primary(epoch);
        }
        for over in [&mut self.not_before, &mut self.adopted_until] {
            *over = if now >= *over { Moment(0) } else { *over };
        }
    }

    /// The same is not tried again at once.
    pub(super) fn wait(&mut self, now: Moment) {
        self.not_before = now.after(AGAIN_AFTER);
    }

    /// When it has to be looked at again, by the clock.
    pub(super) fn due(&self) -> Option<Moment> {
        let holds = self.standing.holds().filter(|_| !self.is_fencing());
        let ends = holds.map(|_| self.authority_until().max(self.not_before));
        let waits = [self.not_before, self.adopted_until].into_iter();
        let waits = waits.filter(|until| *until > Moment(0));
        ends.into_iter().chain(waits).min()
    }
}
