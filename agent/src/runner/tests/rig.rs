//! A runner on a bench.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenure_client::pledge::Questions;
use tenure_core::agent::{Action, Agent, Feat, Kept, KeptService, Observation, Observed, Start};
use tenure_core::{
    ControlLoss, Directive, Endpoint, Epoch, Fellow, Grant, Heartbeat, Incarnation, Member, Millis,
    Moment, NodeId, Presence, ServerId, ServiceName, Sign, Wanted,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::{Carrier, Hands, Link, Parts, Runner, Wish, pace};
use super::store::{Store, kept};
use crate::board::Board;
use crate::clock;
use crate::instance::{Instance, News, Order, Slot, Told};
use crate::state::{Folder, Keeper, KeptFile, StateError};

const BOUND: Duration = Duration::from_secs(30);
const SESSION: u64 = 5;
pub(super) const BOOT: &str = "boot";

pub(super) fn service() -> ServiceName {
    ServiceName::new("store").unwrap()
}

pub(super) fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        incarnation: Incarnation(1),
    }
}

fn endpoint(node: NodeId) -> Endpoint {
    Endpoint::new(&format!("10.0.0.{node}:1000")).unwrap()
}

fn directive(epoch: Epoch, wanted: Wanted) -> Directive {
    Directive {
        service: service(),
        epoch,
        wanted,
        quiesce: None,
        survey: None,
        probe: false,
        orders: vec![],
    }
}

pub(super) fn primary(epoch: Epoch) -> Directive {
    let wanted = Wanted::Primary {
        write_acks: 0,
        strict: false,
        members: BTreeMap::new(),
        detached: BTreeSet::new(),
    };
    directive(epoch, wanted)
}

pub(super) fn with_fellow(directive: &mut Directive, node: NodeId, agent: &Endpoint) {
    let fellow = Fellow {
        instance: endpoint(node),
        agent: Some(agent.clone()),
    };
    match &mut directive.wanted {
        Wanted::Primary { members, .. } => drop(members.insert(node, fellow)),
        Wanted::Replica { .. } | Wanted::Standby | Wanted::Peer => panic!("no primary"),
    }
}

pub(super) fn replica(epoch: Epoch, primary: NodeId) -> Directive {
    let endpoint = endpoint(primary);
    directive(epoch, Wanted::Replica { primary, endpoint })
}

struct FakeLink {
    beats: mpsc::UnboundedSender<Heartbeat>,
    grants: mpsc::UnboundedReceiver<Grant>,
}

impl Link for FakeLink {
    fn beat(&self, beat: Heartbeat) {
        let _ended = self.beats.send(beat);
    }

    async fn grant(&mut self) -> Option<Grant> {
        self.grants.recv().await
    }
}

fn start(kept: &Kept) -> Start {
    Start {
        member: member(1),
        session: SESSION,
        agent: None,
        services: vec![service()],
        kept: Some(kept.clone()),
        heartbeat: Millis(50),
        lease: Millis(1_000),
    }
}

pub(super) struct Rig {
    store: Store,
    board: Arc<Board>,
    slot: Arc<Slot>,
    told: mpsc::Sender<Told>,
    beats: mpsc::UnboundedReceiver<Heartbeat>,
    grants: mpsc::UnboundedSender<Grant>,
    wishes: mpsc::Sender<Wish>,
    left: watch::Receiver<bool>,
    latest: u64,
    number: u64,
    pub(super) control_loss: ControlLoss,
    tasks: Vec<JoinHandle<()>>,
    disk_is_full: Arc<AtomicBool>,
    _place: tempfile::TempDir,
}

/// What a rig begins with.
#[derive(Default)]
pub(super) struct Setup {
    pub(super) kept: Kept,
    pub(super) questions: Option<Questions>,
    pub(super) full_disk: bool,
}

