//! The sockets on which the gateway listens. `[::]` means IPv6 and IPv4, whatever the system's default
//! for it is, and only IPv4 on a system without IPv6: one setting fits every container.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use super::StartError;

/// Connections that may wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on an address. Returns it with the port that the system has chosen for port 0.
pub(super) fn listen(
    option: &'static str,
    address: SocketAddr,
) -> Result<(SocketAddr, TcpListener), StartError> {
    bind_anywhere(option, address)
        .and_then(|socket| Ok((socket.local_addr()?, socket)))
        .map_err(|error| StartError::Listen { option, address, error })
}

fn bind_anywhere(option: &'static str, address: SocketAddr) -> io::Result<TcpListener> {
    let bound = bind(address);
    if address.ip() != Ipv6Addr::UNSPECIFIED {
        return bound;
    }
    bound.or_else(|error| {
        let has_ipv6 = Socket::new(Domain::IPV6, Type::STREAM, None).is_ok();
        if has_ipv6 && error.kind() != io::ErrorKind::AddrNotAvailable {
            return Err(error);
        }
        let only_ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        tracing::warn!(option, %error, "no IPv6 on this system: listening on IPv4 only");
        bind(only_ipv4)
    })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // A gateway that is restarted must not wait for the old one's connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
