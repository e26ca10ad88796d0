/// Returns the lower-case hexadecimal digits of `bytes` random bytes, 64 at most.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut buffer = [0u8; 64];
    let mut filled = 0;
    while filled < bytes {
        if let Ok(n) = rustix::rand::getrandom(&mut buffer[filled..bytes], rustix::rand::GetRandomFlags::empty()) {
            filled += n;
        }
    }
    buffer[..bytes].iter().map(|b| format!("{b:02x}")).collect()
}
