//! `compose build`, `pull`, `push`, and the images that `up` needs.

use super::error::ComposeFailure;
use super::flags::ProjectFlags;
use crate::cli::flags::{PullFlags, PullPolicy, RegistryFlags};
use crate::cli::{Context, inside, registry};
use crate::compose::read::Node;
use crate::compose::{Project, Pull, Service, label};
use crate::diag::Failure;
use crate::image;
use clap::Args;
use std::path::Path;

#[derive(Args)]
pub(super) struct BuildArgs {
    /// Set an ARG of every build
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Do every step again, ignoring the cache
    #[arg(long)]
    no_cache: bool,
    /// Pull newer base images
    #[arg(long)]
    pull: bool,
    /// Push the images after the build
    #[arg(long)]
    push: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
    /// Build what these depend on too
    #[arg(long)]
    with_dependencies: bool,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
pub(super) struct PullArgs {
    /// Pass over images that cannot be pulled
    #[arg(long)]
    ignore_pull_failures: bool,
    /// Pass over services that are built
    #[arg(long)]
    ignore_buildable: bool,
    /// Pull what these depend on too
    #[arg(long)]
    include_deps: bool,
    /// Set when to pull
    #[arg(long, value_name = "WHEN", default_value = "always", hide_default_value = true)]
    policy: PullPolicy,
    /// Print no progress
    #[arg(short, long)]
    quiet: bool,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
pub(super) struct PushArgs {
    /// Pass over images that cannot be pushed
    #[arg(long)]
    ignore_push_failures: bool,
    /// Push what these depend on too
    #[arg(long)]
    include_deps: bool,
    /// Print no progress
    #[arg(short, long)]
    quiet: bool,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// How images are built.
#[derive(Default)]
pub(super) struct BuildOptions<'a> {
    pub arguments: &'a [String],
    pub no_cache: bool,
    pub pull: bool,
    pub quiet: bool,
}

fn selected(
    flags: &ProjectFlags,
    services: &[String],
    with_dependencies: bool,
) -> Result<(Project, Vec<String>), Failure> {
    let mut project = flags.project()?;
    project.enable(services)?;
    let names = project.selected(services, with_dependencies)?;
    Ok((project, names))
}

pub(super) fn build(arguments: &BuildArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (project, names) = selected(flags, &arguments.services, arguments.with_dependencies)?;
    let options = BuildOptions {
        arguments: &arguments.build_arg,
        no_cache: arguments.no_cache,
        pull: arguments.pull,
        quiet: arguments.quiet,
    };
    for name in names {
        let service = project.service(&name)?;
        if !service.is_built() {
            continue;
        }
        if flags.dry_run {
            println!("{name}: would build {}", service.image(&project.name));
            continue;
        }
        build_one(context, &project, service, &options)?;
        if arguments.push {
            inside::again(&context.store, &["push", &service.image(&project.name)])?;
        }
    }
    Ok(0)
}

/// Builds the image of a service, in another process of minirun.
pub(super) fn build_one(
    context: &Context,
    project: &Project,
    service: &Service,
    options: &BuildOptions,
) -> Result<(), Failure> {
    let Some(build) = service.node.get("build") else { return Ok(()) };
    let mut words: Vec<String> = vec!["build".into(), "--tag".into(), service.image(&project.name)];
    let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
    let context_of_build = build.text("context").unwrap_or(".");
    let inline = build.text("dockerfile_inline");
    if inline.is_some() {
        add("--file", "-");
    } else if let Some(file) = build.text("dockerfile").filter(|file| *file != "Dockerfile") {
        // The file of a context that is fetched lies in that.
        let is_local = Path::new(context_of_build).is_absolute();
        let path = if is_local { Path::new(context_of_build).join(file) } else { file.into() };
        add("--file", &path.to_string_lossy());
    }
    let pairs = |key: &str| -> Vec<(String, Option<String>)> {
        build.entries(key).map(|(name, value)| (name.clone(), value.scalar().map(str::to_owned))).collect()
    };
    for (name, value) in pairs("args") {
        // Without a value it is the caller's.
        match value.or_else(|| project.variables.get(&name).map(str::to_owned)) {
            Some(value) => add("--build-arg", &format!("{name}={value}")),
            None => add("--build-arg", &name),
        }
    }
    options.arguments.iter().for_each(|argument| add("--build-arg", argument));
    for (name, value) in pairs("labels") {
        add("--label", &format!("{name}={}", value.unwrap_or_default()));
    }
    for (name, value) in [(label::PROJECT, &project.name), (label::SERVICE, &service.name)] {
        add("--label", &format!("{name}={value}"));
    }
    for (name, value) in pairs("additional_contexts") {
        let value = value.unwrap_or_default();
        let value = match value.strip_prefix("service:").and_then(|other| project.services.get(other)) {
            Some(other) => format!("docker-image://{}", other.image(&project.name)),
            None => value,
        };
        add("--build-context", &format!("{name}={value}"));
    }
    for (name, value) in pairs("ssh") {
        add("--ssh", &value.map_or(name.clone(), |value| format!("{name}={value}")));
    }
    for (key, flag) in [
        ("cache_from", "--cache-from"),
        ("cache_to", "--cache-to"),
        ("tags", "--tag"),
        ("no_cache_filter", "--no-cache-filter"),
    ] {
        build.texts(key).iter().for_each(|value| add(flag, value));
    }
    build.texts("extra_hosts").iter().for_each(|host| add("--add-host", &host.replacen('=', ":", 1)));
    for (key, flag) in [("target", "--target"), ("network", "--network"), ("shm_size", "--shm-size")] {
        build.text(key).into_iter().for_each(|value| add(flag, value));
    }
    for (name, limit) in build.entries("ulimits") {
        let part = |key: &str| limit.scalar().or_else(|| limit.text(key)).unwrap_or("-1").to_owned();
        add("--ulimit", &format!("{name}={}:{}", part("soft"), part("hard")));
    }
    let mut platforms = build.texts("platforms");
    if let Some(own) = service.node.text("platform") {
        platforms = vec![own.to_owned()];
    }
    platforms.iter().for_each(|platform| add("--platform", platform));
    let mut variables = Vec::new();
    for grant in build.get("secrets").map_or(&[][..], Node::list) {
        let source = grant.text("source").unwrap_or_default();
        let Some(secret) = project.secrets.get(source) else { continue };
        let id = grant.text("target").unwrap_or(source);
        match (secret.node.text("file"), secret.node.text("environment")) {
            (Some(file), _) => add("--secret", &format!("id={id},src={file}")),
            (None, Some(variable)) => {
                add("--secret", &format!("id={id},env={variable}"));
                variables.extend(project.variables.get(variable).map(|value| (variable.to_owned(), value.to_owned())));
            }
            (None, None) => {}
        }
    }
    let switches = [
        ("--no-cache", options.no_cache || build.is_set("no_cache")),
        ("--pull", options.pull || build.is_set("pull")),
        ("--quiet", options.quiet),
    ];
    words.extend(switches.into_iter().filter(|(_, is_on)| *is_on).map(|(flag, _)| flag.to_owned()));
    words.push(context_of_build.to_owned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let status = inside::again_with(&context.store, &words, inline.unwrap_or_default().as_bytes(), |command| {
        command.envs(variables);
        if options.quiet {
            command.stdout(std::process::Stdio::null());
        }
    })?;
    if status == 0 { Ok(()) } else { Err(ComposeFailure::Build(service.name.clone()).into()) }
}

/// Makes sure that the images of services are there. `pull` takes the place of what the file says.
pub(super) fn prepare(
    context: &Context,
    project: &Project,
    names: &[String],
    builds: bool,
    may_build: bool,
    pull: Option<PullPolicy>,
    quiet: bool,
) -> Result<(), Failure> {
    for name in names {
        let service = project.service(name)?;
        let image = service.image(&project.name);
        let is_here = || image::find(&context.store, &image).is_ok();
        if service.is_built() && may_build && (builds || service.pull() == Pull::Build || !is_here()) {
            build_one(context, project, service, &BuildOptions { quiet, ..BuildOptions::default() })?;
            continue;
        }
        let policy = pull.unwrap_or(match service.pull() {
            Pull::Always => PullPolicy::Always,
            Pull::Never => PullPolicy::Never,
            Pull::Missing | Pull::Build => PullPolicy::Missing,
        });
        if service.is_built() && is_here() {
            continue;
        }
        registry::image(context, &image, &pull_flags(service, policy, quiet))?;
    }
    Ok(())
}

fn pull_flags(service: &Service, pull: PullPolicy, quiet: bool) -> PullFlags {
    let platform = service.node.text("platform").and_then(|text| text.parse().ok());
    PullFlags { pull, platform, quiet, registry: RegistryFlags { tls_verify: true } }
}

pub(super) fn pull(arguments: &PullArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (project, names) = selected(flags, &arguments.services, arguments.include_deps)?;
    let mut code = 0;
    for name in names {
        let service = project.service(&name)?;
        if service.node.text("image").is_none() || (arguments.ignore_buildable && service.is_built()) {
            continue;
        }
        let image = service.image(&project.name);
        if flags.dry_run {
            println!("{name}: would pull {image}");
            continue;
        }
        match registry::image(context, &image, &pull_flags(service, arguments.policy, arguments.quiet)) {
            Ok(_) => eprintln!("{name}: pulled {image}"),
            // What is built may be in no registry.
            Err(_) if service.is_built() || arguments.ignore_pull_failures => {}
            Err(error) => {
                crate::cli::stderr::report(error.as_ref());
                code = 1;
            }
        }
    }
    Ok(code)
}

pub(super) fn push(arguments: &PushArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (project, names) = selected(flags, &arguments.services, arguments.include_deps)?;
    let mut code = 0;
    for name in names {
        let service = project.service(&name)?;
        // What has no image in the file has no place in a registry.
        let Some(image) = service.node.text("image").filter(|_| service.is_built()) else { continue };
        if flags.dry_run {
            println!("{name}: would push {image}");
            continue;
        }
        let words: &[&str] = if arguments.quiet { &["push", "--quiet", image] } else { &["push", image] };
        if inside::again(&context.store, words)? != 0 && !arguments.ignore_push_failures {
            code = 1;
        }
    }
    Ok(code)
}
