// genai VERB [RUN] [options]: parse, call one library function, print, map to an exit code.
#include <fcntl.h>
#include <malloc.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <iostream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/log.h"
#include "genai/base/signals.h"

namespace genai::tool {
namespace {

/// LibTorch's CPU allocator does not cache: without this every large temporary is a new mapping
/// whose pages fault in one by one (measured in docs/results.md).
void tune_malloc() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
}

/// --exact: code paths that every x86-64 CPU of the last decade has, and one thread.
void pin_code_paths() {
  for (const char* setting : {"ATEN_CPU_CAPABILITY=avx2", "ONEDNN_MAX_CPU_ISA=AVX2",
                              "MKL_CBWR=AVX2"}) {
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

/// Training and downloads end in order after a signal; all else may end at once.
void handle_signals(const Arguments& arguments) {
  const bool orderly = !arguments.empty() && (arguments[0] == "train" || arguments[0] == "data");
  if (orderly) {
    install_signal_handlers();
  } else {
    ignore_write_signals();
  }
}

int main_of(Arguments arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    std::cout << overview();
    return 0;
  }
  if (arguments[0] == "--version") {
    std::cout << "genai " << GENAI_VERSION << "\n";
    return 0;
  }
  const std::string name = arguments[0];
  arguments.erase(arguments.begin());
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    if (verb.name == name) return execute(verb, arguments);
    names.push_back(verb.name);
  }
  const std::string near = nearest(name, names);
  log_error(concat("no verb '", name, "'", near.empty() ? "" : "; did you mean '" + near + "'?",
                   " (see: genai help)"));
  return static_cast<int>(ErrorKind::usage);
}

}  // namespace
}  // namespace genai::tool

int main(int argc, char** argv) {
  genai::tool::fill_closed_streams();
  genai::tool::tune_malloc();
  const genai::tool::Arguments arguments(argv + 1, argv + argc);
  for (const std::string& argument : arguments) {
    if (argument == "--exact") genai::tool::pin_code_paths();
  }
  genai::tool::handle_signals(arguments);
  const int code = genai::tool::main_of(arguments);
  // A result that did not arrive is a failure: the reader went away, the disk is full.
  if (!std::cout.flush() && code == 0) {
    genai::log_error("cannot write to standard output");
    return static_cast<int>(genai::ErrorKind::failure);
  }
  return code;
}
