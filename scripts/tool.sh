# Sourced by check scripts: the programs that the gate builds for itself, pinned, under the target directory.

cargo_deny=0.20.2
cargo_fuzz=0.13.2
cbindgen=0.29.4
tools="$CARGO_TARGET_DIR/tools"

# Does nothing if this version is installed already. Unoptimised: these read small files, and the time goes
# into building them. The variables of the workspace build do not apply.
install_tool() {
    env -u CARGO_TARGET_DIR -u RUSTFLAGS CARGO_PROFILE_DEV_DEBUG=false \
        cargo install --debug --root "$tools" --locked "$1" --version "=$2"
}
