#!/usr/bin/env bash
# clang-tidy (.clang-tidy) over the units of the build: those whose path matches the pattern (all).
#   tools/tidy.sh 'genai_(base|tool)'    what needs no LibTorch: quick
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

mkdir -p build
install_packages libgtest-dev clang-tidy
install_clang
install_libtorch
tidy=clang-tidy${clang#clang++}
command -v "$tidy" >/dev/null || tidy=clang-tidy

cmake --preset clang -DCMAKE_CXX_COMPILER="$clang" >build/configure.log 2>&1 ||
  { cat build/configure.log >&2; exit 1; }
cmake --build --preset clang --target embedded_presets.cpp >/dev/null

# What the build compiles: the files that stand in "file" of compile_commands.json.
units=($(sed -n 's/^ *"file": "\(.*\)",\?$/\1/p' build/clang/compile_commands.json |
  grep -E "${1:-.}"))
say "$tidy: ${#units[@]} units"
printf '%s\n' "${units[@]}" |
  xargs -P "$(jobs)" -n 1 "$tidy" -p build/clang --quiet --warnings-as-errors='*' 2>build/tidy.log
