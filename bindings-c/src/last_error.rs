//! The sentence of the last error of each thread.

use std::cell::RefCell;

use haltline::Error;

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the sentence of `error`. A thread that is already tearing down its locals keeps none.
pub(crate) fn set(error: &Error) {
    let _ = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        last.clear();
        last.push_str(error.message());
    });
}

/// The sentence of the last error on this thread; empty if there was none.
pub(crate) fn message() -> String {
    LAST.try_with(|last| last.borrow().clone()).unwrap_or_default()
}

/// Puts back a sentence that a failing look at it has replaced.
pub(crate) fn restore(message: String) {
    let _ = LAST.try_with(|last| *last.borrow_mut() = message);
}
