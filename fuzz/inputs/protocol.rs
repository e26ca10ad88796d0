//! What somebody sends to a monitor: a message, or nothing; a message is the same after it was sent again.

use minirun::exposed::End;
use minirun::exposed::socket;
use std::os::fd::AsFd;

pub fn run(data: &[u8]) {
    let data = &data[..data.len().min(socket::LONGEST)];
    let (ours, theirs) = End::pair().expect("a pair of sockets");
    // An empty packet is how a conversation ends.
    if data.is_empty() || socket::send(ours.as_fd(), data, &[]).is_err() {
        return;
    }
    let Ok(Some((message, _))) = theirs.receive() else { return };
    if ours.send(&message).is_ok() {
        let again = theirs.receive().expect("it can be received").expect("it is a message");
        assert_eq!(again.0, message);
    }
}
