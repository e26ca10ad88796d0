//! `build`: builds an image from a Dockerfile.

use super::cache::{cache_from, cache_to, is_inline};
use super::call::{self, Call, Method};
use super::error::BuildArgsError;
use super::lint::lint;
use super::metadata::metadata;
use super::output::{annotation, output};
use super::secret::{agent, secret};
use super::{attest, idle, limits};
use crate::builder;
use crate::builder::files::context;
use crate::builder::files::named::Contexts;
use crate::builder::read::parse;
use crate::builder::read::stage::Plan;
use crate::builder::{Attestations, BuildError, Listener, Options, Output, RunNetwork};
use crate::cli::flags::{ContainerFlags, settings};
use crate::cli::progress::{Progress, ProgressMode};
use crate::cli::transfer::Printer;
use crate::cli::{Context, inside, registry};
use crate::container::request::{Joined, Limits, Network, RequestError};
use crate::container::rootfs::shift;
use crate::diag::Failure;
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::network::shared::BRIDGE;
use crate::registry::Form;
use crate::store::Store;
use crate::sys::process::LetThrough;
use crate::userns;
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct BuildArgs {
    /// Name the image; can be repeated
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: Vec<Reference>,
    /// Read this Dockerfile; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// Set an ARG, or pass a variable of the caller
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Add a named context: files or an image
    #[arg(long, value_name = "NAME=DIR|docker-image://IMAGE|ADDRESS")]
    build_context: Vec<String>,
    /// Build up to this stage
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Do every step again, ignoring the cache
    #[arg(long, value_name = "BOOL", default_value = "false", hide_default_value = true, hide_possible_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    no_cache: bool,
    /// Do every step of this stage again; can be repeated
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
    /// Pull newer base images
    #[arg(long, value_name = "BOOL", default_value = "false", hide_default_value = true, hide_possible_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pull: bool,
    /// Push the image under its names after the build
    #[arg(long, requires = "tag")]
    push: bool,
    /// Add an annotation to the image's manifest
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// Build for this platform
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Offer a secret to RUN --mount=type=secret
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    secret: Vec<String>,
    /// Offer an SSH agent to RUN --mount=type=ssh
    #[arg(long, value_name = "default|ID[=SOCKET]")]
    ssh: Vec<String>,
    /// Import a build cache
    #[arg(long, value_name = "NAME|type=…[,ref=NAME][,src=DIR]")]
    cache_from: Vec<String>,
    /// Export the build cache; mode=max includes all stages
    #[arg(long, value_name = "NAME|type=…[,ref=NAME][,dest=DIR][,mode=max]")]
    cache_to: Vec<String>,
    /// Write the image's ID to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write digests and names to a file as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// They apply to every RUN, but the labels to the image.
    #[command(flatten)]
    container: ContainerFlags,
    /// Set how progress is printed
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,
    /// Print only the image's ID
    #[arg(short, long)]
    quiet: bool,
    /// Merge all new layers into one
    #[arg(long)]
    squash: bool,
    /// Write the result to a directory, an archive or a registry
    #[arg(short, long, value_name = "PATH|type=…[,dest=…][,name=…]")]
    output: Vec<String>,
    /// Explain what each step adds and why it ran again
    #[arg(long)]
    explain: bool,
    /// Check the Dockerfile without building
    #[arg(long)]
    check: bool,
    /// Do this instead of a build: check, outline or targets
    #[arg(long, value_name = "METHOD[,format=json]", default_value = "build", hide_default_value = true)]
    call: Call,
    #[command(flatten)]
    attest: attest::AttestArgs,
    #[command(flatten)]
    limits: limits::LimitArgs,
    #[command(flatten)]
    idle: idle::IdleFlags,
    /// Open a shell in the state before a failed step
    #[arg(long)]
    debug: bool,
    /// A directory, an archive, a git repository, a URL, or -
    #[arg(value_name = "CONTEXT")]
    context: String,
}

