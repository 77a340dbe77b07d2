//! Hides a grandchild the way a daemon is made: a double fork, a session of its own, a parent that is dead.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::arguments::WorkOrder;
use crate::process_table::register;
use crate::system;
use crate::view;

const PAUSE: Duration = Duration::from_millis(5);

/// Starts the process between, and waits for it as a shell would.
pub(super) fn parent(order: &WorkOrder) {
    start(order, "daemon-between", 0);
    wait_for_ever();
}

/// Leads a session of its own, starts the daemon in it, and dies.
pub(super) fn between(order: &WorkOrder) {
    system::detach();
    start(order, "daemon-child", std::process::id().into());
}

/// Waits until its parent is dead, says so, and starts more like itself.
pub(super) fn child(order: &WorkOrder) {
    system::ignore_term();
    while u64::from(system::parent()) == order.amount {
        std::thread::sleep(PAUSE);
    }
    let _ = register::enter(&order.register, register::ORPHAN);
    for _ in 0..3 {
        start(order, "daemon-more", 0);
    }
    wait_for_ever();
}

/// Is one more.
pub(super) fn stay() {
    system::ignore_term();
    wait_for_ever();
}

fn wait_for_ever() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn start(order: &WorkOrder, kind: &str, amount: u64) {
    let started = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["--work", kind])
            .arg(&order.register)
            .arg(amount.to_string())
            .stdin(Stdio::null())
            .spawn()
    });
    match started {
        // The one between dies at once and is waited for; the others are not this process's to wait for.
        Ok(mut child) if kind == "daemon-between" => {
            let _ = child.wait();
        }
        Ok(_) => {}
        Err(e) => view::complain(&format!("starting {kind}: {e}")),
    }
}
