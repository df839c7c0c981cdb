//! Ending a job from another thread.

use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Running(Child),
    Stopped,
}

/// Ends a job, now or as soon as it starts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Mutex<State>>);

impl Stop {
    /// Ends the job. Its first process takes all others with it.
    pub fn stop(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Running(child) = &mut *state {
            end(child);
        }
        *state = State::Stopped;
    }

    /// Whether it was ended.
    pub fn is_stopped(&self) -> bool {
        matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), State::Stopped)
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn guard(&self, mut child: Child) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Stopped => end(&mut child),
            State::Idle | State::Running(_) => *state = State::Running(child),
        }
    }

    /// Ends what is left and waits for it, so that it is gone.
    #[cfg(target_os = "linux")]
    pub(crate) fn finished(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Running(child) = &mut *state {
            end(child);
            *state = State::Idle;
        }
    }
}

fn end(child: &mut Child) {
    // It has ended already, or it ends now.
    let _ended = child.kill();
    let _waited = child.wait();
}
