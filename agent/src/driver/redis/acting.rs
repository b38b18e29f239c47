//! The connection on which actions are sent, and what becomes of those that nobody waited for.
//!
//! A command that was sent and not answered may lie in the socket of an instance that is frozen, and
//! be obeyed when it wakes, after something else was told. So the first thing that is said on the next
//! connection is that the earlier one be closed, with whatever it still holds.

use std::time::Duration;

use redis::{Pipeline, Value};

use super::line::{Dial, Line, Trouble};

/// More than can be under way at a time: each is closed by the next one that is answered.
const ABANDONED_MAX: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Acting {
    line: Option<Line>,
    /// The addresses of connections on which something may still be read by the instance.
    abandoned: Vec<String>,
}

impl Acting {
    /// Whether there is a connection that can be used at once.
    pub(super) fn is_warm(&self) -> bool {
        self.line.as_ref().is_some_and(|line| !line.is_closed())
    }

    /// Connects, so that the next action need not.
    pub(super) async fn warm_up(&mut self, dial: &Dial) {
        if !self.is_warm() {
            self.line = dial.line().await.ok();
        }
    }

    /// Asks on the warm connection, or on a fresh one when there is none or it turns out to be closed.
    /// What is asked must bear being asked twice. Whoever drops the future has abandoned the question.
    pub(super) async fn ask(
        &mut self,
        dial: &Dial,
        pipe: &Pipeline,
        within: Duration,
    ) -> Result<Vec<Value>, Trouble> {
        if let Some(line) = self.line.take().filter(|line| !line.is_closed()) {
            match self.ask_on(line, pipe, within).await {
                Err(Trouble::Refused | Trouble::Unreachable(_) | Trouble::Denied(_)) => {}
                done => return done,
            }
        }
        let line = dial.line().await?;
        self.ask_on(line, pipe, within).await
    }

    /// Asks on the connection on which the latest question was answered, and on no other: it is the same
    /// process that answers.
    pub(super) async fn ask_the_same(
        &mut self,
        pipe: &Pipeline,
        within: Duration,
    ) -> Result<Vec<Value>, Trouble> {
        match self.line.take() {
            Some(line) => self.ask_on(line, pipe, within).await,
            None => Err(Trouble::Unreachable(
                "the connection has ended meanwhile".to_owned(),
            )),
        }
    }

    async fn ask_on(
        &mut self,
        mut line: Line,
        pipe: &Pipeline,
        within: Duration,
    ) -> Result<Vec<Value>, Trouble> {
        let mut whole = Pipeline::new();
        for address in &self.abandoned {
            whole.cmd("CLIENT").arg("KILL").arg("ADDR").arg(address);
        }
        let kills = whole.len();
        for command in pipe.cmd_iter() {
            whole.add_command(command.clone());
        }
        if self.abandoned.len() == ABANDONED_MAX {
            self.abandoned.remove(0);
        }
        self.abandoned.extend(line.address());
        let mut answers = line.ask(&whole, within).await?;
        self.abandoned.clear();
        self.line = Some(line);
        // One that is closed already is refused, which is as good.
        Ok(answers.split_off(kills.min(answers.len())))
    }
}
