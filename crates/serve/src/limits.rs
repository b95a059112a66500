//! How many connections may be open: in all, and from one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

/// What limits count as one address: of IPv6 a network of 64 bits, which is what one site
/// has; an IPv4 address in IPv6 clothes is that address.
pub fn address_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

/// Counts open connections.
#[derive(Debug)]
pub struct Connections {
    max: AtomicUsize,
    max_per_address: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One open connection; dropping it makes room for another.
#[derive(Debug)]
pub struct ConnectionGuard {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    /// With these limits.
    pub fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        let (max, max_per_address) = (AtomicUsize::new(max), AtomicUsize::new(max_per_address));
        Arc::new(Self { max, max_per_address, open: Mutex::default() })
    }

    /// With these limits from now on. Who is connected stays.
    pub fn change(&self, max: usize, max_per_address: usize) {
        self.max.store(max, Ordering::Relaxed);
        self.max_per_address.store(max_per_address, Ordering::Relaxed);
    }

    /// Counts a connection, or says that there are enough.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionGuard> {
        let mut open = self.open.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        let (max, per_address) = (self.max.load(Ordering::Relaxed), self.max_per_address.load(Ordering::Relaxed));
        if open.all >= max || of_address >= per_address {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, of_address + 1);
        Some(ConnectionGuard { connections: Arc::clone(self), address })
    }
}

impl ConnectionGuard {
    /// Who is at the other end.
    pub fn address(&self) -> IpAddr {
        self.address
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock();
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_one_address() {
        let of = |text: &str| address_of(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(
            (of("::ffff:10.1.2.3"), of("::1"), of("10.1.2.3")),
            ("10.1.2.3".into(), "::1".into(), "10.1.2.3".into())
        );
    }

    #[test]
    fn a_closed_connection_makes_room() {
        let connections = Connections::new(3, 2);
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = connections.admit(a).unwrap();
        let _second = connections.admit(a).unwrap();
        assert!(connections.admit(a).is_none(), "more than two of one address");
        let _third = connections.admit(b).unwrap();
        assert!(connections.admit(b).is_none(), "more than three in all");
        connections.change(4, 1);
        assert!(connections.admit(a).is_none());
        assert!(connections.admit(IpAddr::from([127, 0, 0, 3])).is_some(), "another limit holds at once");
        connections.change(3, 2);
        drop(first);
        assert!(connections.admit(b).is_some());
        assert_eq!(connections.open.lock().by_address.len(), 2);
    }
}
