//! Tables of functions that are looked up in a library of the driver at run time.

/// Why the functions are not there.
#[derive(Debug)]
pub(super) enum Absent {
    /// The library is not on this machine, or cannot be opened.
    Library(libloading::Error),
    /// It is too old: this function is missing.
    Symbol(&'static str),
}

/// A struct of functions, which has all of them or does not exist. Every function returns a status, as a number: codes that a
/// newer driver has added are valid.
macro_rules! functions {
    ($(#[$about:meta])* $table:ident; $($name:ident = $symbol:literal: fn($($argument:ty),* $(,)?);)+) => {
        $(#[$about])*
        #[derive(Debug)]
        pub(super) struct $table {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) -> std::ffi::c_uint,)+
            _library: libloading::Library,
        }

        impl $table {
            fn of(library: libloading::Library) -> Result<$table, $crate::cuda::symbols::Absent> {
                Ok($table {
                    $($name: {
                        // SAFETY: the symbol is the library's function of that name, which has this signature.
                        let found = unsafe { library.get(concat!($symbol, "\0").as_bytes()) };
                        *found.map_err(|_| $crate::cuda::symbols::Absent::Symbol($symbol))?
                    },)+
                    _library: library,
                })
            }

            /// A table whose functions all are `stub`, for tests that replace those that matter.
            #[cfg(test)]
            #[allow(dead_code, reason = "not every table is played")]
            pub(super) fn of_stub(stub: extern "C" fn() -> std::ffi::c_uint) -> $table {
                let library = libloading::Library::from(libloading::os::unix::Library::this());
                $table {
                    // SAFETY: a C function that takes no arguments ignores those that it is called with.
                    $($name: unsafe {
                        std::mem::transmute::<
                            extern "C" fn() -> std::ffi::c_uint,
                            unsafe extern "C" fn($($argument),*) -> std::ffi::c_uint,
                        >(stub)
                    },)+
                    _library: library,
                }
            }
        }
    };
}

pub(super) use functions;
