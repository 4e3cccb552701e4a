// What the verbs share: options from described fields, help, results and exit codes.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "genai/base/settings.h"
#include "genai/base/text.h"
#include "genai/core/numerics.h"
#include "genai/data/dataset.h"
#include "genai/run/folder.h"

namespace genai::tool {

using Arguments = std::vector<std::string>;

/// One verb: its options, help and action.
class Command {
 public:
  Command(std::string name, std::string about, std::vector<std::string> examples);

  CLI::App app;
  std::vector<std::string> examples;  ///< three, shown first
  std::function<int()> run;           ///< returns the exit code

  /// Every field of the sections as an option: the last part of its name where that is unique,
  /// else the whole path, in kebab case. The help shows the values of `settings` (of a preset, a
  /// run) as defaults.
  void add_fields(const std::vector<Section>& sections, const Settings& settings = {});
  /// The fields given on the command line, with the option as origin.
  void apply_fields(Settings& settings) const;
  /// Throws Error{usage} where an argument or the value of an option of the verb's own is empty.
  void refuse_empty_values(const Arguments& arguments) const;
  /// A message of the library, which names settings by their path, with the options that were
  /// given.
  std::string with_options(std::string message) const;
  /// " --latent 2 --seed 3": what to type to get from one resolved configuration to another.
  std::string options_between(const Json& usual, const Json& wanted) const;

  /// An option that a field becomes for some of the families.
  struct FamilyOption {
    bool valued = true;      ///< a value follows it
    std::string families{};  ///< "transformer, rnn"
  };
  /// Those of all families by name; none where the verb has no fields.
  std::map<std::string, FamilyOption> options_of_families() const;

  std::string help() const;
  std::string markdown() const;

 private:
  struct FieldOption {
    std::string path;  // "model.latent"
    std::string section;
    Field field;
    std::string shown_default;
    std::string option;  // "--latent"
    CLI::Option* given;
    std::shared_ptr<std::string> text;
    std::string description() const;
  };
  std::vector<std::pair<std::string, std::string>> own_options() const;

  std::vector<FieldOption> fields_;
};

/// The value of an option before the command line is parsed: the fields that a verb has depend on
/// the model, the model on an option. As in parsing, the last one counts.
std::string peek(const Arguments& arguments, const std::string& option);
/// The first argument that is neither an option nor the value of one: of the verb's own options, or
/// of any family's settings and sampling options.
std::string peek_positional(const Arguments& arguments, const CLI::App& app);

/// RUN, or --model NAME for the newest run of a preset; as most verbs take it.
struct RunOption {
  std::string run, model, runs;
  void add(Command& command);
  RunReference find() const;
  /// From raw arguments, or nothing when they name no run. With --model the first word is not RUN.
  /// @param app  with the verb's own options
  static RunOption peek_from(const Arguments& arguments, const CLI::App& app);
  bool given() const { return !run.empty() || !model.empty(); }
};

/// --class: a class by its name or number.
class ClassOption {
 public:
  std::string text;
  void add(Command& command, const std::string& doc);
  /// The help names the classes of the run that the arguments name.
  void name_classes(const RunOption& run);
  /// -1 when it was not given. Throws what find_label does.
  int64_t find(const DataInfo& info) const;

 private:
  CLI::Option* option_ = nullptr;
};

/// The sampling options of the family of the run, the newest one if none is named; of the first
/// family where no run can be found (help).
const FieldTable& sampling_table(const RunOption& run, const Arguments& arguments);

/// Settings that options go over: of a series paths are drawn as the model has them, temperature 1;
/// pictures and texts begin with the defaults of their family.
Settings usual_sampling(const DataInfo& data);

/// --device, --threads of verbs that use a trained model.
struct ComputeOption {
  std::string device = "auto";
  int64_t threads = 0;
  void add(Command& command);
  /// Sets the threads (0: as many as the run was trained with) and says on stderr what auto chose.
  at::Device resolve(int64_t stored_threads) const;
};

/// --seed: the number of the first thing that is made.
void add_seed_option(CLI::App& app, int64_t& first, const std::string& doc);

/// Bytes of a picture whose provenance is read.
inline constexpr uint64_t kMaxPicture = 1 << 30;

/// A file of settings. Throws Error{usage} or Error{data}.
Json read_config(const std::string& path);

/// Prints a JSON object as one line on stdout.
void print_json(const Json& json);

/// stderr line for people; nothing after --quiet.
void say(const std::string& text);
void set_quiet();

// The verbs.
std::unique_ptr<Command> make_train(const Arguments& arguments);
std::unique_ptr<Command> make_sample(const Arguments& arguments);
std::unique_ptr<Command> make_show(const Arguments& arguments);
std::unique_ptr<Command> make_edit(const Arguments& arguments);
std::unique_ptr<Command> make_evaluate(const Arguments& arguments);
std::unique_ptr<Command> make_score(const Arguments& arguments);
std::unique_ptr<Command> make_report(const Arguments& arguments);
std::unique_ptr<Command> make_export(const Arguments& arguments);
std::unique_ptr<Command> make_import(const Arguments& arguments);
std::unique_ptr<Command> make_data(const Arguments& arguments);
std::unique_ptr<Command> make_config(const Arguments& arguments);
std::unique_ptr<Command> make_runs(const Arguments& arguments);
std::unique_ptr<Command> make_inspect(const Arguments& arguments);
std::unique_ptr<Command> make_check(const Arguments& arguments);
std::unique_ptr<Command> make_doctor(const Arguments& arguments);
std::unique_ptr<Command> make_help(const Arguments& arguments);

struct Verb {
  const char* name;
  std::unique_ptr<Command> (*make)(const Arguments&);
};
const std::vector<Verb>& verbs();

/// Parses and runs; every outcome becomes an exit code.
int execute(const Verb& verb, const Arguments& arguments);

/// The page of `genai help`.
std::string overview();

}  // namespace genai::tool
