# make          one static release binary, ./minirun
# make demo     nginx in a container, from nothing to a second image
# make test     the tests; as root also as the users that .ci/run makes
# make check    formatting and lints
# make bench    minirun beside the engines installed here
# make install  PREFIX=/usr/local

PREFIX ?= /usr/local

.PHONY: all demo test check bench install clean

all:
	@sh .ci/need cargo:cargo cc:gcc /usr/include/stdlib.h:libc6-dev
	cargo build --release
	@ln -sfn target/$$(rustc -vV | sed -n 's/^host: //p')/release/minirun minirun
	@ls -lL minirun | awk '{ printf "./minirun: %.1f MB\n", $$5 / 1e6 }'

demo: all
	@sh demo/run

test:
	@sh .ci/need cargo:cargo cc:gcc /usr/include/stdlib.h:libc6-dev newuidmap:uidmap curl:curl
	@tests/run

check:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

bench: all
	@bench/run

install: all
	install -D -m 755 minirun "$(DESTDIR)$(PREFIX)/bin/minirun"

clean:
	cargo clean
	rm -rf minirun rootfs-fixtures/build
