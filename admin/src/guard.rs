//! What stands before every request: sizes and times (`http`), names of the host, origins, users.

pub mod acl;
pub mod cidr;
pub mod csrf;
pub mod headers;
pub mod host;

pub use acl::Acl;
pub use cidr::Cidr;
