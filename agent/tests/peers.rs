//! The `peer` driver against listeners of a test's own.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tenure_agent::driver::{Driver, InstanceAt, parse};
use tenure_core::agent::{Action, Observation, Observed};
use tenure_core::{Endpoint, Health, Presence, ServiceName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const BOUND: Duration = Duration::from_secs(20);

fn peer(endpoint: &Endpoint, settings: &str) -> Box<dyn Driver> {
    let instance = InstanceAt {
        service: ServiceName::new("web-server").unwrap(),
        endpoint: endpoint.clone(),
        folder: "/nowhere".into(),
    };
    let settings = format!("every = 10\nwithin = 10000\n{settings}");
    parse("peer", instance, settings.parse().unwrap()).unwrap()
}

async fn see(
    driver: &mut dyn Driver,
    what: &str,
    seen: impl Fn(&Observation) -> bool,
) -> Observation {
    let until = Instant::now() + BOUND;
    loop {
        let observation = driver.observe().await;
        assert_eq!(observation.role, Observed::Peer);
        if seen(&observation) {
            return observation;
        }
        assert!(
            Instant::now() < until,
            "{what}: not seen, but {observation:?}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn see_health(driver: &mut dyn Driver, health: Health) -> Observation {
    see(driver, "health", |seen| seen.health == health).await
}

/// A web server that answers with one status; 0 answers nothing.
struct Web {
    endpoint: Endpoint,
    status: Arc<AtomicU16>,
    serving: JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn web() -> Web {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::new(&listener.local_addr().unwrap().to_string()).unwrap();
    let status = Arc::new(AtomicU16::new(200));
    let says = Arc::clone(&status);
    let serving = tokio::spawn(async move {
        // Whoever is not answered is kept waiting.
        let mut waiting = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..count]).to_lowercase();
            let known = request.starts_with("get /ready http/1.1\r\n");
            let status = says.load(Ordering::Relaxed);
            if status == 0 {
                waiting.push(stream);
                continue;
            }
            let status = if known && request.contains("host: web.example\r\n") {
                status
            } else {
                404
            };
            let answer =
                format!("HTTP/1.1 {status} X\r\nX-Load: 37.5\r\nContent-Length: 0\r\n\r\n");
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    Web {
        endpoint,
        status,
        serving,
    }
}

const READY: &str = "check = 'http'\npath = '/ready'\nhost = 'web.example'\nload_header = 'x-load'";

#[tokio::test]
async fn a_web_server_serves_while_its_status_says_so() {
    let web = web().await;
    let mut driver = peer(&web.endpoint, READY);
    let first = driver.observe().await;
    assert_eq!(
        (first.health, first.presence),
        (Health::Starting, Presence::Running)
    );
    let seen = see_health(&mut *driver, Health::Healthy).await;
    assert_eq!(seen.attributes.get("load"), Some("40"));
    web.status.store(302, Ordering::Relaxed);
    assert_eq!(
        see_health(&mut *driver, Health::Healthy)
            .await
            .note
            .as_str(),
        ""
    );
    web.status.store(503, Ordering::Relaxed);
    let seen = see_health(&mut *driver, Health::Failing).await;
    assert!(
        seen.note.as_str().contains("/ready is answered with 503"),
        "{seen:?}"
    );
    assert_eq!(seen.presence, Presence::Running);
    web.status.store(200, Ordering::Relaxed);
    see_health(&mut *driver, Health::Healthy).await;
}

#[tokio::test]
async fn one_that_does_not_answer_in_time_is_not_waited_for() {
    let web = web().await;
    web.status.store(0, Ordering::Relaxed);
    let instance = InstanceAt {
        service: ServiceName::new("web-server").unwrap(),
        endpoint: web.endpoint.clone(),
        folder: "/nowhere".into(),
    };
    let hasty = format!("{READY}\nwithin = 50\nevery = 10\nfall = 1");
    let mut driver = parse("peer", instance, hasty.parse().unwrap()).unwrap();
    let seen = see_health(&mut *driver, Health::Failing).await;
    assert_eq!(seen.note.as_str(), "no answer within 50 ms");
    assert_eq!(seen.presence, Presence::Unknown);
}

#[tokio::test]
async fn a_listener_is_enough_where_that_is_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::new(&listener.local_addr().unwrap().to_string()).unwrap();
    let mut driver = peer(&endpoint, "check = 'tcp'\nrise = 1\nfall = 1");
    let mut watch = driver.presence();
    see_health(&mut *driver, Health::Healthy).await;
    assert_eq!(watch.changed().await, Presence::Running);
    drop(listener);
    let seen = see_health(&mut *driver, Health::Failing).await;
    assert_eq!(seen.presence, Presence::Exited);
    assert_eq!(watch.changed().await, Presence::Exited);
}

#[tokio::test]
async fn a_program_says_how_it_is_and_how_much_it_has_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::write(&state, "0").unwrap();
    let script = format!(
        "echo load=73; echo tired >&2; exit $(cat {})",
        state.display()
    );
    let program = format!("check = 'command'\nprogram = ['sh', '-c', {script:?}]");
    let endpoint = Endpoint::new("127.0.0.1:1").unwrap();
    let mut driver = peer(&endpoint, &program);
    let seen = see_health(&mut *driver, Health::Healthy).await;
    assert_eq!(seen.attributes.get("load"), Some("70"));
    std::fs::write(&state, "4").unwrap();
    let seen = see_health(&mut *driver, Health::Failing).await;
    assert!(
        seen.note.as_str().contains("exit status: 4 tired"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn nothing_can_be_done_with_a_peer() {
    let endpoint = Endpoint::new("127.0.0.1:1").unwrap();
    let refused = peer(&endpoint, "check = 'tcp'")
        .act(Action::Detach)
        .await
        .unwrap_err();
    assert!(!refused.retry_helps());
    assert!(refused.to_string().contains("one of equals"), "{refused}");
}
