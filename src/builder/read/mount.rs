//! Parses `RUN --mount`.

#[derive(Debug, thiserror::Error)]
pub enum InvalidMount {
    #[error("--mount={0}: unknown option `{1}`")]
    Setting(String, String),
    #[error("--mount={0}: invalid type `{1}`: use bind, cache, tmpfs, secret or ssh")]
    Type(String, String),
    #[error("--mount={0} needs target=…")]
    NoTarget(String),
    #[error("no such secret: {0}; give it with --secret id={0},src=FILE")]
    NoSecret(String),
    #[error("no such agent: {0}; give it with --ssh {0}")]
    NoAgent(String),
    #[error("invalid network `{0}`: a RUN has default, host or none")]
    Network(String),
    #[error(
        "RUN --network=host is not allowed: in the host's network it reaches all local services; --allow network.host allows it"
    )]
    HostNetwork,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MountKind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

/// What a RUN does if another one uses the same cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    Shared,
    /// It gets a new cache.
    Private,
    /// It waits.
    Locked,
}

/// `RUN --mount`
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    pub kind: MountKind,
    pub target: Option<String>,
    pub source: String,
    pub from: Option<String>,
    pub id: Option<String>,
    pub writable: bool,
    pub sharing: Sharing,
    pub mode: Option<u32>,
    pub owner: (u64, u64),
    pub required: bool,
    pub env: Option<String>,
    pub size: Option<String>,
    pub text: String,
}

/// A request of a RUN to the command line or the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Secret { id: String, required: bool },
    Agent { id: String, required: bool },
    Cache { id: String },
}

impl Mount {
    pub(crate) fn asks(&self) -> Option<Asked> {
        let required = self.required;
        match self.kind {
            MountKind::Secret => Some(Asked::Secret { id: self.id().ok()?, required }),
            MountKind::Ssh => Some(Asked::Agent { id: self.id().ok()?, required }),
            MountKind::Cache => Some(Asked::Cache { id: self.id.clone().or_else(|| self.target.clone())? }),
            MountKind::Bind | MountKind::Tmpfs => None,
        }
    }

    /// Returns the id of a secret or agent on the command line.
    pub(crate) fn id(&self) -> Result<String, InvalidMount> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        if self.kind == MountKind::Ssh {
            return Ok("default".into());
        }
        let name = if self.source.is_empty() { self.target.as_deref() } else { Some(self.source.as_str()) };
        let name = name.and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        name.ok_or_else(|| InvalidMount::NoTarget(self.text.clone()))
    }
}

pub(crate) fn mount(text: &str) -> Result<Mount, InvalidMount> {
    let mut mount = Mount {
        kind: MountKind::Bind,
        target: None,
        source: String::new(),
        from: None,
        id: None,
        writable: false,
        sharing: Sharing::Shared,
        mode: None,
        owner: (0, 0),
        required: false,
        env: None,
        size: None,
        text: text.to_owned(),
    };
    let fields: Vec<(&str, Option<&str>)> =
        text.split(',').map(|f| f.split_once('=').map_or((f, None), |(k, v)| (k, Some(v)))).collect();
    if let Some((_, Some(kind))) = fields.iter().find(|(key, _)| *key == "type") {
        mount.kind = match *kind {
            "bind" => MountKind::Bind,
            "cache" => MountKind::Cache,
            "tmpfs" => MountKind::Tmpfs,
            "secret" => MountKind::Secret,
            "ssh" => MountKind::Ssh,
            other => return Err(InvalidMount::Type(text.into(), other.into())),
        };
    }
    mount.writable = matches!(mount.kind, MountKind::Cache | MountKind::Tmpfs);
    for (key, value) in fields {
        let wrong = || InvalidMount::Setting(text.into(), key.into());
        let on = || match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(wrong()),
        };
        let value = || value.map(str::to_owned).ok_or_else(wrong);
        match key {
            "type" => {}
            "target" | "dst" | "destination" => mount.target = Some(value()?),
            "source" | "src" => mount.source = value()?,
            "from" => mount.from = Some(value()?),
            "id" => mount.id = Some(value()?),
            "ro" | "readonly" => mount.writable = !on()?,
            "rw" | "readwrite" => mount.writable = on()?,
            "required" => mount.required = on()?,
            "sharing" => {
                mount.sharing = match value()?.as_str() {
                    "shared" => Sharing::Shared,
                    "private" => Sharing::Private,
                    "locked" => Sharing::Locked,
                    _ => return Err(wrong()),
                }
            }
            "env" => mount.env = Some(value()?),
            "size" => mount.size = Some(value()?),
            "mode" => mount.mode = Some(u32::from_str_radix(&value()?, 8).map_err(|_| wrong())?),
            "uid" => mount.owner.0 = value()?.parse().map_err(|_| wrong())?,
            "gid" => mount.owner.1 = value()?.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        }
    }
    if mount.target.is_none() && matches!(mount.kind, MountKind::Bind | MountKind::Cache | MountKind::Tmpfs) {
        return Err(InvalidMount::NoTarget(text.into()));
    }
    Ok(mount)
}
