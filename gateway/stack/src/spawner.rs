//! The one thread that starts servers.
//!
//! On Linux a server is told to end when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG), so that a
//! killed `xagent` leaves none behind. That thread must therefore live as long as the process.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};

type Order = (Command, SyncSender<io::Result<Child>>);

static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();

/// Starts a command on the thread that lives as long as the process.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    let (answer, answered) = sync_channel(1);
    let spawner = SPAWNER.get_or_init(|| Mutex::new(begin()));
    let sent = spawner.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer));
    let gone = || io::Error::other("the thread that starts servers is gone");
    sent.map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}

fn begin() -> Sender<Order> {
    let (orders, inbox) = channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            // Who ordered may have given up; then nobody waits for the answer.
            let _unheard = answer.send(command.spawn());
        }
    });
    orders
}
