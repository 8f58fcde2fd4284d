//! Checks over the whole: at the end of a life and the beginning of the next, and at the end of a world.

pub mod heal;
pub mod life;
