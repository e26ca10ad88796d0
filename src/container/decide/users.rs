//! Users and groups of a container, by name or number, from its own `/etc/passwd` and `/etc/group`.

#![deny(clippy::indexing_slicing)]

use std::io::Read;
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups that list the user.
    pub groups: Vec<u32>,
    pub home: String,
}

#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("the image has no user {0:?}")]
    NoUser(String),
    #[error("the image has no group {0:?}")]
    NoGroup(String),
}

impl crate::diag::Diagnose for UserError {
    fn hint(&self) -> Option<String> {
        let file = if matches!(self, Self::NoUser(_)) { "/etc/passwd" } else { "/etc/group" };
        Some(format!("give a number, or a name that the image's {file} has"))
    }
}

/// Returns a field of a line, empty if it has fewer.
fn at<'a>(fields: &[&'a str], number: usize) -> &'a str {
    fields.get(number).copied().unwrap_or_default()
}

/// Reads `USER[:GROUP]` as Docker does. `read` gives the text of a file of the container; a missing file has no lines.
pub(crate) fn resolve(spec: &str, read: impl Fn(&str) -> Option<String>) -> Result<User, UserError> {
    let (user, group) = spec.split_once(':').map_or((spec, None), |(u, g)| (u, Some(g).filter(|g| !g.is_empty())));
    let passwd = read("/etc/passwd").unwrap_or_default();
    let groups = read("/etc/group").unwrap_or_default();
    let number = user.parse::<u32>().ok();
    let is_root = user.is_empty();
    // A name made of digits is still a name first.
    let entry = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>()).filter(|f| f.len() >= 4).find(|f| {
        if is_root {
            at(f, 2) == "0"
        } else {
            at(f, 0) == user || (number.is_some() && at(f, 2).parse().ok() == number)
        }
    });
    let (uid, own_gid, home, name) = match &entry {
        Some(f) => (
            at(f, 2).parse().map_err(|_| UserError::NoUser(user.into()))?,
            at(f, 3).parse().unwrap_or(0),
            f.get(5).filter(|h| !h.is_empty()).unwrap_or(&"/").to_string(),
            at(f, 0).to_owned(),
        ),
        None if is_root => (0, 0, "/root".into(), "root".into()),
        None => (number.ok_or_else(|| UserError::NoUser(user.into()))?, 0, "/".into(), String::new()),
    };
    let group_lines = || groups.lines().map(|l| l.split(':').collect::<Vec<_>>()).filter(|f| f.len() >= 3);
    let gid = match group {
        None => own_gid,
        Some(group) => group_lines()
            .find(|f| at(f, 0) == group)
            .and_then(|f| at(&f, 2).parse().ok())
            .or_else(|| group.parse().ok())
            .ok_or_else(|| UserError::NoGroup(group.into()))?,
    };
    // An explicit group stands alone, as with Docker.
    let supplementary = if group.is_some() || name.is_empty() {
        Vec::new()
    } else {
        let listed = |f: &Vec<&str>| f.get(3).is_some_and(|m| m.split(',').any(|m| m == name));
        group_lines().filter(listed).filter_map(|f| at(&f, 2).parse().ok()).collect()
    };
    Ok(User { uid, gid, groups: supplementary, home })
}

/// Reads a file below a directory; symbolic links never lead out of it.
pub(crate) fn read_beneath(root: &Path, path: &str) -> Option<String> {
    use rustix::fs::{Mode, OFlags, ResolveFlags, open};
    let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = crate::sys::fs::openat2(&root, path, flags, ResolveFlags::IN_ROOT).ok()?;
    let mut text = String::new();
    // An image may hold anything under this name; nobody's user list is longer.
    std::fs::File::from(file).take(4 << 20).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<String> {
        match path {
            "/etc/passwd" => Some(
                "root:x:0:0:root:/root:/bin/sh\nnginx:x:101:102::/var/lib/nginx:/sbin/nologin\n1:x:5:5::/one:\n".into(),
            ),
            "/etc/group" => Some("root:x:0:root\nwww:x:33:nginx,other\nnginx:x:102:\n".into()),
            _ => None,
        }
    }

    #[test]
    fn by_name_and_number() {
        let user = |uid, gid, groups: &[u32], home: &str| User { uid, gid, groups: groups.to_vec(), home: home.into() };
        assert_eq!(resolve("", read).unwrap(), user(0, 0, &[0], "/root"));
        assert_eq!(resolve("nginx", read).unwrap(), user(101, 102, &[33], "/var/lib/nginx"));
        assert_eq!(resolve("101", read).unwrap(), user(101, 102, &[33], "/var/lib/nginx"));
        assert_eq!(resolve("nginx:www", read).unwrap(), user(101, 33, &[], "/var/lib/nginx"));
        assert_eq!(resolve("4242", read).unwrap(), user(4242, 0, &[], "/"));
        assert_eq!(resolve("4242:7", read).unwrap(), user(4242, 7, &[], "/"));
        assert_eq!(resolve("1", read).unwrap().uid, 5);
        assert!(matches!(resolve("ann", read), Err(UserError::NoUser(_))));
        assert!(matches!(resolve("root:ann", read), Err(UserError::NoGroup(_))));
    }

    #[test]
    fn an_image_without_passwd_has_root_only() {
        assert_eq!(resolve("", |_| None).unwrap().home, "/root");
        assert_eq!(resolve("0:0", |_| None).unwrap().uid, 0);
        assert!(resolve("nginx", |_| None).is_err());
    }
}
