//! The options of a mount, as fstab(5) has them.

use rustix::mount::MountAttrFlags;

/// The option that names a directory to mount in place of the one that it lies in, as mount(8) does.
pub(crate) const SUBDIRECTORY: &str = "X-mount.subdir";

/// Returns the subdirectory that is mounted, if one is named.
pub(crate) fn subdirectory(options: &[String]) -> Option<&str> {
    options.iter().find_map(|option| option.strip_prefix(SUBDIRECTORY)?.strip_prefix('='))
}

/// Splits fstab's options into the flags of a mount and the settings of a file system.
pub(crate) fn split_options(options: &[String]) -> (MountAttrFlags, bool, Vec<&str>) {
    let (mut flags, mut recursive, mut settings) = (MountAttrFlags::empty(), false, Vec::new());
    for option in options {
        match option.as_str() {
            "ro" => flags |= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "nosuid" => flags |= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "nodev" => flags |= MountAttrFlags::MOUNT_ATTR_NODEV,
            "noexec" => flags |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "noatime" => flags |= MountAttrFlags::MOUNT_ATTR_NOATIME,
            "strictatime" => flags |= MountAttrFlags::MOUNT_ATTR_STRICTATIME,
            // The last word counts: `--tmpfs /bin:exec` takes a default back.
            "rw" => flags -= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "suid" => flags -= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "dev" => flags -= MountAttrFlags::MOUNT_ATTR_NODEV,
            "exec" => flags -= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "rbind" => recursive = true,
            "bind" | "relatime" | "private" | "rprivate" => {}
            other => settings.push(other),
        }
    }
    (flags, recursive, settings)
}
