//! Where C calls in: no panic leaves, and every error becomes a status.

use std::panic::{AssertUnwindSafe, catch_unwind};

use haltline::{Error, ErrorKind, Result};

use crate::last_error;
use crate::status::hl_status;

/// Runs a fallible call. Its error is kept for `hl_last_error`.
pub(crate) fn enter(call: impl FnOnce() -> Result<()>) -> hl_status {
    let error = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return hl_status::HL_OK,
        Ok(Err(error)) => error,
        Err(panic) => {
            let message = format!("a defect of haltline: {}", panic_text(&*panic));
            // Dropping what was thrown could throw again.
            std::mem::forget(panic);
            Error::new(ErrorKind::Panicked, message)
        }
    };
    last_error::set(&error);
    hl_status::from(error.kind())
}

/// Runs a call that has no way to fail but a defect; then `otherwise` is the answer.
pub(crate) fn enter_or<T>(otherwise: T, call: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        std::mem::forget(panic);
        otherwise
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_with_its_message() {
        assert_eq!(enter(|| panic!("out of {}", "mana")), hl_status::HL_PANICKED);
        assert_eq!(last_error::message(), "a defect of haltline: out of mana");
        assert!(enter_or(true, || panic!("silently")));
    }

    #[test]
    fn an_error_keeps_its_kind_and_its_message_and_a_success_erases_neither() {
        let status = enter(|| Err(Error::new(ErrorKind::UnknownTask, "no task 7")));
        assert_eq!(status, hl_status::HL_UNKNOWN_TASK);
        assert_eq!(enter(|| Ok(())), hl_status::HL_OK);
        assert_eq!(last_error::message(), "no task 7");
    }
}
