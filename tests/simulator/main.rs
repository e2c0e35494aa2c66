//! The simulator keeps to what is known of real servers.

use replica_session_gateway::simulator;

mod bodies;
mod client;
mod faults;
mod lifetime;
mod logon;
mod queries;
mod resources;
