//! The one place where pointers of C become Rust values and back.
//!
//! Each type that C holds has one kind of ownership, [`Boxed`] or [`Counted`], and the functions that give out and
//! take back exist for one kind each, so freeing a handle the wrong way does not compile. The macros name the
//! parameter that was `NULL` or malformed after the argument itself.

use std::ffi::{OsStr, c_char};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use haltline::{Error, ErrorKind, Result};

/// One holder: what was given out is taken back once.
pub(crate) enum Boxed {}

/// Any number of holders, each of which lets go once.
pub(crate) enum Counted {}

/// A type that C holds by an opaque pointer. Every thread of C may use it, so it is `Sync`.
pub(crate) trait Handle: Send + Sync + Sized + 'static {
    /// [`Boxed`] or [`Counted`].
    type Ownership;
}

/// Gives a value out to its one holder.
pub(crate) fn give<T: Handle<Ownership = Boxed>>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Takes back what [`give`] gave. `NULL` is nothing.
///
/// # Safety
/// `pointer` is `NULL`, or came from `give`, was not taken back before and is not in use.
pub(crate) unsafe fn take<T: Handle<Ownership = Boxed>>(pointer: *mut T) -> Option<Box<T>> {
    // SAFETY: as promised by the caller, this is the one owner.
    (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
}

/// Gives out one more share of a value.
pub(crate) fn share<T: Handle<Ownership = Counted>>(value: Arc<T>) -> *const T {
    Arc::into_raw(value)
}

/// One more share of what is held through `pointer`.
///
/// # Safety
/// `pointer` came from [`share`] and that share was not let go.
pub(crate) unsafe fn share_again<T: Handle<Ownership = Counted>>(pointer: NonNull<T>) -> *const T {
    // SAFETY: as promised by the caller, the count is one or more.
    unsafe { Arc::increment_strong_count(pointer.as_ptr()) };
    pointer.as_ptr()
}

/// Takes back a share. `NULL` is nothing.
///
/// # Safety
/// `pointer` is `NULL`, or came from [`share`] or [`share_again`] and was not let go before.
pub(crate) unsafe fn let_go<T: Handle<Ownership = Counted>>(pointer: *const T) -> Option<Arc<T>> {
    // SAFETY: as promised by the caller, this share is the caller's.
    (!pointer.is_null()).then(|| unsafe { Arc::from_raw(pointer) })
}

/// Looks through a handle.
///
/// # Safety
/// `pointer` is `NULL` or a handle that is valid for as long as the result is used.
#[inline]
pub(crate) unsafe fn look<'a, T: Handle>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: as promised by the caller; handles are only ever looked at through shared references.
    unsafe { pointer.as_ref() }
}

/// Reads `length` bytes.
///
/// # Safety
/// `pointer` is `NULL`, or `length` bytes can be read from it for as long as the result is used.
pub(crate) unsafe fn read<'a>(pointer: *const u8, length: usize, parameter: &str) -> Result<&'a [u8]> {
    let pointer = not_null(pointer.cast_mut(), parameter)?;
    if length > isize::MAX as usize {
        return Err(refused(parameter, "its length is larger than any object can be"));
    }
    // SAFETY: as promised by the caller, and the length was checked.
    Ok(unsafe { std::slice::from_raw_parts(pointer.as_ptr(), length) })
}

/// Reads a text.
///
/// # Safety
/// As [`read`].
pub(crate) unsafe fn read_text<'a>(
    pointer: *const c_char,
    length: usize,
    parameter: &str,
) -> Result<&'a str> {
    // SAFETY: as promised by the caller.
    let bytes = unsafe { read(pointer.cast(), length, parameter) }?;
    std::str::from_utf8(bytes)
        .map_err(|e| refused(parameter, &format!("it is not UTF-8 at byte {}", e.valid_up_to())).because(e))
}

