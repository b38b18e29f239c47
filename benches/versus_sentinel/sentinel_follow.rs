//! A client that follows the primary as Redis documents it: it listens to every Sentinel for `+switch-master`, and
//! asks them all when it cannot write where it thinks the primary is.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use redis::RedisResult;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::follower::{Follower, Named, tell};
use crate::link;
use crate::moment::Moment;

const SWITCHED: &str = "+switch-master";
/// Pause before a Sentinel that is not reached is tried again, and between two rounds of questions.
const RETRY: Duration = Duration::from_millis(20);

/// Whom a Sentinel takes for the primary.
pub async fn primary_by(sentinel: SocketAddr, name: &str) -> RedisResult<Option<SocketAddr>> {
    let words = ["SENTINEL", "get-master-addr-by-name", name];
    let answer: Option<(String, u16)> = link::ask(sentinel, &words).await?;
    Ok(answer.and_then(|(ip, port)| Some(SocketAddr::new(ip.parse().ok()?, port))))
}

/// Follows the primary that the Sentinels call `name`, which is at `first` now.
pub async fn follow(sentinels: &[SocketAddr], name: &'static str, first: SocketAddr) -> Follower {
    let (teller, named) = watch::channel(Named {
        address: Some(first),
        at: Moment::now(),
    });
    let teller = Arc::new(teller);
    let doubt = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    for sentinel in sentinels {
        tasks.spawn(listen(*sentinel, name, teller.clone()));
    }
    tasks.spawn(ask_when_in_doubt(
        sentinels.to_vec(),
        name,
        doubt.clone(),
        teller,
    ));
    Follower::new(named, doubt, tasks)
}

async fn listen(sentinel: SocketAddr, name: &'static str, teller: Arc<watch::Sender<Named>>) {
    loop {
        // A Sentinel that is down says nothing; the others do.
        let _lost = hear(sentinel, name, &teller).await;
        tokio::time::sleep(RETRY).await;
    }
}

async fn hear(sentinel: SocketAddr, name: &str, teller: &watch::Sender<Named>) -> RedisResult<()> {
    let client = link::client(sentinel)?;
    let mut events = client.get_async_pubsub().await?;
    events.subscribe(SWITCHED).await?;
    let mut messages = events.into_on_message();
    while let Some(message) = messages.next().await {
        let text: String = message.get_payload()?;
        if let Some(address) = switched_to(&text, name) {
            tell(teller, Some(address));
        }
    }
    Ok(())
}

/// The new address in `NAME OLD-IP OLD-PORT NEW-IP NEW-PORT`.
fn switched_to(text: &str, name: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [of, _old_ip, _old_port, ip, port] = words[..] else {
        return None;
    };
    let ip: IpAddr = ip.parse().ok()?;
    (of == name).then_some(SocketAddr::new(ip, port.parse().ok()?))
}

async fn ask_when_in_doubt(
    sentinels: Vec<SocketAddr>,
    name: &'static str,
    doubt: Arc<Notify>,
    teller: Arc<watch::Sender<Named>>,
) {
    let mut left = None;
    loop {
        doubt.notified().await;
        let known = teller.borrow().address;
        let questions = sentinels.iter().map(|one| primary_by(*one, name));
        let answers = futures::future::join_all(questions).await;
        let answers: Vec<SocketAddr> = answers.into_iter().flatten().flatten().collect();
        let other = believable(&answers, known, left);
        if other.is_some() && teller.borrow().address == known {
            left = known;
            tell(&teller, other);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Another primary than the one that is known. A single Sentinel may know first; but one that is late must not
/// lead back to whom the others have just left.
fn believable(
    answers: &[SocketAddr],
    known: Option<SocketAddr>,
    left: Option<SocketAddr>,
) -> Option<SocketAddr> {
    let agree = |one: &SocketAddr| answers.iter().filter(|other| *other == one).count();
    let mut others = answers.iter().filter(|one| Some(**one) != known);
    others
        .find(|one| Some(**one) != left || 2 * agree(one) > answers.len())
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_sentinel_does_not_lead_back() {
        let [old, new] = ["127.0.0.1:1", "127.0.0.1:2"].map(|text| text.parse().ok());
        let of =
            |answers: &[Option<SocketAddr>]| answers.iter().flatten().copied().collect::<Vec<_>>();
        assert_eq!(believable(&of(&[old, old, new]), old, None), new);
        assert_eq!(believable(&of(&[new, new, old]), new, old), None);
        assert_eq!(believable(&of(&[old, old, new]), new, old), old);
        assert_eq!(believable(&[], old, None), None);
    }

    #[test]
    fn switches_of_other_services_are_not_ours() {
        let text = "bench 127.0.0.1 7000 127.0.0.1 7001";
        let wanted = "127.0.0.1:7001".parse().ok();
        assert_eq!(switched_to(text, "bench"), wanted);
        assert_eq!(switched_to(text, "other"), None);
        assert_eq!(switched_to("bench 127.0.0.1", "bench"), None);
    }
}
