//! The suite, linked once: one module for each capability, always through the binary. A new file is one more line here
//! (`layering::every_file_of_tests_is_in_the_suite`). `cargo test --test suite network::` runs one module, `tests/run network`
//! the same as each of the users.

#![allow(unreachable_pub)]

mod common;

mod build_apt;
mod build_attestations;
mod build_cache;
mod build_call;
mod build_carry;
mod build_contexts;
mod build_corners;
mod build_dockerfile;
mod build_network;
mod build_outputs;
mod build_peers;
mod build_platforms;
mod build_steps;
mod build_web;
mod circles;
mod compatibility;
mod completion;
mod container_attach;
mod container_flags;
mod container_isolation;
mod container_layering;
mod container_lifecycle;
mod container_limits;
mod container_logs;
mod container_manage;
mod container_namespaces;
mod container_pause;
mod container_reliability;
mod container_run;
mod container_stats;
mod container_terminal;
mod cp;
mod docs;
mod docs_run_lines;
mod doctor;
mod escapes;
mod format;
mod fuzzed;
mod habits;
mod help;
mod image_archives;
mod image_commands;
mod image_commit;
mod image_prune;
mod image_store;
mod inside;
mod inspect;
mod json;
mod layering;
mod network;
mod probe;
mod recipes;
mod registry_faults;
mod registry_hostile;
mod registry_login;
mod registry_pull;
mod registry_uploads;
mod sandbox;
mod script;
mod see;
mod store_age;
mod store_damage;
mod system;
mod system_prune;
mod unpack_hostile;
mod volume;
mod watch;
mod way_out;
mod why;
mod why_mistakes;
