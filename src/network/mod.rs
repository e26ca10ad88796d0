//! stub
pub mod egress;
pub mod ports;
pub mod proxy;
pub mod resolv;
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub struct ContainerNetwork;
pub const CONTAINER: ContainerNetwork = ContainerNetwork;
impl ContainerNetwork {
    pub fn set_up(&self) -> Result<(), crate::sys::SysError> {
        Ok(())
    }
    pub fn call(&self) -> String {
        String::new()
    }
}
