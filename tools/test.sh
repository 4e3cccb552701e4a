#!/usr/bin/env bash
# Every test: the same set-up as quickstart.sh, then ctest. Arguments go to ctest: -LE slow, -R models.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

mkdir -p build
install_packages libgtest-dev
install_libtorch

say "building everything"
cmake --preset release -DGENAI_TESTS=ON -DGENAI_WERROR="${GENAI_WERROR:-OFF}" >build/configure.log 2>&1 ||
  { cat build/configure.log >&2; exit 1; }
grep -- '-- LibTorch' build/configure.log || true
build

say "testing"
ctest --test-dir build/release --output-on-failure -j "$(jobs)" "$@"
