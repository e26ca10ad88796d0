pub fn hosts(h: &str, _e: &[(String, String)], _host: bool) -> String {
    format!("127.0.0.1 localhost\n127.0.0.1 {h}\n")
}
pub fn resolv_conf(_d: &[String], _h: bool) -> String {
    std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
}
