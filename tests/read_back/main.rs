//! Round trip: the gateway reads any session and task, in every style, as the simulator wrote it.

mod any;
mod expected;
mod read_back;
