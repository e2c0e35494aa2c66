//! The simulator behaves as real servers are known to.

mod bodies;
mod client;
mod connections;
mod faults;
mod lifetime;
mod logon;
mod other_clients;
mod queries;
mod resources;
mod running;
