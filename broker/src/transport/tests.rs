//! One suite for both drivers, over real sockets of the loopback.

mod closing;
mod descriptors;
mod files;
mod harness;
mod moving;
mod sleeping;
mod streams;

/// Makes a test of each named function, once per driver.
macro_rules! on_both_drivers {
    ($($name:ident),* $(,)?) => {
        mod ring {
            $(#[test] fn $name() { super::$name::<crate::transport::RingTransport>(); })*
        }
        mod plain {
            $(#[test] fn $name() { super::$name::<crate::transport::PlainTransport>(); })*
        }
    };
}
use on_both_drivers;
