//! Chains of conditional writes: each step rests on the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenure_client::{Client, Consistency, Error};
use tenure_core::{NodeRef, RejectCode};

use super::Shared;
use crate::cluster::registers::Register;

/// Where a chain has got to, as its one writer knows.
#[derive(Debug)]
pub struct Account {
    /// The register.
    pub register: Register,
    /// Version and value of the last step known.
    pub current: (u64, u64),
    /// Values of steps with an unknown outcome that rest on the current version.
    pub open: BTreeSet<u64>,
    /// Steps that rest on the current version and were said not to have happened, with the words.
    pub denied: BTreeMap<u64, String>,
    /// Steps that were acknowledged, or seen after their outcome had been unknown.
    pub steps: u64,
}

impl Account {
    /// Takes in what a linearizable read shows, or says what it contradicts.
    ///
    /// # Errors
    /// A sentence.
    pub fn take(&mut self, version: u64, value: u64) -> Result<(), String> {
        let (known, expected) = self.current;
        if (version, value) == self.current {
            return Ok(());
        }
        if version > known && self.open.remove(&value) {
            self.step(version, value);
            return Ok(());
        }
        let denied = self.denied.get(&value);
        let denied = denied.map_or_else(String::new, |words| {
            format!("; the client had been told that it did not happen: {words}")
        });
        Err(format!(
            "chain of node {}: version {known} had value {expected}, steps {:?} were open, and version {version} with \
             value {value} is there{denied}",
            self.register.node, self.open
        ))
    }

    /// Other open steps rested on the version before: they can never be done now.
    fn step(&mut self, version: u64, value: u64) {
        self.current = (version, value);
        self.open.clear();
        self.denied.clear();
        self.steps += 1;
    }
}

pub(super) async fn run(shared: Arc<Shared>, client: Client, register: Register) -> Account {
    let mut account = Account {
        current: register.initial,
        register,
        open: BTreeSet::new(),
        denied: BTreeMap::new(),
        steps: 0,
    };
    let mut value = 0;
    while shared.goes_on() {
        value += 1;
        step(&shared, &client, &mut account, value).await;
        shared.pause().await;
    }
    account
}

async fn step(shared: &Shared, client: &Client, account: &mut Account, value: u64) {
    let (version, _) = account.current;
    let command = account.register.command(Some(version), value);
    let ended = client.admin().execute(command).await;
    let unknown = shared.count(&ended);
    match ended {
        Ok(done) => account.step(done.revision.0, value),
        Err(_) if unknown => {
            account.open.insert(value);
            look(shared, client, account).await;
        }
        // The chain has one writer: only a step of its own can have come between.
        Err(Error::Rejected(reject)) if reject.code == RejectCode::Changed => {
            if account.open.is_empty() {
                shared.violated(format!("chain of node {}: {reject}", account.register.node));
            }
            look(shared, client, account).await;
        }
        Err(Error::Rejected(reject)) => {
            shared.violated(format!("chain of node {}: {reject}", account.register.node));
        }
        Err(error) => drop(account.denied.insert(value, format!("{error:?}"))),
    }
}

/// Looks what is there. A read that is not answered changes nothing: the next step tells.
async fn look(shared: &Shared, client: &Client, account: &mut Account) {
    let node = NodeRef::Id(account.register.node);
    let service = account.register.service.clone();
    let read = client
        .discovery()
        .instance(&service, &node, Consistency::Linearizable)
        .await;
    let Ok((_, instance)) = read else {
        return;
    };
    let value = instance
        .report
        .position
        .map_or(0, |position| position.offset);
    if let Err(why) = account.take(instance.modified.0, value) {
        shared.violated(why);
    }
}
