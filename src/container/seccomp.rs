use oci_spec::runtime::LinuxSeccomp;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct SeccompError;
pub const ANSWERED: [&str; 0] = [];
pub fn policy(_c: &[String]) -> LinuxSeccomp {
    serde_json::from_str(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap()
}
pub fn compile(_p: &LinuxSeccomp) -> Result<Vec<u64>, SeccompError> {
    Ok(vec![])
}
pub fn one_id_answers() -> Result<Vec<u64>, SeccompError> {
    Ok(vec![])
}
