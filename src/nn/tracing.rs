//! Whether libtorch records operations for a module (`unbraid export`), which then has to do with those that it knows.

use std::cell::Cell;

thread_local! {
    static AS_TRACED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `run` with the operations that a traced module has, so that it gives the same numbers.
pub(crate) fn as_traced<T>(run: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            AS_TRACED.set(self.0);
        }
    }
    let _restore = Restore(AS_TRACED.replace(true));
    run()
}

/// Whether libtorch records operations for a module, or they are to be those of one.
pub(super) fn is_tracing() -> bool {
    AS_TRACED.get() || unbraid_is_tracing()
}

// SAFETY: the signature of `norm_act.cpp`.
unsafe extern "C" {
    safe fn unbraid_is_tracing() -> bool;
}
