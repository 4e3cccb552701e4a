#!/usr/bin/env bash
# From a fresh Debian or Ubuntu to a first picture: installs what is missing, builds the tool,
# trains a small model on the built-in digits for a minute and shows what it makes.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

mkdir -p build
install_packages
install_libtorch

say "building genai (two to five minutes the first time)"
cmake --preset release -DGENAI_TESTS=OFF -DGENAI_WERROR="${GENAI_WERROR:-OFF}" >build/configure.log 2>&1 ||
  { cat build/configure.log >&2; exit 1; }
grep -- '-- LibTorch' build/configure.log || true
build --target genai_program

genai=build/release/bin/genai
say "training a variational autoencoder on the built-in digits (one minute)"
run=$($genai train --model vae --data digits --budget 1m)

say "64 samples"
$genai sample "$run" -n 64 --preview --out "$run/out/quickstart.png"

cat <<EOF

The picture is $run/out/quickstart.png. Type next:

  $genai train --model vae --data mnist     # real digits, two minutes
  $genai sample last -n 64
  $genai evaluate last
  $genai help
EOF
