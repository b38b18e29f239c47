//! The `command` driver against a program that keeps its state in a file.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenure_agent::driver::{Driver, InstanceAt, parse};
use tenure_core::agent::{Action, Feat, Observed};
use tenure_core::copies::{Checksum, ItemName};
use tenure_core::{
    CopyOrder, Endpoint, Epoch, Health, Held, Millis, NodeId, OrderKind, Presence, Rejoin,
    ServiceName, Source,
};

/// More of what it may be asked.
const COPIES: &str = "copies = true\n[within]\nverify = 100";

const BOUND: Duration = Duration::from_secs(20);

/// A store that does what it is told, and writes down by what it was told.
const STORE: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
{ echo "$1"; env | grep '^TENURE_' | sort; } > "told-$1"
role() { echo "$1" > role; }
place() { echo history=h1; echo offset=42; }
case "$1" in
observe) echo "role=$(cat role)"; place; echo attribute.size=7; echo run=first ;;
promote) role writable ;;
follow) role following; echo rejoin=behind; echo tail=nothing ;;
fence) role fenced; place ;;
detach) role following; place ;;
quiesce|measure|permit) place ;;
resume) ;;
probe) echo sees=yes ;;
fetch) echo "checksum=$TENURE_CHECKSUM"; echo size=5 ;;
drop) echo missing=yes ;;
verify) sleep 60 ;;
room) echo "folder=$(pwd)"; echo load=250; echo data=one ;;
*) echo "no verb: $1" >&2; exit 9 ;;
esac
"#;

struct Store {
    folder: TempDir,
    driver: Box<dyn Driver>,
}

fn write_program(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("store");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn store(text: &str, settings: &str) -> Store {
    let folder = tempfile::tempdir().unwrap();
    let program = write_program(folder.path(), text);
    std::fs::write(folder.path().join("role"), "fenced").unwrap();
    let instance = InstanceAt {
        service: ServiceName::new("store").unwrap(),
        endpoint: Endpoint::new("10.0.0.1:7000").unwrap(),
        folder: folder.path().join("agent"),
    };
    let table = format!(
        "program = [{:?}]\n{settings}",
        program.display().to_string()
    );
    let driver = parse("command", instance, table.parse().unwrap()).unwrap();
    Store { folder, driver }
}

impl Store {
    fn told(&self, verb: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("told-{verb}"))).unwrap()
    }

    async fn fails(&mut self, action: Action) -> String {
        let error = self.driver.act(action).await.unwrap_err();
        error.to_string()
    }
}

fn endpoint() -> Endpoint {
    Endpoint::new("10.0.0.2:7000").unwrap()
}

#[tokio::test]
async fn copies_are_fetched_and_dropped_by_the_program_and_room_is_told() {
    assert!(
        store(STORE, "").driver.custodian().is_none(),
        "only when it is set"
    );
    let mut store = store(STORE, COPIES);
    let custodian = store.driver.custodian().unwrap();
    let checksum = Checksum::new(&[0xab, 0x01]).unwrap();
    let order = |kind| CopyOrder {
        kind,
        item: ItemName::new("a b/c").unwrap(),
        version: 7,
        checksum: Some(checksum),
        size: 9,
        from: Some(Source {
            node: NodeId(2),
            endpoint: endpoint(),
        }),
    };
    let held = Held {
        version: 7,
        checksum: Some(checksum),
        size: 5,
    };
    let fetched = custodian.carry_out(order(OrderKind::Fetch)).await;
    assert_eq!(fetched, Ok(Some(held)));
    let facts = "fetch\nTENURE_CHECKSUM=ab01\nTENURE_ENDPOINT=10.0.0.1:7000\nTENURE_FROM=10.0.0.2:7000\n\
                 TENURE_ITEM=a b/c\nTENURE_SERVICE=store\nTENURE_SIZE=9\nTENURE_VERSION=7\n";
    assert_eq!(store.told("fetch"), facts);
    assert_eq!(custodian.carry_out(order(OrderKind::Drop)).await, Ok(None));
    let late = custodian.carry_out(order(OrderKind::Verify)).await;
    assert!(
        late.unwrap_err().to_string().contains("100"),
        "it takes too long"
    );
    let room = custodian.room().await.unwrap();
    let (free, total) = room.bytes.unwrap();
    assert!(0 < free && free <= total && room.folder != 0 && room.load == 250);
}

