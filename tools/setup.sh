# Sourced by the other scripts: installs what the build needs and is missing.
# Nothing that is there already is replaced.

say() { printf '\n== %s\n' "$*"; }

# Debian and Ubuntu packages; asks for sudo only when something is missing.
install_packages() {
  local wanted=(g++ cmake ninja-build ccache pkg-config python3 python3-pip ca-certificates
    libcli11-dev nlohmann-json3-dev libspdlog-dev libpng-dev libjpeg-dev libgif-dev libwebp-dev
    libstb-dev libzip-dev zlib1g-dev libbz2-dev liblzma-dev libssl-dev libcurl4-openssl-dev
    libutf8proc-dev "$@")
  local missing=() package
  for package in "${wanted[@]}"; do
    case "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" in
      *"ok installed") ;;
      *)
        case "$package" in  # a compiler or Python from elsewhere is as good
          g++ | cmake | ccache | python3) command -v "$package" >/dev/null && continue ;;
          ninja-build) command -v ninja >/dev/null && continue ;;
          python3-pip) python3 -m pip --version >/dev/null 2>&1 && continue ;;
        esac
        missing+=("$package") ;;
    esac
  done
  if [ ${#missing[@]} -eq 0 ]; then
    say "packages: all there"
    return
  fi
  command -v apt-get >/dev/null || {
    echo "This script installs packages with apt-get, which is not here. Needed: ${missing[*]}" >&2
    exit 1
  }
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
    command -v sudo >/dev/null || {
      echo "Packages are missing, and this script needs root or sudo to install them." >&2
      echo "Ask an administrator for:  apt-get install ${missing[*]}" >&2
      exit 1
    }
  fi
  say "packages: installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# Sets $clang to a Clang that has libFuzzer, whatever the number behind its name.
install_clang() {
  mkdir -p build
  find_clang() {
    for clang in clang++ $(compgen -c clang++- | grep -E '^clang\+\+-[0-9]+$' | sort -ru); do
      echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
        "$clang" -fsanitize=fuzzer -x c++ - -o build/clang-check 2>/dev/null && return
    done
    return 1
  }
  find_clang || { install_packages clang; find_clang; } ||
    { install_packages libclang-rt-dev; find_clang; } ||
    { echo "No clang++ here has libFuzzer." >&2; exit 1; }
}

# The build with Clang, libFuzzer and both sanitizers (build/fuzz). Clang sees other things than GCC:
# no warning of either is let through.
configure_sanitized() {
  install_packages libgtest-dev
  install_clang
  install_libtorch
  cmake --preset fuzz -DCMAKE_CXX_COMPILER="$clang" -DGENAI_WERROR=ON >build/configure.log 2>&1 ||
    { cat build/configure.log >&2; exit 1; }
}

# LibTorch: the user's own (TORCH_DIR, or the torch of the active Python), else PyTorch's CPU wheel
# in build/torch.
install_libtorch() {
  local version=2.13.0+cpu
  if [ -n "${TORCH_DIR:-}" ]; then
    say "LibTorch: $TORCH_DIR (TORCH_DIR)"
  elif python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' 2>/dev/null; then
    say "LibTorch: the torch of $(command -v python3)"
  elif [ -e build/torch/torch/lib/libtorch_cpu.so ]; then
    say "LibTorch: build/torch"
  else
    say "LibTorch: downloading torch $version (about 200 MB) to build/torch"
    rm -rf build/torch
    local pip=(python3 -m pip install -q --disable-pip-version-check --no-deps --target build/torch)
    PIP_ROOT_USER_ACTION=ignore "${pip[@]}" "torch==$version" 2>/dev/null ||
      PIP_ROOT_USER_ACTION=ignore "${pip[@]}" "torch==$version" \
        --index-url https://download.pytorch.org/whl/cpu
  fi
}

# cmake --build with a line that says how far it is; the compilers' whole output is in build/build.log.
build() {
  local begun=$SECONDS line end='\n'
  [ -t 1 ] && end='\r'
  NINJA_STATUS='[%f/%t] ' cmake --build --preset release -j "$(jobs)" "$@" 2>&1 |
    tee build/build.log |
    while IFS= read -r line; do
      if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
        local built=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]} spent=$((SECONDS - begun)) left
        left=$((built ? spent * (all - built) / built : 0))
        printf "   built %d of %d parts in %d:%02d, about %d:%02d left  $end" "$built" "$all" \
          $((spent / 60)) $((spent % 60)) $((left / 60)) $((left % 60))
      else
        printf '%s\n' "$line"
      fi
    done
  [ -t 1 ] && printf '\n'
  return 0
}

# Two compilers at once need about 3 GB.
jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 1600000)}' /proc/meminfo)
  [ "$memory" -lt "$cores" ] && cores=$memory
  [ "$cores" -lt 1 ] && cores=1
  echo "$cores"
}
