//! The errors of networks.

use crate::diag::{Diagnose, inner_of};
use crate::sys::SysError;
use ipnet::Ipv4Net;
use std::net::IpAddr;

#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("no such network: {0}")]
    NotFound(String),
    #[error("more than one network begins with {0}")]
    Ambiguous(String),
    #[error("invalid network name {0:?}")]
    Name(String),
    #[error("network {0} belongs to minirun itself")]
    Own(String),
    #[error("network {0} exists")]
    Exists(String),
    #[error("invalid label {0:?}: its name is empty")]
    Label(String),
    #[error("invalid network option {text:?}: {why}")]
    Option { text: String, why: &'static str },
    #[error("invalid subnet {text:?}: {why}")]
    Subnet { text: String, why: &'static str },
    #[error("subnet {subnet} overlaps with {other}, which network {name} has")]
    Overlap { subnet: String, other: String, name: String },
    #[error("every subnet that minirun gives away is in use")]
    NoSubnet,
    #[error("{what} {address} is not in the subnet {subnet}")]
    Outside { what: &'static str, address: String, subnet: String },
    #[error("cannot remove network {name}: {} {} on it", containers.join(", "), if containers.len() == 1 { "is" } else { "are" })]
    InUse { name: String, containers: Vec<String> },
    #[error("{address} on network {network} belongs to {owner}")]
    Taken { address: IpAddr, network: String, owner: String },
    #[error("network {network} has no address left in {range}")]
    Full { network: String, range: Ipv4Net },
    #[error("network {0} has no IPv6 addresses")]
    NoV6(String),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for NetworkError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound(name) => {
                format!("see which there are: minirun network ls; make it: minirun network create {name}")
            }
            Self::Ambiguous(_) => "type more of the id; see: minirun network ls".into(),
            Self::Name(_) => "letters, digits, _ . and -, beginning with a letter or digit, two at least".into(),
            Self::Own(_) => "choose another name".into(),
            Self::Exists(name) => format!("see it: minirun network inspect {name}"),
            Self::Label(_) => "as in: --label NAME=VALUE".into(),
            Self::Option { .. } => "as in: --opt broadcast=true".into(),
            Self::Subnet { .. } => "as in: --subnet 10.20.0.0/24".into(),
            Self::Overlap { .. } => "choose another: --subnet SUBNET, or none, and a free one is taken".into(),
            Self::NoSubnet => "remove networks that nobody needs: minirun network prune".into(),
            Self::Outside { .. } => "choose one inside".into(),
            Self::InUse { name, containers } => format!(
                "take them off first: minirun network disconnect {name} {}",
                containers.first().map_or("", String::as_str)
            ),
            Self::Taken { .. } => "choose another, or none, and a free one is taken".into(),
            Self::Full { .. } => "make a larger one: minirun network create --subnet SUBNET".into(),
            Self::NoV6(_) => "make one that has: minirun network create --ipv6".into(),
            Self::Sys(_) => return self.inner().and_then(Diagnose::hint),
        })
    }
}
