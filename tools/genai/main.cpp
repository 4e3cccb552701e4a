// genai VERB [RUN] [options]: sets up the process, then loads the verbs. Loading LibTorch takes a
// third of a second, so what can be answered without it is: the version, pages of help, an option
// that no model has. And some settings count only when they are made before it is loaded.
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/log.h"
#include "grammar.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

/// LibTorch's CPU allocator does not cache: without this every large temporary is a new mapping
/// whose pages fault in one by one (measured in docs/results.md).
void tune_malloc() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
}

/// What must be the same everywhere: samples of --exact, and what is coded and decoded again.
bool wants_same_bits(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return false;
  return arguments[0] == "compress" || arguments[0] == "decompress" ||
         std::ranges::find(arguments, "--exact") != arguments.end();
}

/// Code paths that every x86-64 CPU of the last decade has. Throws Error{device} on a CPU that is
/// older than that.
void pin_code_paths() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    fail(ErrorKind::device, "code that gives the same bits everywhere (--exact, compress, ",
         "decompress) needs a CPU with AVX2 and FMA (x86-64 from 2013 on), which this one is not; ",
         "without --exact pixels may differ by a grey value or two");
  }
#endif
  for (const char* setting :
       {"ATEN_CPU_CAPABILITY=avx2", "ONEDNN_MAX_CPU_ISA=AVX2", "MKL_CBWR=AVX2"}) {
    putenv(const_cast<char*>(setting));
  }
}

/// A standard stream that the caller closed: the next file opened would take its number, and
/// messages would land in it. Results to a closed standard output stay an error (read-only).
void fill_closed_streams() {
  for (const int stream : {0, 1, 2}) {
    if (fcntl(stream, F_GETFD) == -1 && errno == EBADF) {
      [[maybe_unused]] const int fd = open("/dev/null", stream == 2 ? O_WRONLY : O_RDONLY);
    }
  }
}

/// bin/../lib of this program.
fs::path library_folder() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : program.parent_path().parent_path() / "lib";
}

int run_verbs(const fs::path& folder, const char* program,
              const std::vector<std::string>& arguments) {
  const fs::path library = folder / "libgenai_verbs.so";
  void* verbs = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  const auto run =
      verbs ? reinterpret_cast<int (*)(int, char**)>(dlsym(verbs, "genai_verbs_main")) : nullptr;
  if (!run) {
    log_error(concat("cannot load ", library.string(), ": ", dlerror(),
                     "; build genai again, or set it beside its lib folder"));
    return static_cast<int>(ErrorKind::failure);
  }
  std::vector<char*> words{const_cast<char*>(program)};
  for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  return run(static_cast<int>(words.size()), words.data());
}

int main_of(int argc, char** argv) {
  const auto arguments = with_current_names({argv + 1, argv + argc});
  const fs::path folder = library_folder();
  if (const auto code = answer_at_once(arguments, folder / "genai-grammar.json")) return *code;
  try {
    if (wants_same_bits(arguments)) pin_code_paths();
  } catch (const Error& error) {
    return report_error(arguments, static_cast<int>(error.kind()), error.what());
  }
  // MKL ends the process without a word of use when it is loaded in such a folder.
  std::error_code removed;
  if (fs::current_path(removed).empty()) {
    return report_error(arguments, static_cast<int>(ErrorKind::failure),
                        "the working folder was removed or cannot be seen (" + removed.message() +
                            "); go to another one (cd)");
  }
  return run_verbs(folder, argv[0], arguments);
}

}  // namespace
}  // namespace genai::tool

int main(int argc, char** argv) {
  genai::tool::fill_closed_streams();
  genai::tool::tune_malloc();
  return genai::tool::main_of(argc, argv);
}
