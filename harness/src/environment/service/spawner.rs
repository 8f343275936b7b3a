//! One thread that starts every service process of this program and outlives them all.
//!
//! The kernel ties a child's parent-death signal to the *thread* that made the child. A service
//! that is started again by a short-lived thread would die with it, so all are started here.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

type Order = (Command, Sender<io::Result<Child>>);

static ORDERS: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();

/// Starts `command` from the thread that never ends.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let orders = ORDERS.get_or_init(|| {
        let (orders, received) = channel::<Order>();
        // Without the thread every order below fails, and says so.
        let _ = std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, answered) = channel();
    let gone = || io::Error::other("the thread that starts services is gone");
    let orders = orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
    orders.send((command, answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}
