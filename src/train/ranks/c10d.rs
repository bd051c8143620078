//! libtorch's c10d, by way of the C functions of `c10d.cpp`: the store of keys that all processes share, and sums and copies
//! of tensors over them.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{NonNull, null, null_mut};
use std::time::Duration;

use tch::Tensor;

/// What c10d says of a failure, in one line.
pub(super) type Result<T> = std::result::Result<T, String>;

#[repr(C)]
struct RawStore(u8);
#[repr(C)]
struct RawGroup(u8);
#[repr(C)]
struct RawWork(u8);

// SAFETY: the signatures of `c10d.cpp`; `tensor` is libtorch's `at::Tensor`, which `Tensor::as_ptr` points to.
unsafe extern "C" {
    fn unbraid_store_open(
        host: *const c_char,
        port: u16,
        is_server: bool,
        prefix: *const c_char,
        timeout_ms: i64,
        error: *mut *mut c_char,
    ) -> *mut RawStore;
    fn unbraid_store_port(store: *const RawStore) -> u16;
    fn unbraid_store_set(
        store: *mut RawStore,
        key: *const c_char,
        value: *const u8,
        length: usize,
        error: *mut *mut c_char,
    ) -> bool;
    fn unbraid_store_has(store: *mut RawStore, key: *const c_char, error: *mut *mut c_char)
    -> bool;
    fn unbraid_store_get(
        store: *mut RawStore,
        key: *const c_char,
        length: *mut usize,
        error: *mut *mut c_char,
    ) -> *mut u8;
    fn unbraid_store_count(
        store: *mut RawStore,
        key: *const c_char,
        error: *mut *mut c_char,
    ) -> i64;
    fn unbraid_store_close(store: *mut RawStore);
    fn unbraid_group_open(
        store: *mut RawStore,
        rank: c_int,
        size: c_int,
        interface: *const c_char,
        host: *const c_char,
        timeout_ms: i64,
        error: *mut *mut c_char,
    ) -> *mut RawGroup;
    fn unbraid_group_sum(
        group: *mut RawGroup,
        tensor: *const std::ffi::c_void,
        error: *mut *mut c_char,
    ) -> *mut RawWork;
    fn unbraid_group_copy(
        group: *mut RawGroup,
        tensor: *const std::ffi::c_void,
        error: *mut *mut c_char,
    ) -> *mut RawWork;
    fn unbraid_work_wait(work: *mut RawWork, timeout_ms: i64, error: *mut *mut c_char) -> bool;
    fn unbraid_work_close(work: *mut RawWork);
}

/// Calls a function of `c10d.cpp` with a place for its error.
fn call<T>(function: impl FnOnce(*mut *mut c_char) -> T) -> Result<T> {
    let mut error = null_mut();
    let value = function(&mut error);
    let Some(text) = NonNull::new(error) else {
        return Ok(value);
    };
    // SAFETY: an error is a NUL-terminated string of malloc, which nobody else frees.
    unsafe {
        let first = CStr::from_ptr(text.as_ptr())
            .to_string_lossy()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end_matches(['.', ' '])
            .to_string();
        libc::free(text.as_ptr().cast());
        Err(first)
    }
}

