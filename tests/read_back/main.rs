//! What the simulator writes, the gateway reads back: any session, any task, in every style.

mod any;
mod expected;
mod read_back;
