//! What clients of a primary can still do after each kind of fence.

use tenure_agent::driver::Driver;
use tenure_core::Millis;
use tenure_core::agent::Action;

use crate::client::{Client, Reply};
use crate::server::Server;
use crate::setup::{FENCE, Group, ORDERLY, PLAIN, position};

/// How a primary is kept from taking writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    /// What the driver does when the authority of a primary ends.
    Fence,
    /// What it does in the course of a switchover.
    Orderly,
    /// What it does before that, for as long as that lasts.
    Pause,
}

/// What one client met with.
type Row = (&'static str, String);

async fn fence(driver: &mut dyn Driver, kind: Kind) {
    let action = match kind {
        Kind::Nothing => return,
        Kind::Fence => FENCE,
        Kind::Orderly => ORDERLY,
        Kind::Pause => Action::Quiesce {
            lasting: Millis(300),
        },
    };
    position(driver.act(action).await);
}

/// Clients that were in the midst of something when the fence came.
struct Before {
    blocked: Client,
    waiting: Client,
    multi: Client,
}

impl Before {
    fn begin(primary: &Server) -> Self {
        let mut before = Self {
            blocked: primary.client(),
            waiting: primary.client(),
            multi: primary.client(),
        };
        before.blocked.send(&["BLPOP", "list", "0"]);
        // More replicas than there are: it waits until it is told otherwise.
        let wait: [&[&str]; 2] = [&["SET", "w", "1"], &["WAIT", "9", "1500"]];
        before.waiting.send_all(&wait);
        assert!(before.waiting.answer().is("OK"));
        assert!(before.multi.ask(&["MULTI"]).is("OK"));
        assert!(before.multi.ask(&["SET", "m", "1"]).is("QUEUED"));
        before
    }

    fn end(mut self) -> [Row; 3] {
        let popped = match self.blocked.is_silent() {
            true => "waits".to_owned(),
            false => self.blocked.answer().short(),
        };
        let executed = self.multi.ask(&["EXEC"]).short();
        [
            ("EXEC of a MULTI begun before", executed),
            ("a BLPOP blocked before", popped),
            ("a WAIT 9 blocked before", self.waiting.answer().short()),
        ]
    }
}

/// The answer to the last of some commands, sent at once by a client of its own.
fn answer_to(primary: &Server, commands: &[&[&str]]) -> String {
    let mut client = primary.client();
    client.send_all(commands);
    let answers: Vec<Reply> = commands.iter().map(|_| client.answer()).collect();
    answers.last().unwrap().short()
}

async fn survey(kind: Kind) -> Vec<Row> {
    const SET: &[&str] = &["SET", "a", "1"];
    let library = "#!lua name=f\nredis.register_function('f',function() end)";
    let (script, caught) = (
        "return redis.call('SET','a','1')",
        "return redis.pcall('SET','a','1')",
    );
    let commands: [(&str, &[&[&str]]); 11] = [
        ("SET", &[SET]),
        ("WAIT 1 after a SET", &[SET, &["WAIT", "1", "100"]]),
        ("MULTI, SET, EXEC", &[&["MULTI"], SET, &["EXEC"]]),
        ("EVAL of a SET", &[&["EVAL", script, "0"]]),
        ("EVAL of a SET, errors caught", &[&["EVAL", caught, "0"]]),
        ("LPUSH for a blocked BLPOP", &[&["LPUSH", "list", "x"]]),
        ("FUNCTION LOAD", &[&["FUNCTION", "LOAD", library]]),
        ("EXPIRE", &[&["EXPIRE", "read", "100"]]),
        ("FLUSHALL", &[&["FLUSHALL"]]),
        ("PUBLISH", &[&["PUBLISH", "a", "1"]]),
        ("GET", &[&["GET", "read"]]),
    ];
    let group = Group::start(3, PLAIN).await;
    group.write("read", "me");
    let Group {
        servers,
        mut drivers,
    } = group;
    let before = Before::begin(&servers[0]);
    fence(&mut *drivers[0], kind).await;
    let rows = commands.into_iter();
    let rows = rows.map(|(what, commands)| (what, answer_to(&servers[0], commands)));
    let mut rows: Vec<Row> = rows.collect();
    rows.extend(before.end());
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_can_still_do() {
    let kinds = [Kind::Nothing, Kind::Fence, Kind::Orderly, Kind::Pause];
    let mut all = Vec::new();
    for kind in kinds {
        all.push(survey(kind).await);
    }
    for (kind, rows) in kinds.iter().zip(&all) {
        println!("\n{kind:?}");
        for (what, answer) in rows {
            println!("  {what:<32} {answer}");
        }
    }
    expect(&all[1], "READONLY", |what| match what {
        "WAIT 1 after a SET" => Some("ERR WAIT cannot be used with replica instances"),
        "a BLPOP blocked before" | "a WAIT 9 blocked before" => Some("UNBLOCKED"),
        _ => None,
    });
    expect(&all[2], "NOREPLICAS", |what| match what {
        "WAIT 1 after a SET" | "a WAIT 9 blocked before" => Some("2"),
        "a BLPOP blocked before" => Some("waits"),
        _ => None,
    });
}

/// That nothing was written, and that readers were answered.
fn expect(rows: &[Row], refusal: &str, other: impl Fn(&str) -> Option<&'static str>) {
    for (what, answer) in rows {
        let fits = match *what {
            "PUBLISH" => answer == "0",
            "GET" => answer == "me",
            _ => match other(what) {
                Some(expected) => answer.starts_with(expected),
                None => answer.starts_with(refusal) || answer.starts_with("EXECABORT"),
            },
        };
        assert!(fits, "{what}: {answer}");
    }
}
