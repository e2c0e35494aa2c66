//! Which peers are proxies whose word on a caller's identity is believed, of `--trusted-proxies`.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::CallerPattern;
use crate::runtime::text::quoted;

/// The keyword for the gateway's own machine.
const LOOPBACK: &str = "loopback";

/// Bits before the IPv4 address in an IPv6 address that stands for it.
const IPV4_MAPPED: u8 = 96;

/// A proxy, by its address or by a name in its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Any program on the gateway's own machine or in its pod, where a sidecar is.
    Loopback,
    /// Any peer in this network.
    Network(IpNet),
    /// A peer with a verified certificate that carries such a name.
    Certificate(CallerPattern),
}

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == LOOPBACK {
            return Ok(Self::Loopback);
        }
        if let Some(network) = network(text) {
            if network.addr() != network.trunc().addr() {
                let (wide, narrow) = (network.trunc(), network.addr());
                return Err(format!("{text} is {wide} or {narrow}: write the one that is meant"));
            }
            return Ok(Self::Network(network));
        }
        let is_address = text.ends_with(|c: char| c.is_ascii_digit() || c == ':')
            && text.bytes().all(|byte| byte.is_ascii_hexdigit() || b".:/".contains(&byte));
        if is_address {
            return Err(format!("{} is neither an address nor a network", quoted(text)));
        }
        text.parse().map(Self::Certificate)
    }
}

/// The network or single address, an IPv4 one as such: that is how peers' addresses are compared.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    let network: IpNet = text.parse().ok()?;
    match (network, network.addr().to_canonical()) {
        (IpNet::V6(mapped), address @ IpAddr::V4(_)) => {
            IpNet::new(address, mapped.prefix_len().checked_sub(IPV4_MAPPED)?).ok()
        }
        _ => Some(network),
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str(LOOPBACK),
            Self::Network(network) => network.fmt(f),
            Self::Certificate(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_address_a_network_or_a_name() {
        for (text, shown) in [
            ("loopback", "loopback"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("::6", "::6/128"),
            ("fd00::/8", "fd00::/8"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
            ("spiffe://mesh/ns/edge/sa/*", "spiffe://mesh/ns/edge/sa/*"),
            ("envoy.example", "envoy.example"),
        ] {
            let proxy: TrustedProxy = text.parse().unwrap();
            assert_eq!(proxy.to_string(), shown, "{text}");
            let is_name = text.contains("example") || text.contains("spiffe");
            assert_eq!(matches!(proxy, TrustedProxy::Certificate(_)), is_name, "{text}");
        }
    }

    #[test]
    fn what_means_more_than_it_seems_is_refused() {
        let wrong =
            "10.1.2.3/8|10.0.0.0/33|10.0.0.300|1.2.3|::1/129|10.0.0.0/|fd00::1/8|*|*.example|a b";
        for text in wrong.split('|') {
            assert!(text.parse::<TrustedProxy>().is_err(), "{text}");
        }
    }
}
