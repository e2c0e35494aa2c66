//! The simulator keeps to what is known of real servers.

use replica_session_gateway::simulator;

mod any;
mod bodies;
mod client;
mod expected;
mod faults;
mod lifetime;
mod logon;
mod queries;
mod read_back;
mod resources;
