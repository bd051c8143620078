//! Panics of other crates, which end in an error here: decoders meet bytes that nobody has met before.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is an error of its caller, and no message.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; a panic in it is returned and not printed. Panics of other threads are printed as ever.
///
/// # Errors
/// What the panic carries.
pub fn caught<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !CAUGHT.get() {
                hook(panic);
            }
        }));
    });
    let before = CAUGHT.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(before);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_returned() {
        assert_eq!(caught(|| 3).unwrap(), 3);
        let nested = caught(|| {
            let _ = caught(|| panic!("a"));
            assert!(CAUGHT.get());
            panic!("b")
        });
        let text = nested.map(|(): ()| ()).unwrap_err();
        assert_eq!(text.downcast_ref::<&str>(), Some(&"b"));
        assert!(!CAUGHT.get());
    }
}
