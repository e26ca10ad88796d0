# make          one static release binary, ./minirun
# make demo     nginx in a container, from nothing to a second image; demo-redmine: Redmine and its database by compose;
#               demo-kernel: a kernel compiled in a container
# make test     the tests; as root also as two other kinds of user, which it makes
# make check    formatting and lints
# make bench    minirun beside the engines installed here
# make install  PREFIX=/usr/local; with the manual's pages and completions for bash, zsh and fish
# make dist     a tarball and a .deb in target/dist

PREFIX ?= /usr/local

.PHONY: all demo demo-redmine demo-kernel test check bench install dist clean

all:
	@sh .ci/need cargo:cargo cc:gcc /usr/include/stdlib.h:libc6-dev
	cargo build --release
	@ln -sfn target/$$(rustc -vV | sed -n 's/^host: //p')/release/minirun minirun
	@ls -lL minirun | awk '{ printf "./minirun: %.1f MB\n", $$5 / 1e6 }'

demo: all
	@sh demo/run

demo-redmine: all
	@PATH="$(CURDIR):$$PATH" sh demo/redmine/run

demo-kernel: all
	@PATH="$(CURDIR):$$PATH" sh demo/kernel/run

test:
	@sh .ci/need cargo:cargo $$(cat .ci/tools)
	@sh .ci/users
	@tests/run

check:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

bench: all
	@bench/run

install: all
	@dist/install ./minirun "$(DESTDIR)$(PREFIX)"
	@case :$$PATH: in *:"$(PREFIX)/bin":*) ;; *) \
	  echo "note: $(PREFIX)/bin is not in PATH; for this shell: export PATH=\"$(PREFIX)/bin:\$$PATH\"" ;; esac

dist:
	@sh .ci/need cargo:cargo cc:gcc dpkg-deb:dpkg git:git
	@dist/build

clean:
	cargo clean
	rm -rf minirun rootfs-fixtures/build
