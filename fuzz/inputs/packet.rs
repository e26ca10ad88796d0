//! What a container sends on its way out: a packet with two ends or nothing, and a refusal that fits into the least that every
//! link carries.

use minirun::exposed::packet::{Packet, Refusal, write_refusal};

pub fn run(data: &[u8]) {
    let mut refusal = Vec::new();
    let is_refused = write_refusal(&mut refusal, data, Refusal::Port);
    assert!(refusal.len() <= 576);
    if let Some(packet) = Packet::parse(data) {
        assert!(is_refused);
        // A refusal is no packet that leads anywhere.
        assert!(Packet::parse(&refusal).is_none());
        let _ = packet.outside();
    }
}
