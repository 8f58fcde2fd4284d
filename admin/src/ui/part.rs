//! Parts of pages.

pub mod badge;
pub mod chart;
pub mod finding;
pub mod number;
pub mod raw;
pub mod spark;
pub mod table;
