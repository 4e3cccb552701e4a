// A verb that runs the job of its name: the fields of the job's request are its options.
#pragma once
#include "command.h"
#include "terminal_events.h"

namespace genai::tool {

/// What a job came to, for a verb to print.
struct Finished {
  const Json& result;
  TerminalEvents& events;
  const Command& command;
  bool json;          ///< as one JSON value
  bool preview;       ///< pictures as text even without a terminal
  bool default_runs;  ///< runs are in the usual folder
  std::filesystem::path runs;

  bool given(const std::string& option) const { return command.app.count(option) > 0; }
  /// A picture is shown on terminals, and where that is asked for.
  bool shows_pictures() const;
};

struct JobVerb {
  const char* name;
  std::vector<std::string> examples;
  std::vector<std::string> words = {};  ///< see Command::add_form
  size_t needed = 0;                    ///< words that must be there
  bool runs = true;                     ///< --runs
  bool computes = false;                ///< --device, --threads
  bool exact = false, preview = false;  ///< these options
  bool any_options = false;  ///< where the request names no run or preset, options of any family
                             ///< are read, so that the job can say what is missing
  /// Is the first word not RUN? @param of_preset  --model names the run
  bool (*skips_run)(const Arguments& words, bool of_preset) = nullptr;
  /// Completes the request by the verb's own options, and refuses those that do not fit it.
  void (*complete)(Settings& given, const Command& command) = nullptr;
  /// Returns the exit code. null: the result is printed as JSON, or its files by name.
  int (*print)(const Finished& finished) = nullptr;
  TerminalEvents::PrintPart print_part = nullptr;
  const char* json = "one JSON object as the result";
};

std::unique_ptr<Command> make_verb(const JobVerb& verb, const Arguments& arguments);

/// The usual end: JSON, or a line for each of "files".
int print_files(const Finished& finished);

}  // namespace genai::tool
