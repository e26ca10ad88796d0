use std::net::IpAddr;
use std::os::fd::OwnedFd;
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PortSpec {
    pub host_ip: Option<IpAddr>,
    pub host_port: u16,
    pub container_port: u16,
    pub protocol: String,
}
#[derive(Debug, thiserror::Error)]
#[error("port")]
pub struct PortError;
impl crate::diag::Diagnose for PortError {}
pub fn parse(_t: &str) -> Result<Vec<PortSpec>, PortError> {
    Ok(vec![])
}
pub struct Listener(PortSpec, OwnedFd);
impl Listener {
    pub fn spec(&self) -> &PortSpec {
        &self.0
    }
    pub fn into_fd(self) -> OwnedFd {
        self.1
    }
    pub fn from_parts(s: PortSpec, f: OwnedFd) -> Self {
        Self(s, f)
    }
}
pub fn open(_s: &[PortSpec]) -> Result<Vec<Listener>, PortError> {
    Ok(vec![])
}