/// Reads what the system takes as a name: on Unix any bytes but NUL, elsewhere UTF-8 without NUL.
///
/// # Safety
/// As [`read`].
pub(crate) unsafe fn read_os<'a>(
    pointer: *const c_char,
    length: usize,
    parameter: &str,
) -> Result<&'a OsStr> {
    // SAFETY: as promised by the caller.
    let bytes = unsafe { read(pointer.cast(), length, parameter) }?;
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        return Err(refused(parameter, &format!("it holds a NUL at byte {at}")));
    }
    #[cfg(unix)]
    return Ok(std::os::unix::ffi::OsStrExt::from_bytes(bytes));
    #[cfg(not(unix))]
    // SAFETY: as promised by the caller.
    return unsafe { read_text(pointer, length, parameter) }.map(OsStr::new);
}

/// A place for a result, known not to be `NULL`. It is never read.
pub(crate) struct Out<'a, T> {
    place: NonNull<T>,
    caller: PhantomData<&'a mut T>,
}

impl<T> Out<'_, T> {
    /// # Safety
    /// `place` is `NULL`, or can be written to for as long as the result is used.
    pub(crate) unsafe fn new(place: *mut T, parameter: &str) -> Result<Self> {
        Ok(Out { place: not_null(place, parameter)?, caller: PhantomData })
    }

    /// Stores the result.
    pub(crate) fn set(self, value: T) {
        // SAFETY: `new` was promised a place that can be written to.
        unsafe { self.place.as_ptr().write(value) }
    }
}

/// A caller's buffer for bytes, and the place for how many there are.
pub(crate) struct Buffer<'a> {
    bytes: *mut u8,
    length: usize,
    needed: *mut usize,
    caller: PhantomData<&'a mut u8>,
}

impl Buffer<'_> {
    /// # Safety
    /// `length` bytes can be written to `bytes`, or `length` is zero; `needed` is `NULL` or can be written to.
    pub(crate) unsafe fn new(bytes: *mut u8, length: usize, needed: *mut usize) -> Result<Self> {
        if length > 0 {
            not_null(bytes, "buf")?;
        }
        Ok(Buffer { bytes, length, needed, caller: PhantomData })
    }

    /// Copies bytes, all or none, and says how many they are in either case.
    pub(crate) fn fill(self, content: &[u8]) -> Result<()> {
        self.copy(content, content.len())
    }

    /// Copies a text and its closing NUL, all or none, and says how many bytes that is in either case.
    pub(crate) fn fill_text(self, text: &str) -> Result<()> {
        let (bytes, length) = (self.bytes, self.length);
        self.copy(text.as_bytes(), text.len() + 1)?;
        if length > text.len() {
            // SAFETY: `new` was promised `length` bytes, and this is one of them.
            unsafe { bytes.add(text.len()).write(0) };
        }
        Ok(())
    }

    fn copy(self, content: &[u8], needed: usize) -> Result<()> {
        if !self.needed.is_null() {
            // SAFETY: `new` was promised a place that can be written to.
            unsafe { self.needed.write(needed) };
        }
        if needed > self.length {
            let message = format!("buf has {} bytes and {needed} are needed", self.length);
            return Err(Error::new(ErrorKind::BufferTooSmall, message));
        }
        if needed > 0 {
            // SAFETY: `new` was promised `length` bytes, no fewer than are copied; Rust's memory does not overlap C's.
            unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), self.bytes, content.len()) };
        }
        Ok(())
    }
}

/// A structure whose first field is its size as the caller knows it, so that it can grow.
///
/// # Safety
/// It is `repr(C)`, begins with a `usize`, and is valid when all its bytes are zero.
pub(crate) unsafe trait Versioned: Copy {}

/// Reads a structure that may be shorter or longer than this version of it. What it lacks is zero; what it has
/// beyond must be zero, because it asks for something that this version does not know.
///
/// # Safety
/// `pointer` is `NULL`, or as many bytes can be read from it as its first field says.
pub(crate) unsafe fn read_versioned<T: Versioned>(pointer: *const T, parameter: &str) -> Result<T> {
    let bytes = not_null(pointer.cast_mut(), parameter)?.as_ptr().cast::<u8>();
    let known = size_of::<T>();
    // SAFETY: as promised by the caller and by `Versioned`.
    let size = unsafe { checked_size(bytes, parameter) }?;
    // SAFETY: as promised by the caller.
    let beyond = (known..size).find(|&at| unsafe { bytes.add(at).read() } != 0);
    if let Some(at) = beyond {
        let why = format!("its byte {at} is set, and this version knows {known} bytes only");
        return Err(refused(parameter, &why));
    }
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: both sides have the smaller of the two sizes, and `Versioned` promises that zero bytes are valid.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes, value.as_mut_ptr().cast(), size.min(known));
        Ok(value.assume_init())
    }
}

