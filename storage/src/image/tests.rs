//! What a crash between any two steps leaves.

use std::fmt;
use std::sync::Mutex;

use super::checkpoint::Step;

type Observer = Box<dyn FnMut(Step) + Send>;

/// Calls back at each step.
#[derive(Default)]
pub(crate) struct Steps(Mutex<Option<Observer>>);

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}

impl Steps {
    pub(super) fn reached(&self, step: Step) {
        if let Some(observer) = self.0.lock().expect("observer").as_mut() {
            observer(step);
        }
    }

    pub(super) fn observe(&self, observer: impl FnMut(Step) + Send + 'static) {
        *self.0.lock().expect("observer") = Some(Box::new(observer));
    }
}
