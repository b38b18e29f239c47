//! Who may be attached to a primary: anybody else is detached, so that only members acknowledge.

use std::collections::BTreeSet;

use redis::Pipeline;
use tenure_core::Endpoint;
use tenure_core::agent::Feat;

use super::info::{Attached, Replication};
use super::line::host_and_port;
use super::roles::replication;
use super::{DriverError, Redis};

/// How often whoever attaches himself again is detached within one action.
const ROUNDS_MAX: usize = 4;

/// One connection of a replica, as `CLIENT LIST` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Connection {
    id: u64,
    host: String,
}

impl Redis {
    pub(super) async fn permit(
        &mut self,
        members: impl Iterator<Item = &Endpoint>,
    ) -> Result<Feat, DriverError> {
        let permits: BTreeSet<(String, u16)> = members.map(host_and_port).collect();
        self.permits = Some(permits.clone());
        let mut foreign = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let (own, connections) = self.who_is_attached().await?;
            if own.upstream.is_some() {
                return Err(DriverError::Refused {
                    what: "to say who may acknowledge".to_owned(),
                    answer: "it is a replica".to_owned(),
                });
            }
            foreign = strangers(&own, &permits);
            if foreign.is_empty() {
                return Ok(Feat::Permits(own.position(self.was_primary())));
            }
            let mut pipe = Pipeline::new();
            for id in whom_to_kill(&own.attached, &connections, &permits) {
                pipe.cmd("CLIENT").arg("KILL").arg("ID").arg(id);
            }
            if !pipe.is_empty() {
                self.told(&["CLIENT KILL"], &pipe).await?.get(0)?;
            }
        }
        Err(DriverError::Refused {
            what: format!("to detach {}", foreign.join(", ")),
            answer: "it attaches itself again; a member's replica must announce its endpoint"
                .to_owned(),
        })
    }

    /// Detaches whoever is not permitted, and says who it was.
    pub(super) async fn detach_strangers(&mut self, own: &Replication) -> Option<String> {
        let permits = self.permits.clone()?;
        let found = strangers(own, &permits);
        if found.is_empty() {
            return None;
        }
        let (now, connections) = self.who_is_attached().await.ok()?;
        let mut pipe = Pipeline::new();
        for id in whom_to_kill(&now.attached, &connections, &permits) {
            pipe.cmd("CLIENT").arg("KILL").arg("ID").arg(id);
        }
        if !pipe.is_empty() {
            // Whether it helped is what the next observation sees.
            let _ = self.told(&["CLIENT KILL"], &pipe).await;
        }
        Some(format!(
            "detached {}: no member has this endpoint",
            found.join(", ")
        ))
    }

    async fn who_is_attached(&mut self) -> Result<(Replication, Vec<Connection>), DriverError> {
        const WORDS: &[&str] = &["INFO replication", "CLIENT LIST"];
        let mut pipe = Pipeline::new();
        pipe.cmd("INFO").arg("replication");
        pipe.cmd("CLIENT").arg("LIST").arg("TYPE").arg("replica");
        let answers = self.told(WORDS, &pipe).await?;
        Ok((replication(&answers, 0)?, connections(&answers.text(1)?)))
    }
}

fn is_permitted(attached: &Attached, permits: &BTreeSet<(String, u16)>) -> bool {
    permits.contains(&(attached.host.clone(), attached.port))
}

fn strangers(own: &Replication, permits: &BTreeSet<(String, u16)>) -> Vec<String> {
    let foreign = own.attached.iter().filter(|it| !is_permitted(it, permits));
    foreign
        .map(|it| format!("{}:{}", it.host, it.port))
        .collect()
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
