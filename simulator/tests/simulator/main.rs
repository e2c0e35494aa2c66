//! The simulator behaves as real servers are known to.

mod bodies;
mod client;
mod faults;
mod lifetime;
mod logon;
mod queries;
mod resources;
