#!/usr/bin/env bash
# Kills consumers of a real Kafka broker and checks that every message had its effects once.
# `demo.sh --help` tells the arguments. Needs java 17 and mvn; exits with 69 if one is missing.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TARGET=${CARGO_TARGET_DIR:-$HERE/../../target}

cargo build --quiet --release --manifest-path "$HERE/Cargo.toml" --example demo

# What the demo could not remove, because it was interrupted, goes away here.
WORK=$(mktemp -d)
clean() {
  for broker in "$WORK"/*/broker; do
    [ ! -d "$broker" ] || "$HERE/broker/broker.sh" kill "$broker"
  done
  rm -rf "$WORK"
}
trap clean EXIT

TMPDIR=$WORK "$TARGET/release/examples/demo" "$@"
