//! The notice that a process went, and what is made of one that came back.

use std::time::{Duration, Instant};

use tenure_agent::driver::{Driver, PresenceWatch};
use tenure_core::Presence;
use tenure_core::agent::{Observation, Observed};

use crate::server::Server;
use crate::setup::{BOUND, FENCE, Group, PLAIN, driver, promote, see};

async fn tells(watch: &mut PresenceWatch, expected: Presence) -> Duration {
    let began = Instant::now();
    let told = async { while watch.changed().await != expected {} };
    let told = tokio::time::timeout(BOUND, told).await;
    assert!(told.is_ok(), "{expected:?} was not told within {BOUND:?}");
    began.elapsed()
}

/// A promoted instance whose process is known, and its watch.
async fn running() -> (Server, Box<dyn Driver>, PresenceWatch) {
    let Group {
        mut servers,
        mut drivers,
    } = Group::start(1, PLAIN).await;
    let mut watch = drivers[0].presence();
    tells(&mut watch, Presence::Running).await;
    drivers[0].observe().await;
    (servers.remove(0), drivers.remove(0), watch)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_is_told_of_at_once_and_again_when_it_is_back() {
    let (mut server, mut driver, mut watch) = running().await;
    let mut took = Vec::new();
    for _ in 0..5 {
        let exited = tokio::spawn({
            let mut watch = watch.clone();
            async move {
                watch.exited().await;
                Instant::now()
            }
        });
        let shot = Instant::now();
        server.shoot();
        let told = tokio::time::timeout(BOUND, exited).await.unwrap().unwrap();
        took.push(told - shot);
        tells(&mut watch, Presence::Exited).await;
        assert_eq!(driver.observe().await.presence, Presence::Exited);
        server.kill();
        server.launch();
        tells(&mut watch, Presence::Running).await;
        let seen = driver.observe().await;
        assert_eq!(
            seen.role,
            Observed::Fenced,
            "fenced before anything else is said: {seen:?}"
        );
        assert!(
            server
                .client()
                .ask(&["SET", "a", "1"])
                .error()
                .starts_with("READONLY")
        );
        promote(&mut *driver, 1).await;
        driver.observe().await;
    }
    println!("SIGKILL until told: {took:?}");
}

#[tokio::test]
async fn a_process_that_dies_while_a_child_keeps_its_connections_is_told_of() {
    let (mut server, mut driver, mut watch) = running().await;
    let mut client = server.client();
    // A save that takes longer than this test: the child holds every connection of its parent open.
    assert!(
        client
            .ask(&["CONFIG", "SET", "rdb-key-save-delay", "1000000"])
            .is("OK")
    );
    for key in 0..200 {
        assert!(client.ask(&["SET", &format!("k{key}"), "v"]).is("OK"));
    }
    assert!(
        client
            .ask(&["BGSAVE"])
            .text()
            .starts_with("Background saving started")
    );
    driver.observe().await;
    let child: i32 = {
        let own = client.info("process_id");
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    };
    let began = Instant::now();
    server.shoot();
    tells(&mut watch, Presence::Exited).await;
    println!("SIGKILL during a save until told: {:?}", began.elapsed());
    let child = rustix::process::Pid::from_raw(child).unwrap();
    assert!(
        rustix::process::test_kill_process(child).is_ok(),
        "the child lives on"
    );
    rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
    server.kill();
}

#[tokio::test]
async fn a_connection_that_is_closed_is_no_exit() {
    let (server, mut driver, mut watch) = running().await;
    let mut client = server.client();
    for _ in 0..20 {
        client.send(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(client.answer().number() >= 1);
        let seen = driver.observe().await;
        assert_eq!(seen.presence, Presence::Running, "{seen:?}");
        let told = tokio::time::timeout(Duration::from_millis(10), watch.changed()).await;
        assert!(told.is_err(), "{told:?}");
    }
}

#[tokio::test]
async fn a_restart_that_nobody_saw_is_another_run_and_what_came_up_is_fenced() {
    let (mut server, mut driver, _) = running().await;
    let before = driver.observe().await.run;
    assert!(before != 0);
    // The agent is away meanwhile.
    until_kept(&server).await;
    drop(driver);
    server.kill();
    server.launch();
    let mut anew = crate::setup::driver(&server, PLAIN);
    let seen = anew.observe().await;
    assert!(seen.run != 0 && seen.run != before, "{seen:?}");
    assert_eq!(
        (seen.presence, seen.role),
        (Presence::Running, Observed::Fenced)
    );
    assert!(
        server
            .client()
            .ask(&["SET", "a", "1"])
            .error()
            .starts_with("READONLY")
    );
}

#[tokio::test]
async fn replicas_are_not_emptied_by_a_primary_that_came_back_empty() {
    let group = Group::start(2, PLAIN).await;
    group.write("a", "1");
    let Group {
        mut servers,
        mut drivers,
    } = group;
    drivers[0].observe().await;
    servers[0].kill();
    servers[0].launch();
    drivers[0].observe().await;
    // Redis tries again each second, and is refused: nobody made its user anew.
    let refused = "Unable to AUTH to MASTER";
    let until = Instant::now() + BOUND;
    while !servers[1].log().contains(refused) {
        assert!(Instant::now() < until, "{}", servers[1].log());
        drivers[0].observe().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(servers[1].client().ask(&["GET", "a"]).is("1"));
}

/// What the driver keeps is written beside its actions.
async fn until_kept(server: &Server) -> String {
    let path = server.path().join("agent").join("redis-server.redis");
    let until = Instant::now() + BOUND;
    loop {
        if let Ok(text) = std::fs::read_to_string(&path) {
            return text;
        }
        assert!(Instant::now() < until, "{} is not written", path.display());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn an_agent_that_is_started_anew_finds_a_primary_as_it_left_it() {
    let (server, driver, _) = running().await;
    until_kept(&server).await;
    drop(driver);
    let mut anew = crate::setup::driver(&server, PLAIN);
    let seen = anew.observe().await;
    assert_eq!(
        (seen.presence, seen.role),
        (Presence::Running, Observed::Writable)
    );
    assert!(server.client().ask(&["SET", "a", "1"]).is("OK"));
}

#[tokio::test]
async fn what_an_operator_told_how_to_start_is_started_and_fenced() {
    let mut server = Server::stopped(&["--save", "", "--daemonize", "yes", "--pidfile", "pid"]);
    let program = format!("{:?}", server.command());
    let mut driver = driver(&server, &format!("start = {program}"));
    let seen = driver.observe().await;
    assert_eq!(seen.presence, Presence::Exited);
    let seen = see(&mut *driver, "up", |seen| {
        seen.presence == Presence::Running
    })
    .await;
    assert_eq!(
        seen.role,
        Observed::Following { linked: false },
        "a replica of nowhere"
    );
    let mut client = server.client();
    assert!(
        client
            .ask(&["SET", "a", "1"])
            .error()
            .starts_with("READONLY")
    );
    let pid: i32 = client.info("process_id").parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    server.kill();
}

#[tokio::test]
async fn a_start_that_fails_is_said() {
    let server = Server::stopped(&[]);
    let start = "start = ['sh', '-c', 'echo it is broken >&2; exit 3']";
    let mut driver = driver(&server, start);
    let said = |seen: &Observation| seen.note.as_str().contains("it is broken");
    let seen = see(&mut *driver, "the failure", said).await;
    assert_eq!(seen.presence, Presence::Exited);
    assert!(seen.note.as_str().contains("exit status: 3"), "{seen:?}");
}

#[tokio::test]
async fn fencing_what_is_gone_is_done() {
    let (mut server, mut driver, _) = running().await;
    server.kill();
    let feat = driver.act(FENCE).await;
    assert_eq!(feat, Ok(tenure_core::agent::Feat::At(None)));
}

#[tokio::test]
async fn one_with_a_file_comes_up_fenced_whoever_starts_it() {
    let mut server = Server::stopped(&[]);
    let file = server.path().join("redis.conf");
    std::fs::write(&file, "save \"\"\n").unwrap();
    server.configured_by(&file);
    server.launch();
    let mut driver = driver(&server, PLAIN);
    promote(&mut *driver, 1).await;
    let fenced = |seen: &Observation| seen.attributes.get("restart") == Some("fenced");
    see(&mut *driver, "the file to be written", fenced).await;
    assert!(server.client().ask(&["SET", "a", "1"]).is("OK"));
    drop(driver);
    server.kill();
    server.launch();
    // Nobody has told it anything yet.
    let mut client = server.client();
    assert!(
        client
            .ask(&["SET", "a", "1"])
            .error()
            .starts_with("READONLY")
    );
    assert!(client.ask(&["REPLICAOF", "NO", "ONE"]).is("OK"));
    assert!(
        client
            .ask(&["SET", "a", "1"])
            .error()
            .starts_with("NOREPLICAS")
    );
    let mut anew = crate::setup::driver(&server, PLAIN);
    anew.observe().await;
    promote(&mut *anew, 2).await;
    assert!(client.ask(&["SET", "a", "1"]).is("OK"));
}

#[tokio::test]
async fn a_file_that_is_to_be_left_alone_is() {
    let mut server = Server::stopped(&[]);
    let file = server.path().join("redis.conf");
    std::fs::write(&file, "save \"\"\n").unwrap();
    server.configured_by(&file);
    server.launch();
    let mut driver = driver(&server, &format!("{PLAIN}\non_restart = 'leave'"));
    promote(&mut *driver, 1).await;
    let unfenced = |seen: &Observation| seen.attributes.get("restart") == Some("unfenced");
    see(&mut *driver, "the file to be read", unfenced).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "save \"\"\n");
}
