//! Who may be attached to a primary: anybody else is detached and kept away, so that only members
//! acknowledge.
//!
//! A replica whose connection is closed attaches itself again within a millisecond. So each instance
//! logs in at its primary as a user of its own, named after its endpoint, which the primary's agent
//! makes for every member, and takes away from everybody else: Redis closes the connections of a user
//! that is taken away, and lets nobody in under its name. Where an operator has set one login for all,
//! whoever is no member can only be detached each time it is seen.

use std::collections::BTreeSet;

use redis::Pipeline;
use tenure_core::Endpoint;
use tenure_core::agent::Feat;

use super::answer::Answers;
use super::info::{Attached, Replication};
use super::line::host_and_port;
use super::roles::replication;
use super::{DriverError, Redis};

/// How often whoever attaches himself again is detached within one action.
const ROUNDS_MAX: usize = 4;

/// Every user of a replica begins so.
const USER_PREFIX: &str = "tenure-replica@";
/// What a replica may do at its primary.
const RIGHTS: [&str; 4] = ["+psync", "+sync", "+replconf", "+ping"];
/// The password where none is set: Redis sends none without.
const NO_SECRET: &str = "tenure";

/// One connection of a replica, as `CLIENT LIST` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Connection {
    id: u64,
    host: String,
    user: String,
}

/// Who is attached, and who may log in as a replica.
struct Round {
    own: Replication,
    connections: Vec<Connection>,
    users: BTreeSet<String>,
}

fn user_of(host: &str, port: u16) -> String {
    format!("{USER_PREFIX}{host}:{port}")
}

impl Redis {
    /// By which this instance logs in at its primary: name and password.
    pub(super) fn replica_login(&self) -> (String, String) {
        let login = &self.settings.replication;
        let secret = login.password.clone().unwrap_or(NO_SECRET.to_owned());
        match &login.username {
            Some(shared) => (shared.clone(), secret),
            None => {
                let (host, port) = host_and_port(&self.announced);
                (user_of(&host, port), secret)
            }
        }
    }

    fn each_has_a_user(&self) -> bool {
        self.settings.replication.username.is_none()
    }

    pub(super) async fn permit(
        &mut self,
        members: impl Iterator<Item = &Endpoint>,
    ) -> Result<Feat, DriverError> {
        let permits: BTreeSet<(String, u16)> = members.map(host_and_port).collect();
        self.permits = Some(permits.clone());
        let mut strangers = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let round = self.round(&permits).await?;
            if round.own.upstream.is_some() {
                return Err(DriverError::Refused {
                    what: "to say who may acknowledge".to_owned(),
                    answer: "it is a replica".to_owned(),
                });
            }
            let others = self.add_detaching(&round, &permits);
            strangers = others.1;
            if strangers.is_empty() {
                return Ok(Feat::Permits(round.own.position(self.was_primary())));
            }
            // Whether it helped is what the next round sees.
            self.told(&["to detach strangers"], &others.0).await?;
        }
        let strangers: Vec<String> = strangers.into_iter().collect();
        Err(DriverError::Refused {
            what: format!("to detach {}", strangers.join(", ")),
            answer: "it attaches itself again: it does not log in as a user of its own".to_owned(),
        })
    }

    /// Detaches whoever is not permitted, and says who it was.
    pub(super) async fn detach_strangers(&mut self, own: &Replication) -> Option<String> {
        let permits = self.permits.clone()?;
        if own.attached.iter().all(|it| is_permitted(it, &permits)) {
            return None;
        }
        let round = self.round(&permits).await.ok()?;
        let (pipe, strangers) = self.add_detaching(&round, &permits);
        if !pipe.is_empty() {
            // Whether it helped is what the next observation sees.
            let _ = self.told(&["to detach strangers"], &pipe).await;
        }
        let strangers: Vec<String> = strangers.into_iter().collect();
        Some(format!(
            "detached {}: it is no member",
            strangers.join(", ")
        ))
    }

    /// Lets members log in, and looks who is attached.
    async fn round(&mut self, permits: &BTreeSet<(String, u16)>) -> Result<Round, DriverError> {
        const WORDS: &[&str] = &["INFO replication", "CLIENT LIST", "ACL USERS"];
        let mut pipe = Pipeline::new();
        pipe.cmd("INFO").arg("replication");
        pipe.cmd("CLIENT").arg("LIST").arg("TYPE").arg("replica");
        if self.each_has_a_user() {
            pipe.cmd("ACL").arg("USERS");
            let (_, secret) = self.replica_login();
            for (host, port) in permits {
                pipe.cmd("ACL").arg("SETUSER").arg(user_of(host, *port));
                pipe.arg("on")
                    .arg("resetpass")
                    .arg(format!(">{secret}"))
                    .arg(&RIGHTS);
            }
        }
        let answers = self.told(WORDS, &pipe).await?;
        let users = if self.each_has_a_user() {
            users(&answers, pipe.len())?
        } else {
            BTreeSet::new()
        };
        Ok(Round {
            own: replication(&answers, 0)?,
            connections: connections(&answers.text(1)?),
            users,
        })
    }

    /// What detaches whoever is not permitted, and who that is.
    fn add_detaching(
        &self,
        round: &Round,
        permits: &BTreeSet<(String, u16)>,
    ) -> (Pipeline, BTreeSet<String>) {
        let mut pipe = Pipeline::new();
        let mut kill = |id: u64| {
            pipe.cmd("CLIENT").arg("KILL").arg("ID").arg(id);
        };
        let foreign = round.own.attached.iter();
        let foreign = foreign.filter(|it| !is_permitted(it, permits));
        let mut strangers: BTreeSet<String> = foreign
            .map(|it| format!("{}:{}", it.host, it.port))
            .collect();
        if !self.each_has_a_user() {
            let ids = whom_to_kill(&round.own.attached, &round.connections, permits);
            ids.into_iter().for_each(&mut kill);
            return (pipe, strangers);
        }
        let allowed: BTreeSet<String> = permits
            .iter()
            .map(|(host, port)| user_of(host, *port))
            .collect();
        let known = round
            .connections
            .iter()
            .filter(|it| !allowed.contains(&it.user));
        for connection in known {
            strangers.insert(format!("a replica of user {}", connection.user));
            kill(connection.id);
        }
        let stale = round.users.iter();
        for user in stale.filter(|user| user.starts_with(USER_PREFIX) && !allowed.contains(*user)) {
            strangers.insert(user.trim_start_matches(USER_PREFIX).to_owned());
            pipe.cmd("ACL").arg("DELUSER").arg(user);
        }
        (pipe, strangers)
    }
}

