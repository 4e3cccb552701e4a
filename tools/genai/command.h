// What the verbs share: options from described fields, help, results and exit codes.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "genai/app/job.h"
#include "genai/base/settings.h"
#include "genai/base/text.h"

namespace genai::tool {

using Arguments = std::vector<std::string>;

/// One verb: its options, help and action.
class Command {
 public:
  Command(std::string name, std::string about, std::vector<std::string> examples);
  virtual ~Command() = default;

  CLI::App app;
  std::vector<std::string> examples;  ///< three, shown first
  std::function<int()> run;           ///< returns the exit code

  /// Every field of the form as an option (option_names). The help shows its usual values as
  /// defaults.
  /// @param words  fields of "request" that come as words without a dash, in this order; a list
  ///               takes all that are left
  void add_form(const RequestForm& form, const std::vector<std::string>& words = {});
  /// What was given: fields of "request", and others with the option as origin.
  /// @param skipped  of the words' fields: those at the front that no word is for
  Settings given(size_t skipped = 0) const;
  const Arguments& words() const { return words_; }

  /// Throws Error{usage} where an argument or the value of an option is empty that may not be.
  void refuse_empty_values(const Arguments& arguments) const;
  /// A message of the library, which names settings by their path, with the options instead: those
  /// of the request, those that were given, and those it advises.
  std::string with_options(const std::string& message) const;

  /// An option that a field becomes for some of the families.
  struct FamilyOption {
    bool valued = true;      ///< a value follows it
    std::string families{};  ///< "transformer, rnn"
  };
  /// Those of all families by name; none where the verb has no fields of a family.
  std::map<std::string, FamilyOption> options_of_families() const;
  /// "-n", "--out", and "RUN" for words.
  std::vector<std::string> known_options() const;

  std::string help() const;
  std::string markdown() const;

 private:
  struct FieldOption {
    std::string path;  // "model.latent"
    std::string section;
    Field field;
    std::string shown_default;
    std::string option;            // "--latent", "RUN"
    CLI::Option* given = nullptr;  // null: a word
    std::shared_ptr<std::string> text = std::make_shared<std::string>();
    std::shared_ptr<Arguments> texts = std::make_shared<Arguments>();

    std::string name() const;  // with what stands for its value
    Json value(const std::string& from) const;
  };
  std::string description_of(const FieldOption& option) const;
  void add_option(FieldOption& option);
  void give_words(Settings& settings, size_t skipped) const;
  std::string option_of(const std::string& path, const std::string& message, size_t at) const;
  std::vector<std::pair<std::string, std::string>> rows(const std::string& section) const;

  std::vector<FieldOption> fields_;
  std::vector<size_t> word_fields_;  // of fields_
  Arguments words_;
};

/// Repeated options count as everywhere: the last one, or, where several values are wanted, one
/// value each; what follows is the next argument.
void set_repetition(CLI::App& app);

/// Prints a JSON value as one line on stdout.
void print_json(const Json& json);

/// stderr line for people; nothing after --quiet.
void say(const std::string& text);
void set_quiet();
bool is_quiet();

struct Verb {
  const char* name;
  std::unique_ptr<Command> (*make)(const Arguments&);
};
const std::vector<Verb>& verbs();

/// Parses and runs; every outcome becomes an exit code.
int execute(const Verb& verb, const Arguments& arguments);

/// The page of `genai help`.
std::string overview();

std::unique_ptr<Command> make_help(const Arguments& arguments);

}  // namespace genai::tool