impl Rig {
    pub(super) fn start(setup: Setup) -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::open(place.path()).unwrap());
        let (mut file, _) = KeptFile::open(&folder, BOOT, NodeId(1), 1).unwrap();
        let disk_is_full = Arc::new(AtomicBool::new(setup.full_disk));
        let is_full = disk_is_full.clone();
        let write = move |kept: &Kept| match is_full.load(Ordering::SeqCst) {
            false => file.write(kept),
            true => Err(StateError::Damaged {
                path: "kept".into(),
                why: "the disk is full".to_owned(),
            }),
        };
        let store = Store::new(folder);
        let machine = Agent::new(start(&setup.kept), clock::now());
        let board = Arc::new(Board::new(machine, [service()].into_iter()));
        let (tell, told) = mpsc::channel(64);
        let (beat, beats) = mpsc::unbounded_channel();
        let (grants, granted) = mpsc::unbounded_channel();
        let (wishes, wished) = mpsc::channel(4);
        let (answer, answers) = mpsc::channel(64);
        let (tell_left, left) = watch::channel(false);
        let (set_pace, paced) = watch::channel(pace(Millis(50)));
        let slot = Arc::new(Slot::default());
        let driver = Box::new(store.clone());
        let instance = Instance::new(service(), driver, slot.clone(), tell.clone(), paced);
        let hands = Hands {
            books: BTreeMap::new(),
            slots: [(service(), slot.clone())].into(),
            keeper: Keeper::start(write).unwrap(),
            kept: setup.kept,
            answer,
            left: tell_left,
        };
        let runner = Runner::new(Parts {
            board: board.clone(),
            link: FakeLink {
                beats: beat,
                grants: granted,
            },
            carrier: Carrier::new(hands),
            told,
            questions: setup.questions,
            answers,
            wishes: wished,
            pace: set_pace,
        })
        .unwrap();
        let running = tokio::spawn(async move { runner.run().await.unwrap() });
        Self {
            store,
            board,
            slot,
            told: tell,
            beats,
            grants,
            wishes,
            left,
            latest: 0,
            number: 0,
            control_loss: ControlLoss::Fence,
            tasks: vec![running, tokio::spawn(instance.run())],
            disk_is_full,
            _place: place,
        }
    }

    /// The first heartbeat to come whose sign of the store is as wanted.
    pub(super) async fn beat(&mut self, wanted: impl Fn(&Sign) -> bool) -> Sign {
        let sought = async {
            loop {
                let beat = self.next_beat().await;
                if let Some(sign) = beat.signs.into_iter().find(&wanted) {
                    return sign;
                }
            }
        };
        timeout(BOUND, sought)
            .await
            .expect("such a heartbeat comes")
    }

    async fn next_beat(&mut self) -> Heartbeat {
        let beat = self.beats.recv().await.unwrap();
        assert!(beat.sequence > self.latest);
        self.latest = beat.sequence;
        beat
    }

    pub(super) async fn leaving_beat(&mut self) {
        let sought = async { while !self.next_beat().await.leaving {} };
        timeout(BOUND, sought).await.expect("it says so");
    }

    /// Grants in answer to the latest heartbeat.
    pub(super) fn grant(&mut self, lease: Millis, directive: Directive) {
        self.number += 1;
        let grant = Grant {
            server: ServerId(1),
            term: 1,
            number: self.number,
            member: member(1),
            session: SESSION,
            answers: self.latest,
            lease,
            heartbeat: Millis(50),
            drift_permille: 10,
            control_loss: self.control_loss,
            directives: vec![directive],
        };
        self.grants.send(grant).unwrap();
    }

    /// Grants until it serves: what answers a heartbeat before the latest that says that it is idle is void.
    pub(super) async fn promoted(&mut self, lease: Millis, directive: Directive) {
        let serves = async {
            loop {
                self.grant(lease, directive.clone());
                let beat = self.next_beat().await;
                if beat.signs.iter().any(|sign| sign.report.role.is_some()) {
                    return;
                }
            }
        };
        timeout(BOUND, serves).await.expect("it serves");
    }

    pub(super) fn actions(&self) -> Vec<Action> {
        self.store.lock().actions.clone()
    }

    /// Waits until the store was told to do something.
    pub(super) async fn acts(&self, wanted: impl Fn(&Action) -> bool) {
        let sought = async {
            while !self.actions().iter().any(&wanted) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let told = timeout(BOUND, sought).await;
        assert!(told.is_ok(), "never told; only {:?}", self.actions());
    }

    pub(super) fn store(&self) -> Observation {
        self.store.lock().seen.clone()
    }

    /// Lets the store show another role than it was told to take.
    pub(super) fn show(&self, role: Observed) {
        self.store.lock().seen.role = role;
    }

    pub(super) fn fill_disk(&self) {
        self.disk_is_full.store(true, Ordering::SeqCst);
    }

    /// Why what was promised cannot be kept.
    pub(super) fn trouble(&self) -> Option<String> {
        self.board.lock().unkept.clone()
    }

    pub(super) fn kept(&self) -> Option<KeptService> {
        kept(&self.store.folder)
    }

    pub(super) fn kept_when_promoted(&self) -> Option<KeptService> {
        self.store.lock().kept_when_promoted
    }

    pub(super) fn hang(&self, what: impl Fn(&Action) -> bool + Send + 'static) {
        self.store.lock().hangs = Some(Box::new(what));
    }

    pub(super) fn hang_looks(&self) {
        self.store.lock().looks_hang = true;
    }

    pub(super) fn exit(&self) {
        self.store.teller.say(Presence::Exited);
    }

    pub(super) fn primary_now(&self) -> bool {
        let inner = self.board.lock();
        inner.machine.primary_of(&service(), clock::now()).is_some()
    }

    pub(super) async fn leave(&self) {
        self.wishes.send(Wish::Leave).await.unwrap();
    }

    pub(super) fn has_left(&self) -> bool {
        *self.left.borrow()
    }

    pub(super) async fn left(&mut self) {
        let left = timeout(BOUND, self.left.wait_for(|left| *left)).await;
        left.expect("it leaves").unwrap();
    }

    /// Has the instance's task told to promote, by an authority that ends at that moment, a process that was
    /// seen as that run.
    pub(super) async fn order(&self, until: Moment, run: u64) -> Result<Feat, String> {
        let (tell, mut told) = mpsc::channel(64);
        let (_set_pace, paced) = watch::channel(Millis(1_000));
        let slot = Arc::new(Slot::default());
        let driver = Box::new(self.store.clone());
        let instance = Instance::new(service(), driver, slot.clone(), tell, paced);
        let task = tokio::spawn(instance.run());
        let first_look =
            async { while !matches!(told.recv().await.unwrap().what, News::Seen(_)) {} };
        timeout(BOUND, first_look).await.expect("it looks first");
        slot.put(Order {
            action: 1,
            what: Action::Promote {
                epoch: Epoch(1),
                write_acks: 0,
                strict: false,
            },
            until: Some(until),
            run,
        });
        let result = async {
            loop {
                if let News::Done { result, .. } = told.recv().await.unwrap().what {
                    return result;
                }
            }
        };
        let result = timeout(BOUND, result).await.expect("it is told");
        task.abort();
        result
    }

    pub(super) async fn stop(self) {
        self.wishes.send(Wish::Stop).await.unwrap();
        let [running, instance] = self.tasks.try_into().unwrap();
        timeout(BOUND, running).await.expect("it stops").unwrap();
        instance.abort();
        drop((self.slot, self.told));
    }
}