/// The users there are, after those of members were made.
fn users(answers: &Answers, count: usize) -> Result<BTreeSet<String>, DriverError> {
    let made = (2..count).try_for_each(|index| answers.get(index).map(|_| ()));
    made.map_err(|error| DriverError::Refused {
        what: "to make a user for each replica".to_owned(),
        answer: format!(
            "{error}; allow +acl|setuser, +acl|deluser and +acl|users, or set replication_username"
        ),
    })?;
    let listed = answers.get(2)?.as_sequence();
    let listed = listed.ok_or_else(|| answers.unreadable(2, "a list of users"))?;
    Ok(listed.iter().filter_map(super::answer::text).collect())
}

fn is_permitted(attached: &Attached, permits: &BTreeSet<(String, u16)>) -> bool {
    permits.contains(&(attached.host.clone(), attached.port))
}

fn connections(list: &str) -> Vec<Connection> {
    let field = |line: &str, key: &str| {
        let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == key);
        values.next().map(|(_, value)| value.to_owned())
    };
    let mut found: Vec<Connection> = list
        .lines()
        .filter_map(|line| {
            let address = field(line, "addr")?;
            Some(Connection {
                id: field(line, "id")?.parse().ok()?,
                host: address
                    .rsplit_once(':')?
                    .0
                    .trim_matches(['[', ']'])
                    .to_owned(),
                user: field(line, "user").unwrap_or_default(),
            })
        })
        .collect();
    found.sort_by_key(|connection| connection.id);
    found
}

/// The connections of those who are not permitted. Redis shows no connection together with the
/// announced address. Where each instance has a host of its own, the host tells; where several share
/// one, the order does, for connections are numbered as they are made, and replicas listed as they are
/// attached. A member that is detached by mistake attaches itself again.
fn whom_to_kill(
    attached: &[Attached],
    connections: &[Connection],
    permits: &BTreeSet<(String, u16)>,
) -> Vec<u64> {
    let mut ids = BTreeSet::new();
    for (index, stranger) in attached.iter().enumerate() {
        if is_permitted(stranger, permits) {
            continue;
        }
        let alone = attached
            .iter()
            .all(|it| it.host != stranger.host || !is_permitted(it, permits));
        let by_host = connections
            .iter()
            .filter(|it| alone && it.host == stranger.host);
        let before = ids.len();
        ids.extend(by_host.map(|connection| connection.id));
        if ids.len() == before
            && let Some(connection) = connections.get(index)
        {
            ids.insert(connection.id);
        }
    }
    ids.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached(all: &[(&str, u16)]) -> Vec<Attached> {
        let one = |(host, port): &(&str, u16)| Attached {
            host: (*host).to_owned(),
            port: *port,
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn a_stranger_is_found_by_its_host_or_by_its_place() {
        let list = "id=9 addr=10.0.0.3:4 laddr=x name= cmd=replconf\nid=7 addr=10.0.0.2:5 name=\n";
        let found = connections(list);
        let permits = BTreeSet::from([("10.0.0.2".to_owned(), 6379)]);
        let whom = whom_to_kill(
            &attached(&[("10.0.0.3", 6379), ("10.0.0.2", 6379)]),
            &found,
            &permits,
        );
        assert_eq!(whom, [9]);

        let list = "id=3 addr=127.0.0.1:4\nid=5 addr=127.0.0.1:5\nid=4 addr=127.0.0.1:6\n";
        let permits = BTreeSet::from([("127.0.0.1".to_owned(), 1), ("127.0.0.1".to_owned(), 3)]);
        let whom = whom_to_kill(
            &attached(&[("127.0.0.1", 1), ("127.0.0.1", 2), ("127.0.0.1", 3)]),
            &connections(list),
            &permits,
        );
        assert_eq!(whom, [4]);
    }
}
