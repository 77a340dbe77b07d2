//! Which version of the interface this is.

use std::ffi::c_char;

/// The version of this interface. It rises when a program that was built against an older header has to be built
/// anew; additions do not raise it.
pub const HL_ABI_VERSION: u32 = 1;

/// The version of the interface that the library has. A program that loads it by itself compares this with
/// HL_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn hl_abi_version() -> u32 {
    HL_ABI_VERSION
}

/// The release of the library, such as "1.2.0". Never NULL; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn hl_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
