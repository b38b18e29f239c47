//! Where what members say and what they are granted changes hands on one server: sessions on one side,
//! the driver of the controller and the relays between servers on the other. Nothing here waits: of
//! each member the latest counts, so that whoever is slow delays nobody and memory stays bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenure_core::controller::Input;
use tenure_core::{Heartbeat, Member, ServerId};
use tenure_proto::v1;

mod latest;
mod stores;

pub(crate) use latest::Latest;
pub(crate) use stores::{Said, Stores};

use crate::session::Registry;

/// Which of the controller's inputs a newer one takes the place of, in the order in which they are told.
/// Ears come last: an ear says that nothing is missing, so it comes after what was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// A member's beats in its session with this server, which is the shortest way back to it.
    Session(Member),
    /// A member's beats through another server.
    Relay(ServerId, Member),
    /// The ear of a server.
    Ear(ServerId),
}

/// Grants that one follower is to carry back.
pub(crate) type Carrier = Latest<Member, v1::Grant>;

/// The exchange of one server.
pub(crate) struct Exchange {
    own: ServerId,
    /// The sessions of members with this server.
    pub(crate) sessions: Registry,
    /// For the controller; open while it leads.
    pub(crate) heard: Latest<Source, Input>,
    /// For the leader; open while a relay to it is.
    pub(crate) outbox: Latest<Member, Heartbeat>,
    carriers: Mutex<BTreeMap<ServerId, Arc<Carrier>>>,
    /// What holders of copies said of their disks.
    pub(crate) stores: Stores,
}

impl Exchange {
    pub(crate) fn new(own: ServerId) -> Arc<Exchange> {
        Arc::new(Exchange {
            own,
            sessions: Registry::default(),
            heard: Latest::closed(),
            outbox: Latest::closed(),
            carriers: Mutex::default(),
            stores: Stores::default(),
        })
    }

    /// A member's beat in a session with this server.
    pub(crate) fn beat(&self, member: Member, beat: Heartbeat) {
        self.stores.hear(member.node, &beat);
        self.outbox.put(member, &beat);
        let via = self.own;
        let input = Input::Beat { via, member, beat };
        self.heard.give(Source::Session(member), input);
    }

    /// A member's beat through a server.
    pub(crate) fn relayed(&self, via: ServerId, member: Member, beat: Heartbeat) {
        self.stores.hear(member.node, &beat);
        let input = Input::Beat { via, member, beat };
        self.heard.give(Source::Relay(via, member), input);
    }

    /// Everything that a server heard until now is here.
    pub(crate) fn ear(&self, of: ServerId) {
        self.heard.give(Source::Ear(of), Input::Ear(of));
    }

    /// Sends a grant to a member, through the server that heard it. Is lost when nobody listens: the
    /// member's next beat is answered anew.
    pub(crate) fn grant(&self, via: ServerId, member: Member, grant: v1::Grant) {
        if via == self.own {
            self.sessions.grant(member, grant);
        } else if let Some(carrier) = self.carriers().get(&via) {
            carrier.give(member, grant);
        }
    }

    /// The grants that a follower carries back from now on. An earlier relay of the same follower ends.
    pub(crate) fn carrier(&self, of: ServerId) -> Arc<Carrier> {
        let carrier = Arc::new(Carrier::open_one());
        if let Some(earlier) = self.carriers().insert(of, carrier.clone()) {
            earlier.close();
        }
        carrier
    }

    /// A relay has ended.
    pub(crate) fn put_down(&self, of: ServerId, carrier: &Arc<Carrier>) {
        carrier.close();
        let mut carriers = self.carriers();
        if carriers
            .get(&of)
            .is_some_and(|known| Arc::ptr_eq(known, carrier))
        {
            carriers.remove(&of);
        }
    }

    fn carriers(&self) -> MutexGuard<'_, BTreeMap<ServerId, Arc<Carrier>>> {
        self.carriers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
