//! A store that does what it is told, and what a test has it do.

use std::sync::{Arc, Mutex, MutexGuard};

use tenure_core::agent::{Action, Feat, KeptService, Observation, Observed};
use tenure_core::{Health, NodeId, Note, Position, Presence};

use super::rig::{BOOT, service};
use crate::driver::{Doing, Driver, DriverError, PresenceTeller, PresenceWatch};
use crate::state::{Folder, KeptFile};

type Matches = Box<dyn Fn(&Action) -> bool + Send>;

/// What the store is told, and how it behaves.
pub(super) struct Inner {
    pub(super) seen: Observation,
    pub(super) actions: Vec<Action>,
    pub(super) kept_when_promoted: Option<KeptService>,
    pub(super) hangs: Option<Matches>,
    pub(super) looks_hang: bool,
}

#[derive(Clone)]
pub(super) struct Store {
    pub(super) inner: Arc<Mutex<Inner>>,
    pub(super) teller: PresenceTeller,
    pub(super) folder: Arc<Folder>,
}

impl Store {
    pub(super) fn new(folder: Arc<Folder>) -> Self {
        let store = Self {
            inner: Arc::new(Mutex::new(Inner {
                seen: Observation {
                    presence: Presence::Running,
                    run: 1,
                    health: Health::Healthy,
                    role: Observed::Fenced,
                    position: Some(Position {
                        history: Note::new("h").unwrap(),
                        offset: 7,
                    }),
                    ..Observation::nothing()
                },
                actions: Vec::new(),
                kept_when_promoted: None,
                hangs: None,
                looks_hang: false,
            })),
            teller: PresenceTeller::new(),
            folder,
        };
        store.teller.say(Presence::Running);
        store
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

/// What was kept until now.
pub(super) fn kept(folder: &Folder) -> Option<KeptService> {
    let (_, kept) = KeptFile::open(folder, BOOT, NodeId(1), 1).unwrap();
    kept?.services.get(&service()).copied()
}

impl Driver for Store {
    fn observe(&mut self) -> Doing<'_, Observation> {
        Box::pin(async {
            if self.lock().looks_hang {
                std::future::pending::<()>().await;
            }
            self.lock().seen.clone()
        })
    }

    fn act(&mut self, action: Action) -> Doing<'_, Result<Feat, DriverError>> {
        Box::pin(async move {
            self.lock().actions.push(action.clone());
            let hangs = self.lock().hangs.as_ref().is_some_and(|it| it(&action));
            if hangs {
                std::future::pending::<()>().await;
            }
            let position = self.lock().seen.position.clone();
            let (role, feat) = match action {
                Action::Promote { .. } => {
                    let kept = kept(&self.folder);
                    self.lock().kept_when_promoted = kept;
                    (Observed::Writable, Feat::Done)
                }
                Action::Fence { .. } => (Observed::Fenced, Feat::At(position)),
                Action::Follow { .. } => {
                    (Observed::Following { linked: true }, Feat::Follows(None))
                }
                Action::Permit { .. } => (Observed::Writable, Feat::Permits(position)),
                Action::Detach
                | Action::Quiesce { .. }
                | Action::Resume
                | Action::Measure
                | Action::Probe { .. } => panic!("no test has it do {action:?}"),
            };
            self.lock().seen.role = role;
            Ok(feat)
        })
    }

    fn presence(&mut self) -> PresenceWatch {
        self.teller.watch()
    }
}
