// Where main.cpp comes in, once LibTorch is loaded.
#include <iostream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/log.h"
#include "genai/base/signals.h"
#include "genai/core/neighbours.h"
#include "grammar.h"

namespace genai::tool {
namespace {

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
  const std::string name = arguments[0];
  arguments.erase(arguments.begin());
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    if (verb.name == name) return execute(verb, arguments);
    names.push_back(verb.name);
  }
  return report_error(arguments, static_cast<int>(ErrorKind::usage), unknown_verb(name, names));
}

}  // namespace
}  // namespace genai::tool

extern "C" int genai_verbs_main(int argc, char** argv) {
  const genai::tool::Arguments arguments(argv + 1, argv + argc);
  genai::tool::handle_signals(arguments);
  const genai::NeighbourWatch neighbours;
  const int code = genai::tool::main_of(arguments);
  // A result that did not arrive is a failure: the reader went away, the disk is full.
  if (!std::cout.flush() && code == 0) {
    genai::log_error("cannot write to standard output");
    return static_cast<int>(genai::ErrorKind::failure);
  }
  return code;
}