pub(crate) fn build(arguments: BuildArgs, context: &Context) -> Result<u8, Failure> {
    let store = &context.store;
    let attestations = arguments.attest.wanted()?;
    let (limits, notes) = (arguments.limits.limits()?, arguments.idle.notes()?);
    // Root's RUNs may have shifted IDs; then the build of root stays outside the namespace.
    shift::ids(store, false)?;
    // A stream can be read only once, and layers can only be read completely inside the namespace: enter it first.
    let is_plain = context::is_plain(&arguments.context, arguments.file.as_deref());
    let outputs: Vec<Output> = arguments.output.iter().map(|text| output(text)).collect::<Result<_, _>>()?;
    let pushes = arguments.push || outputs.iter().any(|output| output.pushes);
    if arguments.explain || attestations.sbom || pushes || !is_plain || !Contexts::are_plain(&arguments.build_context) {
        inside::enter(store)?;
    }
    let opened = context::open(store, &arguments.context, arguments.file.as_deref())?;
    let mut source = parse::Source::parse(&opened.file, &opened.text).map_err(BuildError::from)?;
    let mut checks = arguments.build_arg.iter().rev().filter_map(|text| text.strip_prefix(CHECKS)?.strip_prefix('='));
    if let Some(checks) = checks.next() {
        source.directives.check = Some(checks.to_owned());
    }
    let mode = match arguments.progress {
        _ if arguments.quiet => ProgressMode::Quiet,
        ProgressMode::Auto if std::io::stderr().is_terminal() => ProgressMode::Tty,
        ProgressMode::Auto => ProgressMode::Plain,
        other => other,
    };
    let mut progress = Progress::new(mode, arguments.explain, userns::has_ids(store));
    notes.iter().for_each(|note| progress.note(note));
    let Call { method, is_json } = arguments.call;
    match method {
        Method::Check => return lint(source, &opened, context, &mut progress, is_json),
        _ if arguments.check => return lint(source, &opened, context, &mut progress, is_json),
        Method::Outline | Method::Targets => {
            let given = options(&arguments, source, &opened, Vec::new())?;
            let (target, platform) = (given.target.as_deref(), &given.platform);
            let plan = Plan::new(given.source, &given.build_args, target, platform, Contexts::default())?;
            progress.flush();
            match method {
                Method::Targets => call::targets(&plan, is_json),
                _ => call::outline(&plan, &given.build_args, is_json),
            }
            return Ok(0);
        }
        Method::Build => {}
    }
    let options = Options {
        named: Contexts::open(store, &arguments.build_context)?,
        attestations,
        limits,
        ..options(&arguments, source, &opened, outputs)?
    };
    for one in &options.annotations {
        if let Some(why) = one.misplaced(&options.platforms, options.makes_index()) {
            return Err(BuildArgsError::Annotation(one.name().to_owned(), why).into());
        }
    }
    let debugs = arguments.debug;
    let (names, is_for_one) = (options.names.clone(), options.platforms.len() == 1);
    if pushes && names.is_empty() {
        return Err(BuildArgsError::NoName.into());
    }
    // The build changes the working directory.
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let (iidfile, metadata_file) =
        (arguments.iidfile.as_ref().map(absolute), arguments.metadata_file.as_ref().map(absolute));
    // A file of an earlier build must not outlive a failed one.
    for file in [&iidfile, &metadata_file].into_iter().flatten() {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(BuildArgsError::Write(file.clone(), error).into());
            }
            _ => {}
        }
    }
    let begun = std::time::Instant::now();
    let built = match builder::build(store, options, &mut progress) {
        Err(BuildError::NeedsNamespace) => {
            inside::enter(store)?;
            return Err(BuildError::NeedsNamespace.into());
        }
        Err(error @ BuildError::Failed { .. }) => {
            progress.flush();
            return failed(store, error, &progress, debugs);
        }
        Err(other) => {
            progress.flush();
            return Err(other.into());
        }
        Ok(built) => built,
    };
    if let (Some(file), Some(image)) = (&iidfile, built.image) {
        std::fs::write(file, image.to_string()).map_err(|e| BuildArgsError::Write(file.clone(), e))?;
    }
    let shown: Vec<String> = names.iter().map(Reference::familiar).collect();
    progress.finish(store, &built, &shown, begun.elapsed())?;
    let mut pushed = None;
    if pushes {
        let printer = Printer::new(arguments.quiet, arguments.quiet);
        let _ends_at_once = LetThrough::new(&builder::SIGNALS);
        pushed = registry::push_all(store, &names, Form::default(), &settings(true), &printer)?;
    }
    if let Some(file) = &metadata_file {
        let mut document = built.image.map_or(Ok(json!({})), |image| metadata(store, &image, &names, pushed))?;
        for (platform, provenance) in built.attestations.into_iter().filter(|(_, one)| one.is_provenance()) {
            let key = if is_for_one { String::new() } else { format!("/{platform}") };
            document[format!("buildx.build.provenance{key}")] = provenance.predicate;
        }
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        std::fs::write(file, text + "\n").map_err(|e| BuildArgsError::Write(file.clone(), e))?;
    }
    Ok(0)
}

/// The build argument that takes the place of `# check=…`.
const CHECKS: &str = "BUILDKIT_DOCKERFILE_CHECK";

