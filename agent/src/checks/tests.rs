//! The checks over HTTP, from a board that a test fills.

use std::collections::BTreeMap;

use tenure_core::agent::{Agent, Input, Kept, KeptService, Observation, Observed, Start};
use tenure_core::{
    Attributes, Epoch, Health, Incarnation, Moment, NodeId, Note, Presence, ServiceName,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const BOUND: Duration = Duration::from_secs(30);

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn seen(role: Observed, health: Health, note: &str) -> Observation {
    Observation {
        presence: Presence::Running,
        run: 1,
        health,
        role,
        note: Note::new(note).unwrap(),
        attributes: Attributes::new(BTreeMap::from([("version".to_owned(), "7".to_owned())]))
            .unwrap(),
        ..Observation::nothing()
    }
}

fn follows(linked: bool) -> Observation {
    seen(Observed::Following { linked }, Health::Healthy, "")
}

/// A machine that holds `a` and `b` by epoch 4, and what it was told of these services.
fn board(observations: &[(&str, Observation)], at: Moment) -> Arc<Board> {
    let held = KeptService {
        epoch: Epoch(4),
        holds: Some(Epoch(4)),
        held: Some(Epoch(4)),
        run: 1,
        whole: true,
        leased_until: clock::now().after(Millis(60_000)),
        ..KeptService::default()
    };
    let services: Vec<ServiceName> = ["a", "b", "c", "d", "e", "f"].map(name).into();
    let kept = Kept {
        services: [(name("a"), held), (name("b"), held)].into(),
        ..Kept::default()
    };
    let start = Start {
        member: member(),
        session: 1,
        agent: None,
        services: services.clone(),
        kept: Some(kept),
        heartbeat: Millis(100),
        lease: Millis(1_000),
    };
    let board = Board::new(Agent::new(start, at), services.into_iter());
    for (service, seen) in observations {
        let input = Input::Observed {
            service: name(service),
            seen: seen.clone(),
        };
        board.lock().handle(at, input, &mut Vec::new());
    }
    Arc::new(board)
}

fn member() -> Member {
    Member {
        node: NodeId(3),
        incarnation: Incarnation(2),
    }
}

fn sight(board: Option<Arc<Board>>) -> Arc<Sight> {
    let joined = OnceLock::new();
    if let Some(board) = board {
        let (_, pace) = watch::channel(Millis(50));
        let known = Joined {
            member: member(),
            board,
            attendance: Attendance::default(),
            troubles: Troubles::default(),
            pace,
        };
        assert!(joined.set(known).is_ok());
    }
    Arc::new(Sight {
        cluster: "site-1".to_owned(),
        node: "db-1".to_owned(),
        joined,
    })
}

/// The status and the body of an answer.
async fn ask(at: SocketAddr, request: &str) -> (u16, String) {
    let asked = async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(BOUND, asked).await.expect("it is answered");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, body.trim_end().to_owned())
}

async fn get(at: SocketAddr, path: &str) -> (u16, String) {
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

async fn serving(sight: Arc<Sight>) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let (listener, at) = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    (at, tokio::spawn(serve(listener, sight)))
}

#[tokio::test]
async fn a_check_says_yes_or_why_not() {
    let observations = [
        ("a", seen(Observed::Writable, Health::Healthy, "")),
        ("b", follows(true)),
        ("c", follows(false)),
        ("d", seen(Observed::Peer, Health::Degraded, "slow")),
        ("e", seen(Observed::Peer, Health::Failing, "status 500")),
    ];
    let (at, serving) = serving(sight(Some(board(&observations, clock::now())))).await;
    let table = [
        ("/primary/a", 200, "a: primary by epoch 4"),
        ("/replica/a", 503, "a: is no replica"),
        ("/peer/a", 503, "a: is no peer"),
        ("/primary/b", 503, "b: becoming primary by epoch 4"),
        ("/replica/b", 200, "b: follows"),
        ("/primary/c", 503, "c: is not primary"),
        ("/replica/c", 503, "c: its link to the primary is down"),
        ("/peer/d", 200, "d: serves"),
        ("/peer/e", 503, "e: is failing: status 500"),
        ("/peer/f", 503, "f: was not looked at yet"),
        ("/primary/g", 404, "no service \"g\" on this node"),
        ("/primary/", 404, "no service \"\" on this node"),
        ("/", 404, "ask for /primary/SERVICE"),
        ("/secondary/a", 404, "ask for /primary/SERVICE"),
    ];
    for (path, status, line) in table {
        let answer = get(at, path).await;
        assert_eq!(answer.0, status, "{path}: {answer:?}");
        assert!(answer.1.starts_with(line), "{path}: {answer:?}");
    }
    let head = ask(at, "HEAD /primary/a HTTP/1.0\r\n\r\n").await;
    assert_eq!(head, (200, String::new()));
    let post = ask(at, "POST /primary/a HTTP/1.0\r\n\r\n").await;
    assert_eq!(post.0, 405);
    serving.abort();
}

#[tokio::test]
async fn what_was_seen_long_ago_counts_for_nothing() {
    let long_ago = Moment(clock::now().0 - 651_000);
    let writable = seen(Observed::Writable, Health::Healthy, "");
    let (at, serving) = serving(sight(Some(board(&[("a", writable)], long_ago)))).await;
    let (status, line) = get(at, "/primary/a").await;
    assert_eq!(status, 503);
    assert!(line.starts_with("a: was last looked at 65"), "{line}");
    serving.abort();
}

#[tokio::test]
async fn the_status_tells_what_is_known() {
    let writable = seen(Observed::Writable, Health::Healthy, "");
    let (at, serving) = serving(sight(Some(board(&[("a", writable)], clock::now())))).await;
    let (status, body) = get(at, "/status").await;
    assert_eq!(status, 200);
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["node"], "db-1");
    assert_eq!(told["member"]["incarnation"], 2);
    assert_eq!(told["services"]["a"]["primary_by"], 4);
    assert_eq!(told["services"]["a"]["role"], "primary");
    assert_eq!(told["services"]["a"]["attributes"]["version"], "7");
    assert_eq!(
        told["services"]["f"]["seen_ms_ago"],
        serde_json::Value::Null
    );
    serving.abort();
}

#[tokio::test]
async fn before_it_has_joined_nothing_is_up() {
    let (at, serving) = serving(sight(None)).await;
    let (status, line) = get(at, "/primary/a").await;
    assert_eq!((status, line.contains("not joined")), (503, true));
    let (status, body) = get(at, "/status").await;
    assert_eq!((status, body.contains("not joined")), (200, true));
    serving.abort();
}

#[tokio::test]
async fn those_who_say_nothing_hold_nobody_up() {
    let writable = seen(Observed::Writable, Health::Healthy, "");
    let (at, serving) = serving(sight(Some(board(&[("a", writable)], clock::now())))).await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(TcpStream::connect(at).await.unwrap());
    }
    let (status, _) = get(at, "/primary/a").await;
    assert!(
        status == 200 || status == 503,
        "{status}: it waited its turn"
    );
    drop(silent);
    serving.abort();
}
