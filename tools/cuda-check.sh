#!/usr/bin/env bash
# Tries genai on the GPU of this machine, in about eight minutes with the build, without a network:
#
#   tools/cuda-check.sh [--out FOLDER] [--minutes N] [--only NAME,...] [--device cuda:0]
#   tools/cuda-check.sh pack      puts what the build needs beside LibTorch into build/cuda-carry, from
#                                 the packages of this machine, for one that has none
#
# Needs g++, CMake, ninja and a PyTorch built for CUDA (the torch of `python3`, or TORCH_DIR); the other
# libraries come from the machine or from build/cuda-carry. Started again it goes on where it stopped.
# Writes FOLDER/results.json and FOLDER/results.md (build/cuda-check). --device cpu rehearses it all
# without a GPU. Ends with 1 when a check failed.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh

carry=$PWD/build/cuda-carry

# The headers of these packages, and their libraries with all that they load in turn.
pack() {
  local wanted=(libcli11-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libpng-dev libjpeg-dev
    libjpeg62-turbo-dev libgif-dev libwebp-dev libstb-dev libzip-dev zlib1g-dev libbz2-dev
    liblzma-dev libssl-dev libcurl4-openssl-dev libutf8proc-dev libgtest-dev)
  local libraries link real name
  rm -rf "$carry" && mkdir -p "$carry"
  dpkg -L "${wanted[@]}" | grep -E '^/usr/(include|lib|share/cmake|share/pkgconfig)/' |
    grep -vE 'lib(crypto|ssl|curl|fmt|spdlog|gmock|jpeg|png|png16|stb|utf8proc|webp[a-z]*|z)\.a$' |
    while read -r file; do [ -d "$file" ] || echo "${file#/}"; done | sort -u |
    tar -C / -cT - | tar -xC "$carry"
  libraries=$(dirname "$(find "$carry" -name libpng.so)")
  for link in $(cd "$libraries" && ls ./*.so); do
    readlink -f "${libraries#"$carry"}/$link"
    ldd "${libraries#"$carry"}/$link" | awk '/=> \// {print $3}'
  done | grep -vE '/(libc|libm|libdl|libpthread|librt|libresolv|libstdc\+\+|libgcc_s)[.-]' | sort -u |
    while read -r file; do
      real=$(readlink -f "$file")
      name=$(objdump -p "$real" | awk '/SONAME/ {print $2}')
      cp "$real" "$libraries/$name"
      [ "$name" = "$(basename "$real")" ] || ln -sf "$name" "$libraries/$(basename "$real")"
      [ ! -L "$libraries/${name%%.so*}.so" ] || ln -sfn "$name" "$libraries/${name%%.so*}.so"
    done
  mkdir -p "$carry/usr/bin"
  cp "$(readlink -f "$(command -v pkg-config)")" "$carry/usr/bin/pkgconf"
  ldd "$carry/usr/bin/pkgconf" | awk '/libpkgconf/ {print $3}' | xargs -r -I{} cp {} "$libraries/"
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec "${0%%/*}/pkgconf" "$@"\n' \
    '"${0%/*}/../lib/'"$(basename "$libraries")"'"' >"$carry/usr/bin/pkg-config"
  chmod +x "$carry/usr/bin/pkg-config"
  du -sh "$carry"
}

if [ "${1:-}" = pack ]; then
  pack
  exit
fi

begun=$SECONDS
build=build/cuda
mkdir -p "$build"
options=(-DGENAI_TESTS=ON)
if [ -d "$carry" ]; then
  libraries=$(dirname "$(find "$carry" -name libpng.so)")
  export CMAKE_PREFIX_PATH=$carry/usr PKG_CONFIG_SYSROOT_DIR=$carry
  export PKG_CONFIG_PATH=$libraries/pkgconfig:$carry/usr/share/pkgconfig
  command -v pkg-config >/dev/null || options+=("-DPKG_CONFIG_EXECUTABLE=$carry/usr/bin/pkg-config")
  [ ! -d "$carry/data" ] || export GENAI_DATA=$carry/data
  options+=("-DCMAKE_LIBRARY_PATH=$libraries" "-DCMAKE_INCLUDE_PATH=$carry/usr/include"
    "-DCMAKE_BUILD_RPATH=$libraries" "-DCMAKE_SHARED_LINKER_FLAGS=-Wl,-rpath-link,$libraries,--disable-new-dtags"
    "-DCMAKE_EXE_LINKER_FLAGS=-Wl,-rpath-link,$libraries,--disable-new-dtags")
fi
say "building with $(jobs) jobs"
cmake -S . -B "$build" -G Ninja "${options[@]}" >"$build/configure.log" 2>&1 ||
  { tail -30 "$build/configure.log" >&2; exit 1; }
grep -E '^-- (LibTorch|No headers)' "$build/configure.log" || true
cmake --build "$build" -j "$(jobs)" --target genai_program device_tests -- -k 0 >"$build/build.log" 2>&1 ||
  { grep -E 'error|undefined' "$build/build.log" | head -40 >&2; exit 1; }
say "built in $((SECONDS - begun)) s"
exec python3 tools/cuda_check.py "$build" --spent $((SECONDS - begun)) "$@"
