//! The pages. Each is a function from one [`context::Context`] to markup: no socket, no clock, no state. [`serve`], `act` and
//! [`live`] stand between them and the world.

mod act;
pub mod actions;
pub mod assets;
pub mod audit;
pub mod bulk;
pub mod channel;
pub mod channels;
pub mod clients;
pub mod confirm;
pub mod context;
pub mod counter;
pub mod help;
pub mod links;
pub mod live;
pub mod lookup;
pub mod node;
pub mod nodes;
pub mod overview;
pub mod part;
pub mod results;
pub mod search;
pub mod serve;
pub mod shell;
pub mod topic;
pub mod topics;
pub mod view;

#[cfg(test)]
mod tests;
