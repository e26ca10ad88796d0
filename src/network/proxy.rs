use std::os::fd::*;
pub struct Proxy(OwnedFd);
impl Proxy {
    pub fn new(_l: Vec<super::ports::Listener>, _a: super::ContainerNetwork) -> Result<Self, std::io::Error> {
        Err(std::io::Error::other(""))
    }
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
    pub fn turn(&mut self) {}
}
