use super::Context;
use crate::diag::Failure;
use clap::Args;
#[derive(Args)]
pub struct CommitArgs {
    container: String,
}
pub fn commit(_a: CommitArgs, _c: &Context) -> Result<u8, Failure> {
    Ok(0)
}
pub fn diff(_n: &str, _c: &Context) -> Result<u8, Failure> {
    Ok(0)
}
