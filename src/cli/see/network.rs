//! `explain` of a network: draws who is on it.

use crate::cli::human;
use crate::explain::networks::{Member, Picture};
use crate::explain::words::{Language, fill};

/// Draws a network.
pub(super) fn drawn(picture: &Picture, language: Language) -> String {
    let words = language.words();
    let kind = if picture.has_broadcast { words.network_bridges } else { words.network_routes };
    let way = if picture.is_internal { words.network_is_internal } else { words.network_leads_out };
    let subnets = std::iter::once(picture.subnet.as_str()).chain(picture.subnet_v6.as_deref());
    let subnets = subnets.collect::<Vec<_>>().join(", ");
    let title = fill(words.network_is, &[&picture.network, &subnets, &kind, &way]);
    let mut text = human::sentence(&title, 0) + "\n\n";
    let empty = String::new;
    let mut rows = Vec::new();
    let gateways = std::iter::once(&picture.gateway).chain(&picture.gateway_v6);
    for (index, gateway) in gateways.enumerate() {
        let (branch, name) = if index == 0 { ("┬", words.network_itself) } else { ("│", "") };
        rows.push(vec![branch.into(), gateway.clone(), name.into(), empty(), empty(), empty()]);
    }
    for (index, member) in picture.members.iter().enumerate() {
        let is_last = index + 1 == picture.members.len();
        let Member { container, place, published, listening, .. } = member;
        let branch = if is_last { "└" } else { "├" };
        let lists = [&place.aliases, published, listening].map(|list| list.join(", "));
        let cells = [branch.to_owned(), place.address.clone(), container.clone()];
        rows.push(cells.into_iter().chain(lists).collect());
        if let Some(v6) = &place.address_v6 {
            let branch = if is_last { "" } else { "│" };
            rows.push(vec![branch.into(), v6.clone(), empty(), empty(), empty(), empty()]);
        }
    }
    let header =
        ["", words.head_address, words.head_container, words.head_aliases, words.head_published, words.head_listens];
    text += &human::fitted_table(&header, &rows);
    if picture.members.is_empty() {
        text += &format!("\n{}\n", human::sentence(words.network_is_empty, 0));
    }
    if !picture.not_running.is_empty() {
        let names = picture.not_running.join(", ");
        text += &format!("\n{}\n", human::sentence(&fill(words.network_waits_for, &[&names]), 0));
    }
    text
}
