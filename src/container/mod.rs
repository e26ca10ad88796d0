//! A container: an image reference, one writable upper directory, sometimes a process.
//!
//! `Request + Image → OCI specification → Plan → carried out`: [`decide`] makes the specification of a [`request`], [`plan`]
//! says what that means for the kernel, and [`live`] carries it out. Each room uses only those above it in this list:
//!
//! - [`request`]: what was asked for.
//! - [`protocol`]: what the processes of a running container say to each other.
//! - [`processes`]: the processes of a container.
//! - [`rootfs`]: what a container's root is made of.
//! - [`stored`]: what the store keeps of a container.
//! - [`decide`]: request and image become the specification.
//! - [`agent`]: answers system calls about owners, where there is one id only.
//! - [`probe`]: attempts at what a container must not do.
//! - [`plan`]: the specification becomes steps.
//! - [`files`]: files copied to and from a container.
//! - [`live`]: client, monitor and first process carry the steps out.
//! - [`inspect`]: a container as Docker shows it.

pub(crate) mod agent;
pub(crate) mod decide;
pub(crate) mod files;
pub(crate) mod inspect;
pub(crate) mod live;
pub(crate) mod plan;
pub(crate) mod probe;
pub(crate) mod processes;
pub(crate) mod protocol;
pub(crate) mod request;
pub(crate) mod rootfs;
pub(crate) mod stored;
