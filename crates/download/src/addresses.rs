//! Which addresses are on the public internet, and names that lead to such ones only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether an address is on the public internet: not of this machine, of a private network, or of no use.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    let is_of_no_use = match octets {
        [0 | 240.., ..] | [192, 0, 0, _] => true,
        // Shared by the customers of a provider, and for benchmarks.
        [100, second, ..] => second & 0xc0 == 64,
        [198, second, ..] => second & 0xfe == 18,
        _ => false,
    };
    !(is_of_no_use
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4() {
        return is_public_v4(v4);
    }
    let v4 = |bytes: [u8; 4]| is_public_v4(Ipv4Addr::from(bytes));
    let [o0, o1, o2, o3, o4, o5, between @ .., o12, o13, o14, o15] = address.octets();
    match [o0, o1, o2, o3] {
        // These stand for one of IPv4, by translation or by a tunnel. The translators of single networks have prefixes of
        // their own, and the address in other places.
        [0x00, 0x64, 0xff, 0x9b] => [o4, o5] == [0; 2] && between == [0; 6] && v4([o12, o13, o14, o15]),
        [0x20, 0x02, ..] => v4([o2, o3, o4, o5]),
        // For protocols, and for documentation.
        [0x20, 0x01, 0x00 | 0x01, _] | [0x20, 0x01, 0x0d, 0xb8] => false,
        // What is given out.
        [first, ..] => first & 0xe0 == 0x20,
    }
}

/// Looks names up, and returns their public addresses only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(format!(
                    "'{}' has no address on the public internet; allowed_urls names what may be fetched from elsewhere",
                    name.as_str()
                )
                .into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_machines_and_their_networks_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1:a00:0:100:808:808",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