#[tokio::test]
async fn every_verb_is_told_with_its_facts_and_its_answer_is_read() {
    let mut store = store(STORE, "");
    let at = |feat| match feat {
        Ok(Feat::At(Some(position)) | Feat::Permits(Some(position))) => position.offset,
        other => panic!("{other:?}"),
    };
    let promote = Action::Promote {
        epoch: Epoch(7),
        write_acks: 1,
        strict: true,
    };
    assert_eq!(store.driver.act(promote).await, Ok(Feat::Done));
    let facts = "promote\nTENURE_ENDPOINT=10.0.0.1:7000\nTENURE_EPOCH=7\nTENURE_SERVICE=store\n\
                 TENURE_STRICT=1\nTENURE_WRITE_ACKS=1\n";
    assert_eq!(store.told("promote"), facts);
    let seen = store.driver.observe().await;
    assert_eq!(
        (seen.role, seen.health),
        (Observed::Writable, Health::Healthy)
    );
    assert_eq!(
        (seen.presence, seen.attributes.get("size")),
        (Presence::Running, Some("7"))
    );
    assert!(seen.run != 0 && seen.position.is_some_and(|at| at.offset == 42));

    let members = BTreeMap::from([(NodeId(2), endpoint()), (NodeId(3), endpoint())]);
    assert_eq!(at(store.driver.act(Action::Permit { members }).await), 42);
    assert!(
        store
            .told("permit")
            .contains("TENURE_MEMBERS=2=10.0.0.2:7000 3=10.0.0.2:7000\n")
    );
    let lasting = Millis(250);
    assert_eq!(at(store.driver.act(Action::Quiesce { lasting }).await), 42);
    assert!(store.told("quiesce").contains("TENURE_LASTING_MS=250\n"));
    assert_eq!(store.driver.act(Action::Resume).await, Ok(Feat::Done));
    assert_eq!(
        at(store.driver.act(Action::Fence { orderly: true }).await),
        42
    );
    assert!(store.told("fence").contains("TENURE_ORDERLY=1\n"));
    assert_eq!(store.driver.observe().await.role, Observed::Fenced);
    let follow = Action::Follow {
        epoch: Epoch(8),
        primary: endpoint(),
    };
    let Ok(Feat::Follows(Some((Rejoin::Behind, tail)))) = store.driver.act(follow).await else {
        panic!("it follows");
    };
    assert_eq!(tail.as_str(), "nothing");
    assert!(
        store
            .told("follow")
            .contains("TENURE_PRIMARY=10.0.0.2:7000\n")
    );
    assert_eq!(at(store.driver.act(Action::Detach).await), 42);
    assert_eq!(at(store.driver.act(Action::Measure).await), 42);
    let primary = endpoint();
    assert_eq!(
        store.driver.act(Action::Probe { primary }).await,
        Ok(Feat::Sees(true))
    );
}

#[tokio::test]
async fn a_program_that_fails_is_repeated_to_people() {
    let text = "#!/bin/sh\necho 'the disk is on fire' >&2\nexit 3\n";
    let mut store = store(text, "");
    let said = store.fails(Action::Measure).await;
    assert!(
        said.contains("exit status: 3: the disk is on fire"),
        "{said}"
    );
    let seen = store.driver.observe().await;
    assert_eq!(
        (seen.presence, seen.health),
        (Presence::Unknown, Health::Failing)
    );
    assert!(
        seen.note.as_str().contains("the disk is on fire"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn what_it_says_must_be_understood_and_bounded() {
    let mut talker = store("#!/bin/sh\nhead -c 100000 /dev/zero\n", "");
    let said = talker.fails(Action::Measure).await;
    assert!(said.contains("says more than 65536 bytes"), "{said}");
    let mut stranger = store("#!/bin/sh\necho colour=red\n", "");
    let said = stranger.fails(Action::Measure).await;
    assert!(
        said.contains("\"colour\" is not one of: history, offset"),
        "{said}"
    );
    std::fs::remove_file(stranger.folder.path().join("store")).unwrap();
    let said = stranger.fails(Action::Measure).await;
    assert!(said.contains("cannot start"), "{said}");
}

/// The process ids that a program wrote down, none of which may be left.
async fn all_gone(path: &Path) {
    let until = Instant::now() + BOUND;
    let ids = loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() == 2 {
            break text;
        }
        assert!(Instant::now() < until, "{text:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    for id in ids.lines() {
        let stat = PathBuf::from(format!("/proc/{id}/stat"));
        // What was killed and is not reaped yet runs no more.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < until, "process {id} is left");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// It hangs together with a child, and has written down both their ids by then.
const HANGING: &str = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\nsleep 600 &\n\
                       echo \"$$\n$!\" > ids\nwait\n";

#[tokio::test]
async fn one_that_takes_too_long_is_killed_with_all_that_it_started() {
    let mut store = store(HANGING, "within = { measure = 300 }");
    let said = store.fails(Action::Measure).await;
    assert!(said.contains("was not answered within 300 ms"), "{said}");
    all_gone(&store.folder.path().join("ids")).await;
}

#[tokio::test]
async fn one_that_nobody_waits_for_any_more_is_killed_too() {
    let mut store = store(HANGING, "");
    let ids = store.folder.path().join("ids");
    {
        let mut promoting = store.driver.act(Action::Detach);
        let until = Instant::now() + BOUND;
        while std::fs::read_to_string(&ids).map_or(0, |text| text.lines().count()) < 2 {
            let early = tokio::time::timeout(Duration::from_millis(2), &mut promoting).await;
            assert!(early.is_err() && Instant::now() < until, "{early:?}");
        }
    }
    all_gone(&ids).await;
}

#[tokio::test]
async fn the_end_of_the_process_that_it_names_is_told_of() {
    let mut child = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    let text = format!("#!/bin/sh\necho role=writable\necho pid={}\n", child.id());
    let mut store = store(&text, "");
    let mut watch = store.driver.presence();
    assert_eq!(store.driver.observe().await.presence, Presence::Running);
    assert_eq!(watch.changed().await, Presence::Running);
    child.kill().unwrap();
    child.wait().unwrap();
    let told = tokio::time::timeout(BOUND, watch.changed()).await;
    assert_eq!(told, Ok(Presence::Exited));
}

#[tokio::test]
async fn an_observation_is_asked_for_again_when_it_is_old_or_something_was_done() {
    let text = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho x >> count\n\
                [ \"$1\" = observe ] && echo role=writable\nexit 0\n";
    let mut store = store(text, "observe_every = 60000");
    let count = store.folder.path().join("count");
    let runs = || std::fs::read_to_string(&count).unwrap().lines().count();
    store.driver.observe().await;
    store.driver.observe().await;
    assert_eq!(runs(), 1);
    assert_eq!(store.driver.act(Action::Resume).await, Ok(Feat::Done));
    store.driver.observe().await;
    assert_eq!(runs(), 3);
}
