//! The words of Dockerfiles, for examples and for hints at mistyped ones.

/// All instructions.
pub(super) const WORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Returns the known word that a mistyped one probably means.
pub(crate) fn guess<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = |word: &str| {
        let mut letters: Vec<char> = word.to_ascii_lowercase().chars().collect();
        letters.sort_unstable();
        letters
    };
    let near = known.into_iter().map(|k| (strsim::levenshtein(&word.to_ascii_lowercase(), &k.to_ascii_lowercase()), k));
    // Two swapped letters count as one mistake.
    let alike = |(distance, k): &(usize, &str)| *distance <= (k.len() / 3).max(1) || letters(word) == letters(k);
    near.filter(alike).min_by_key(|(distance, _)| *distance).map(|(_, k)| k)
}

/// Returns an example of an instruction, as a hint.
pub(super) fn example(word: &str) -> Option<&'static str> {
    Some(match word {
        "FROM" => "as in: FROM alpine, FROM golang AS build",
        "ARG" => "as in: ARG VERSION=1.0",
        "ENV" => "as in: ENV NAME=value OTHER=\"two words\"",
        "LABEL" => "as in: LABEL maintainer=\"me\"",
        "RUN" => "as in: RUN apk add nginx",
        "COPY" => "as in: COPY index.html /usr/share/nginx/html/",
        "ADD" => "as in: ADD files.tar.gz /srv/",
        "EXPOSE" => "as in: EXPOSE 80/tcp",
        "VOLUME" => "as in: VOLUME /data",
        "USER" => "as in: USER nginx",
        "WORKDIR" => "as in: WORKDIR /app",
        "SHELL" => "as in: SHELL [\"/bin/bash\", \"-c\"]",
        "STOPSIGNAL" => "as in: STOPSIGNAL SIGQUIT",
        "HEALTHCHECK" => "as in: HEALTHCHECK --interval=30s CMD wget -q localhost || exit 1",
        "ONBUILD" => "as in: ONBUILD COPY . /app",
        _ => return None,
    })
}