/// A place for a structure of which the caller may know fewer fields.
pub(crate) struct VersionedOut<'a, T> {
    bytes: *mut u8,
    size: usize,
    caller: PhantomData<&'a mut T>,
}

impl<T: Versioned> VersionedOut<'_, T> {
    /// # Safety
    /// `place` is `NULL`, or as many bytes can be written to it as its first field says.
    pub(crate) unsafe fn new(place: *mut T, parameter: &str) -> Result<Self> {
        let bytes = not_null(place, parameter)?.as_ptr().cast::<u8>();
        // SAFETY: as promised by the caller and by `Versioned`.
        let size = unsafe { checked_size(bytes, parameter) }?;
        Ok(VersionedOut { bytes, size, caller: PhantomData })
    }

    /// Stores the fields that the caller knows, the size excepted.
    pub(crate) fn set(self, value: T) {
        let first = size_of::<usize>();
        let count = self.size.min(size_of::<T>()) - first;
        let source = (&raw const value).cast::<u8>();
        // SAFETY: both sides have at least `first + count` bytes.
        unsafe { std::ptr::copy_nonoverlapping(source.add(first), self.bytes.add(first), count) };
    }
}

/// # Safety
/// A `usize` can be read from `bytes`.
unsafe fn checked_size(bytes: *const u8, parameter: &str) -> Result<usize> {
    // SAFETY: as promised by the caller.
    let size = unsafe { bytes.cast::<usize>().read() };
    if size < size_of::<usize>() || size > 4096 {
        let why = format!("its struct_size is {size}; set it to sizeof of the structure");
        return Err(refused(parameter, &why));
    }
    Ok(size)
}

/// Refuses `NULL` by the name of its parameter.
pub(crate) fn not_null<T>(pointer: *mut T, parameter: &str) -> Result<NonNull<T>> {
    NonNull::new(pointer).ok_or_else(|| null(parameter))
}

/// The error for a `NULL` where something is needed.
#[cold]
pub(crate) fn null(parameter: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{parameter} is NULL"))
}

#[cold]
fn refused(parameter: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{parameter} cannot be taken: {why}"))
}

/// `&T` of a handle, or an early return that names it.
macro_rules! handle {
    ($pointer:ident) => {{
        // SAFETY: the header asks callers for valid handles.
        match unsafe { $crate::pointer::look($pointer) } {
            Some(handle) => handle,
            None => return Err($crate::pointer::null(stringify!($pointer))),
        }
    }};
}

/// `&str` of a pointer and a length, or an early return that names it.
macro_rules! text {
    ($pointer:ident, $length:expr) => {{
        // SAFETY: the header asks callers for texts that can be read.
        unsafe { $crate::pointer::read_text($pointer, $length, stringify!($pointer)) }?
    }};
}

/// `&OsStr` of a pointer and a length, or an early return that names it.
macro_rules! os {
    ($pointer:ident, $length:expr) => {{
        // SAFETY: the header asks callers for texts that can be read.
        unsafe { $crate::pointer::read_os($pointer, $length, stringify!($pointer)) }?
    }};
}

/// [`Out`] of a pointer, or an early return that names it.
macro_rules! out {
    ($pointer:ident) => {{
        // SAFETY: the header asks callers for places that can be written to.
        unsafe { $crate::pointer::Out::new($pointer, stringify!($pointer)) }?
    }};
}

/// [`Buffer`] of the three usual parameters, or an early return.
macro_rules! buffer {
    ($bytes:ident, $length:ident, $needed:ident) => {{
        // SAFETY: the header asks callers for buffers that can be written to.
        unsafe { $crate::pointer::Buffer::new($bytes.cast::<u8>(), $length, $needed) }?
    }};
}

pub(crate) use {buffer, handle, os, out, text};