fn text(of: &str) -> Result<CString> {
    CString::new(of).map_err(|_| format!("a text with a NUL byte: {of}"))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A connection to the store.
#[derive(Debug)]
pub(super) struct Store(NonNull<RawStore>);

// SAFETY: TCPStore takes a lock for each request.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Connects to the store at a host, of which all keys begin with `prefix`; with `is_server` the store itself is in this
    /// process, at a free port where `port` is 0.
    pub(super) fn open(
        host: &str,
        port: u16,
        is_server: bool,
        prefix: &str,
        timeout: Duration,
    ) -> Result<Self> {
        let (host, prefix) = (text(host)?, text(prefix)?);
        let timeout = milliseconds(timeout);
        // SAFETY: both texts outlive the call.
        let store = call(|error| unsafe {
            unbraid_store_open(
                host.as_ptr(),
                port,
                is_server,
                prefix.as_ptr(),
                timeout,
                error,
            )
        })?;
        NonNull::new(store).map(Self).ok_or("no store".into())
    }

    /// The port of the store.
    pub(super) fn port(&self) -> u16 {
        // SAFETY: the pointer is valid until `drop`.
        unsafe { unbraid_store_port(self.0.as_ptr()) }
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let key = text(key)?;
        // SAFETY: key and value outlive the call.
        call(|error| unsafe {
            unbraid_store_set(
                self.0.as_ptr(),
                key.as_ptr(),
                value.as_ptr(),
                value.len(),
                error,
            )
        })?;
        Ok(())
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = text(key)?;
        // SAFETY: the key outlives the call.
        if !call(|error| unsafe { unbraid_store_has(self.0.as_ptr(), key.as_ptr(), error) })? {
            return Ok(None);
        }
        let mut length = 0;
        // SAFETY: as above; a value is `length` bytes of malloc, which nobody else frees.
        unsafe {
            let value =
                call(|error| unbraid_store_get(self.0.as_ptr(), key.as_ptr(), &mut length, error))?;
            let copy = std::slice::from_raw_parts(value, length).to_vec();
            libc::free(value.cast());
            Ok(Some(copy))
        }
    }

    /// 1 for the first caller with this key, 2 for the second.
    pub(super) fn count(&self, key: &str) -> Result<i64> {
        let key = text(key)?;
        // SAFETY: the key outlives the call.
        call(|error| unsafe { unbraid_store_count(self.0.as_ptr(), key.as_ptr(), error) })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: nobody uses the pointer any more.
        unsafe { unbraid_store_close(self.0.as_ptr()) }
    }
}

/// The network that tensors travel by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Network {
    /// An interface by its name.
    Interface(String),
    /// The interface with this address.
    Host(String),
    /// That of this machine's name.
    Default,
}

/// Connections to all other processes. They stay open until the process ends: closing them waits for what is under way, which
/// never ends after a failure.
#[derive(Debug)]
pub(super) struct Group(NonNull<RawGroup>);

// SAFETY: ProcessGroupGloo queues its work under a lock.
unsafe impl Send for Group {}
// SAFETY: as above.
unsafe impl Sync for Group {}

impl Group {
    /// Connects to `size` processes, which all call this.
    pub(super) fn open(
        store: &Store,
        rank: usize,
        size: usize,
        network: &Network,
        timeout: Duration,
    ) -> Result<Self> {
        let (interface, host) = match network {
            Network::Interface(name) => (Some(text(name)?), None),
            Network::Host(host) => (None, Some(text(host)?)),
            Network::Default => (None, None),
        };
        let pointer = |text: &Option<CString>| text.as_ref().map_or(null(), |text| text.as_ptr());
        // SAFETY: store and texts outlive the call.
        let group = call(|error| unsafe {
            unbraid_group_open(
                store.0.as_ptr(),
                rank as c_int,
                size as c_int,
                pointer(&interface),
                pointer(&host),
                milliseconds(timeout),
                error,
            )
        })?;
        NonNull::new(group).map(Self).ok_or("no group".into())
    }

    /// Begins to replace a contiguous tensor on the CPU by its sum over all processes.
    pub(super) fn sum(&self, tensor: &Tensor) -> Result<Work> {
        // SAFETY: both pointers are valid; c10d keeps a reference to the tensor's storage.
        let work = call(|error| unsafe {
            unbraid_group_sum(self.0.as_ptr(), tensor.as_ptr().cast(), error)
        })?;
        NonNull::new(work).map(Work).ok_or("no work".into())
    }

    /// Begins to replace a contiguous tensor on the CPU by that of rank 0.
    pub(super) fn copy(&self, tensor: &Tensor) -> Result<Work> {
        // SAFETY: as above.
        let work = call(|error| unsafe {
            unbraid_group_copy(self.0.as_ptr(), tensor.as_ptr().cast(), error)
        })?;
        NonNull::new(work).map(Work).ok_or("no work".into())
    }
}

/// What is under way.
#[derive(Debug)]
pub(super) struct Work(NonNull<RawWork>);

impl Work {
    /// Whether it is done after at most `timeout`.
    pub(super) fn wait(&self, timeout: Duration) -> Result<bool> {
        let timeout = milliseconds(timeout);
        // SAFETY: the pointer is valid until `drop`.
        call(|error| unsafe { unbraid_work_wait(self.0.as_ptr(), timeout, error) })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: nobody uses the pointer any more; c10d has its own reference to what is not done yet.
        unsafe { unbraid_work_close(self.0.as_ptr()) }
    }
}