fn options(
    arguments: &BuildArgs,
    source: parse::Source,
    opened: &context::Context,
    outputs: Vec<Output>,
) -> Result<Options, Failure> {
    let mut build_args = BTreeMap::new();
    for text in &arguments.build_arg {
        match text.split_once('=') {
            Some((CHECKS, _)) => {}
            Some((name, value)) => drop(build_args.insert(name.to_owned(), value.to_owned())),
            None => build_args.extend(std::env::var(text).ok().map(|value| (text.clone(), value))),
        }
    }
    let epoch = build_args.get("SOURCE_DATE_EPOCH").cloned().or_else(|| std::env::var("SOURCE_DATE_EPOCH").ok());
    let mut platforms: Vec<Platform> = Vec::new();
    for platform in &arguments.platform {
        if !platforms.contains(platform) {
            platforms.push(platform.clone());
        }
    }
    if platforms.is_empty() {
        platforms.push(Platform::here());
    }
    let mut annotations = Vec::new();
    for text in &arguments.annotation {
        annotations.extend(annotation(text)?);
    }
    annotations.extend(outputs.iter().flat_map(|output| output.annotations.clone()));
    let Joined { network, way_out, endpoint } = arguments.container.network.last().cloned().unwrap_or_default();
    if let Some(endpoint) = endpoint.filter(|endpoint| endpoint.network != BRIDGE) {
        return Err(RequestError::BuildNetwork(endpoint.network).into());
    }
    let options = Options {
        source,
        text: opened.text.clone(),
        origin: opened.origin.clone(),
        context: opened.directory.clone(),
        ignore: opened.ignore.clone(),
        named: Contexts::default(),
        project: Digest::of(opened.project.as_bytes()),
        build_args,
        target: arguments.target.clone(),
        platform: platforms[0].clone(),
        platforms,
        labels: arguments.container.label.clone(),
        names: {
            let tagged = arguments.tag.iter().map(|name| name.clone().or_latest());
            tagged.chain(outputs.iter().flat_map(|output| output.names.clone())).collect()
        },
        no_cache: arguments.no_cache,
        no_cache_stages: arguments.no_cache_filter.clone(),
        limits: Limits::default(),
        ulimits: arguments.container.ulimit.clone(),
        shm_size: arguments.container.shm_size,
        pull: arguments.pull,
        registries: settings(true),
        transfers: Box::new(Printer::new(arguments.quiet, true)),
        way_out,
        allows_host_network: network == Network::Host || arguments.idle.allows_host_network(),
        network: match &network {
            Network::Private => RunNetwork::Own,
            Network::Host => RunNetwork::Host,
            Network::None => RunNetwork::None,
            Network::Container(name) => return Err(RequestError::Network(format!("container:{name}")).into()),
        },
        hosts: arguments.container.add_host.clone(),
        secrets: arguments.secret.iter().map(|text| secret(text)).collect::<Result<_, _>>()?,
        agents: arguments.ssh.iter().map(|text| agent(text)).collect::<Result<_, _>>()?,
        squash: arguments.squash,
        attestations: Attestations::default(),
        cache_from: arguments.cache_from.iter().map(|text| cache_from(text)).collect::<Result<_, _>>()?,
        cache_to: {
            let elsewhere = arguments.cache_to.iter().filter(|text| !is_inline(text));
            elsewhere.map(|text| cache_to(text)).collect::<Result<_, _>>()?
        },
        cache_inline: arguments.cache_to.iter().any(|text| is_inline(text)),
        annotations,
        outputs,
        keep_failed: arguments.debug,
        epoch: epoch.and_then(|text| text.trim().parse().ok()),
    };
    Ok(options)
}

/// Prints the last lines of a failed RUN; with `--debug`, opens a shell in the state before it.
fn failed(store: &Store, error: BuildError, progress: &Progress, debugs: bool) -> Result<u8, Failure> {
    progress.tail();
    let BuildError::Failed { state, .. } = &error else { return Err(error.into()) };
    let Some(image) = *state else { return Err(error.into()) };
    crate::cli::stderr::report(&error);
    let image = image.short();
    crate::cli::stderr::note(&format!("image {image} is the state before this step"));
    if debugs && std::io::stdin().is_terminal() {
        crate::cli::stderr::note("opening a shell in a container of it; leave it with exit");
        let _ = inside::again(store, &["run", "-it", "--network", "host", "--entrypoint", "/bin/sh", &image]);
    } else {
        eprintln!("      look inside: minirun run -it --entrypoint /bin/sh {image}");
    }
    Ok(1)
}
