//! The simulator keeps to what is known of real servers.

mod bodies;
mod client;
mod faults;
mod lifetime;
mod logon;
mod queries;
mod resources;
