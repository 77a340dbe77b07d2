//! The work of the macros.

mod burn;
mod cpu;
mod daemon;
mod deaf;
mod healthy;
mod hold;
mod memory;
mod overrun;

use std::process::ExitCode;

pub(crate) use deaf::hang;
pub(crate) use healthy::{block_on, errand, future, thread};
pub(crate) use hold::{SLICE, hold};
pub(crate) use memory::MOST_OF_A_CORE;
pub(crate) use overrun::overrun;

use crate::arguments::WorkOrder;
use crate::process_table::register;
use crate::view;

/// Is a macro that runs as a process.
pub(crate) fn run(order: &WorkOrder) -> ExitCode {
    if let Err(e) = register::enter(&order.register, &order.kind) {
        view::complain(&format!("entering a process in {}: {e}", order.register.display()));
        return ExitCode::FAILURE;
    }
    match order.kind.as_str() {
        "cpu" => cpu::spin(order.amount),
        "memory" => memory::grow(order.amount),
        "healthy" => healthy::process(order.amount),
        "daemon" => daemon::parent(order),
        "daemon-between" => daemon::between(order),
        "daemon-child" => daemon::child(order),
        "daemon-more" => daemon::stay(),
        other => {
            view::complain(&format!("no macro does {other:?}"));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
