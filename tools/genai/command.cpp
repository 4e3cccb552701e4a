#include "command.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <set>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/log.h"
#include "genai/data/unicode.h"
#include "genai/models/registry.h"
#include "genai/run/checkpoint.h"
#include "genai/training/config.h"
#include "grammar.h"

namespace genai::tool {
namespace {

bool quiet = false;

std::string kebab(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string value_hint(const Field& field) {
  switch (field.type) {
    case FieldType::boolean:
      return "";
    case FieldType::integer:
      return " N";
    case FieldType::number:
      return " X";
    case FieldType::text:
      return " TEXT";
    case FieldType::run:
      return " RUN";
    case FieldType::integers:
      return " N,N,...";
    case FieldType::extent:
      return " N|WxH";
    case FieldType::classes:
      return " CLASS,...";
    case FieldType::choice: {
      std::string hint = " ";
      for (const std::string& choice : field.choices) hint += (hint == " " ? "" : "|") + choice;
      return hint;
    }
  }
  return "";
}

/// As it would be typed: "400,200", "0.001", "10".
std::string typed(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return number_text(value.get<double>(), 6);
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& item : value) text += (text.empty() ? "" : ",") + typed(item);
  return text;
}

/// ",--pairs": options of settings that have another name today.
std::string old_names(const std::string& path) {
  std::string names;
  for (const RenamedSetting& renamed : renamed_settings()) {
    if (renamed.now == path && renamed.of_true.is_null())
      names += ",--" + kebab(last_part(renamed.before));
  }
  return names;
}

/// For a shell: in quotes where it would not be one word of its own.
std::string quoted(const std::string& word) {
  constexpr const char* kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  if (!word.empty() && word.find_first_not_of(kSafe) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string entry(const std::string& left, const std::string& right) {
  constexpr size_t kLeft = 30;
  return "  " + padded(left, kLeft - 2) + (left.size() + 2 >= kLeft ? "  " : "") + right + "\n";
}

}  // namespace

Command::Command(std::string name, std::string about, std::vector<std::string> example_lines)
    : app(std::move(about), std::move(name)), examples(std::move(example_lines)) {
  app.set_help_flag("-h,--help", "this page");
  app.add_flag_callback(
      "-q,--quiet", [] { set_quiet(); }, "results and errors only");
}

void Command::add_fields(const std::vector<Section>& sections, const Settings& settings) {
  std::map<std::string, int> uses;
  for (const Section& section : sections) {
    for (const Field& field : section.table) ++uses[last_part(field.name)];
  }
  for (const Section& section : sections) {
    for (const Field& field : section.table) {
      if (field.name == "family") continue;  // --model says it
      const std::string last = last_part(field.name);
      const std::string name =
          "--" +
          (!field.option.empty() ? field.option : kebab(uses[last] == 1 ? last : field.name));
      const std::string path = section.name + "." + field.name;
      const Json* preset = settings.find(path);
      FieldOption option{.path = path,
                         .section = section.name,
                         .field = field,
                         .shown_default = typed(preset ? *preset : field.default_value),
                         .option = name,
                         .given = nullptr,
                         .text = std::make_shared<std::string>()};
      option.given = app.add_option(name + old_names(path), *option.text, field.doc);
      if (field.type == FieldType::boolean) option.given->expected(0, 1);
      fields_.push_back(std::move(option));
    }
  }
}

void Command::apply_fields(Settings& settings) const {
  for (const FieldOption& option : fields_) {
    if (option.given->count() == 0) continue;
    const std::string text =
        option.field.type == FieldType::boolean && option.text->empty() ? "true" : *option.text;
    if (!is_utf8(text)) {
      fail(ErrorKind::usage, option.option, ": expected UTF-8, found '", valid_utf8(text),
           "'; rename the file, folder or column that is called so");
    }
    settings.set(option.path, value_from_text(option.field, text), option.option);
  }
}

void Command::refuse_empty_values(const Arguments& arguments) const {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const bool joined = argument.starts_with("--") && argument.ends_with('=');
    if (!argument.empty() && !joined) continue;
    const std::string before = joined  ? argument.substr(0, argument.size() - 1)
                               : i > 0 ? arguments[i - 1]
                                       : "";
    const CLI::Option* option = before.starts_with('-') ? app.get_option_no_throw(before) : nullptr;
    const bool field = std::ranges::any_of(
        fields_, [&](const FieldOption& described) { return described.given == option; });
    if (option && (field || before == "--prompt")) continue;  // of no text: as without it
    fail(ErrorKind::usage, option ? before : "genai " + app.get_name(),
         ": expected a value, found ''; leave it out, or is the variable of your script empty?");
  }
}

std::map<std::string, Command::FamilyOption> Command::options_of_families() const {
  std::map<std::string, FamilyOption> options;
  if (fields_.empty()) return options;
  for (const Family& family : families()) {
    Command other("", "", {});
    other.add_fields(fields_.front().section == "sampling"
                         ? std::vector<Section>{{"sampling", family.sampling}}
                         : run_sections(family));
    for (const FieldOption& field : other.fields_) {
      for (const std::string& name : field.given->get_lnames()) {
        FamilyOption& option = options["--" + name];
        option.valued = field.field.type != FieldType::boolean;
        option.families += (option.families.empty() ? "" : ", ") + family.name;
      }
    }
  }
  return options;
}

std::string Command::with_options(std::string message) const {
  for (const FieldOption& option : fields_) {
    if (option.given->count() > 0 && message.starts_with(option.path + ":")) {
      return option.option + message.substr(option.path.size());
    }
  }
  return message;
}

std::string Command::options_between(const Json& usual, const Json& wanted) const {
  std::string text;
  for (const FieldOption& option : fields_) {
    const Json* value = find_path(wanted, option.path);
    const Json* before = find_path(usual, option.path);
    if (!value || (before && *before == *value)) continue;
    // Every digit of a number counts here.
    text += " " + option.option + " " +
            quoted(value->is_number_float() ? value->dump() : typed(*value));
  }
  return text;
}

std::vector<std::pair<std::string, std::string>> Command::own_options() const {
  std::vector<std::pair<std::string, std::string>> own;
  for (const CLI::Option* option : app.get_options()) {
    const bool described = std::any_of(fields_.begin(), fields_.end(),
                                       [&](const FieldOption& f) { return f.given == option; });
    if (described) continue;
    std::string name;
    if (option->get_positional()) {
      name = option->get_name(true);
    } else {
      for (const std::string& part : option->get_snames()) name += "-" + part + ", ";
      for (const std::string& part : option->get_lnames()) name += "--" + part + ", ";
      name.resize(name.size() - 2);
      // CLI11 appends its checks to the type: "N:INT in [0 - 64]".
      const std::string type = option->get_type_name();
      if (option->get_expected_max() > 0) name += " " + type.substr(0, type.find(':'));
    }
    own.emplace_back(name, option->get_description());
  }
  return own;
}

std::string Command::FieldOption::description() const {
  return field.doc + (shown_default.empty() ? "" : " (" + shown_default + ")");
}

std::string Command::help() const {
  std::string text = "genai " + app.get_name() + ": " + app.get_description() + "\n\n";
  for (const std::string& example : examples) text += "  " + example + "\n";
  text += "\n";
  for (const auto& [name, description] : own_options()) text += entry(name, description);
  std::string section;
  for (const FieldOption& option : fields_) {
    if (option.section != section) {
      section = option.section;
      text += "\n" + section + ":\n";
    }
    text += entry(option.option + value_hint(option.field), option.description());
  }
  return text;
}

std::string Command::markdown() const {
  std::string text = "## genai " + app.get_name() + "\n\n" + app.get_description() + "\n\n```\n";
  for (const std::string& example : examples) text += example + "\n";
  text += "```\n\n| option | |\n| --- | --- |\n";
  const auto cell = [](std::string value) {
    for (size_t at = 0; (at = value.find('|', at)) != std::string::npos; at += 2) {
      value.insert(at, "\\");
    }
    return value;
  };
  for (const auto& [name, description] : own_options()) {
    text += "| `" + cell(name) + "` | " + cell(description) + " |\n";
  }
  for (const FieldOption& option : fields_) {
    text += "| `" + cell(option.option + value_hint(option.field)) + "` | " +
            cell(option.description()) + " |\n";
  }
  return text + "\n";
}

namespace {

/// The verb's options by name; "RUN" of those without a dash.
std::vector<std::string> known_options(const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    for (const std::string& name : option->get_snames()) known.push_back("-" + name);
    if (option->get_positional()) known.push_back(option->get_name(true));
  }
  return known;
}

/// Repeated options count as everywhere: the last one, or, where several values are wanted, one
/// value each; what follows is the next argument.
void set_repetition(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_positional()) continue;
    if (option->get_items_expected_max() > 1) {
      option->allow_extra_args(false);
    } else if (option->get_items_expected_max() == 1) {
      option->take_last();
    }
  }
}

}  // namespace

int execute(const Verb& verb, const Arguments& arguments) {
  std::unique_ptr<Command> command;
  const auto failed = [&](ErrorKind kind, std::string message) {
    std::error_code removed;
    if (std::filesystem::current_path(removed).empty())
      message += "\nthe working folder was removed or cannot be seen; go to another (cd)";
    return report_error(arguments, static_cast<int>(kind), message);
  };
  try {
    command = verb.make(arguments);
    set_repetition(command->app);
    // CLI11 takes its arguments from the back.
    command->app.parse(Arguments(arguments.rbegin(), arguments.rend()));
    command->refuse_empty_values(arguments);
    return command->run();
  } catch (const CLI::CallForHelp&) {
    std::cout << command->help();
    return 0;
  } catch (const CLI::ExtrasError&) {
    const Arguments rest = command->app.remaining();
    const std::string culprit = rest.empty() ? "" : rest.front().substr(0, rest.front().find('='));
    if (!culprit.starts_with('-')) {
      return failed(ErrorKind::usage, concat("genai ", verb.name, " takes no further argument '",
                                             culprit, "' (see: genai ", verb.name, " --help)"));
    }
    const auto of_families = command->options_of_families();
    if (const auto option = of_families.find(culprit); option != of_families.end()) {
      const char* of_one = std::string_view(verb.name) == "train" ? "--model PRESET" : "RUN";
      return failed(ErrorKind::usage, concat(culprit, ": is an option of ", option->second.families,
                                             ", not of this family (see: genai ", verb.name, " ",
                                             of_one, " --help)"));
    }
    return failed(ErrorKind::usage,
                  unknown_option(verb.name, culprit, known_options(command->app)));
  } catch (const CLI::ParseError& error) {
    return failed(ErrorKind::usage, concat(error.what(), " (see: genai ", verb.name, " --help)"));
  } catch (const Error& error) {
    return failed(error.kind(), command ? command->with_options(error.what()) : error.what());
  } catch (const c10::Error& error) {
    return failed(ErrorKind::failure, error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return failed(ErrorKind::failure, "out of memory; a smaller --batch needs less");
  } catch (const std::exception& error) {
    return failed(ErrorKind::failure, reason_of(error));
  }
}

std::string peek(const Arguments& arguments, const std::string& option) {
  std::string value;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == option && i + 1 < arguments.size()) value = arguments[i + 1];
    if (arguments[i].rfind(option + "=", 0) == 0) value = arguments[i].substr(option.size() + 1);
  }
  return value;
}

namespace {

/// Does the argument after this option belong to it?
bool takes_value(const std::string& option, const CLI::App& app) {
  if (const CLI::Option* own = app.get_option_no_throw(option)) {
    return own->get_items_expected_min() > 0;
  }
  for (const Family& family : families()) {
    for (const FieldTable* table : {&family.sampling, &family.settings}) {
      for (const Field& field : *table) {
        const std::string name = field.option.empty() ? kebab(last_part(field.name)) : field.option;
        if (option == "--" + name || option == "--" + kebab(field.name)) {
          return field.type != FieldType::boolean;
        }
      }
    }
  }
  return false;
}

}  // namespace

std::string peek_positional(const Arguments& arguments, const CLI::App& app) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.size() < 2 || argument[0] != '-') return argument;
    if (argument.find('=') == std::string::npos && takes_value(argument, app)) ++i;
  }
  return "";
}

void RunOption::add(Command& command) {
  command.app.add_option("RUN", run,
                         "a number (8), last, a name or a path; 8@2000 and 8@best are checkpoints");
  command.app.add_option("--model", model, "instead of RUN: the newest run of this preset")
      ->type_name("PRESET");
  command.app.add_option("--runs", runs, "folder of the runs ($GENAI_RUNS, or runs)")
      ->type_name("DIR");
}

RunReference RunOption::find() const {
  if (!run.empty() && !model.empty()) {
    fail(ErrorKind::usage, "give RUN or --model, not both (RUN is '", run, "')");
  }
  const RunReference found = !model.empty()
                                 ? newest_run_of(model, runs_folder(runs))
                                 : find_run(run.empty() ? "last" : run, runs_folder(runs));
  // Once a process: the options of a verb need the run before the verb itself does.
  static std::set<std::string> told;
  for (const std::string& damage : found.passed_over) {
    if (told.insert(damage).second) log_warning(damage + "; this run is passed over");
  }
  return found;
}

RunOption RunOption::peek_from(const Arguments& arguments, const CLI::App& app) {
  RunOption option;
  option.model = peek(arguments, "--model");
  option.runs = peek(arguments, "--runs");
  if (option.model.empty()) option.run = peek_positional(arguments, app);
  return option;
}

void ClassOption::add(Command& command, const std::string& doc) {
  option_ = command.app.add_option("--class", text, doc)->type_name("CLASS");
}

void ClassOption::name_classes(const RunOption& run) {
  if (!run.given()) return;
  const RunReference reference = run.find();
  const std::string classes =
      class_list(read_manifest(find_checkpoint(reference.folder, reference.checkpoint)).data);
  if (!classes.empty()) option_->description(option_->get_description() + "; one of " + classes);
}

int64_t ClassOption::find(const DataInfo& info) const {
  if (text.empty()) return -1;
  if (info.classes.empty())
    fail(ErrorKind::usage, "--class: this model was not trained with classes");
  return find_label(info, text, "--class");
}

const FieldTable& sampling_table(const RunOption& run, const Arguments& arguments) {
  // Without arguments a page of help is made; with --help the options of the newest run are shown,
  // if there is one.
  const bool asked_for_help = std::any_of(arguments.begin(), arguments.end(), [](const auto& word) {
    return word == "--help" || word == "-h";
  });
  if (arguments.empty()) return families().front().sampling;
  try {
    const RunReference reference = run.find();
    const Manifest manifest =
        read_manifest(find_checkpoint(reference.folder, reference.checkpoint));
    return family_of(manifest.config).sampling;
  } catch (const Error&) {
    if (run.given() && !asked_for_help) throw;
    return families().front().sampling;
  }
}

void ComputeOption::add(Command& command) {
  command.app.add_option("--device", device, "auto, cpu, cuda or cuda:N")->type_name("DEVICE");
  command.app.add_option("--threads", threads, "CPU threads; 0: as the run was trained with")
      ->type_name("N")
      ->check(CLI::Range(0, 1024));
}

Settings usual_sampling(const DataInfo& data) {
  Settings settings;
  if (data.modality == &series_modality()) settings.set("sampling.temperature", 1.0, "of a series");
  return settings;
}

at::Device ComputeOption::resolve(int64_t stored_threads) const {
  NumericsRequest request;
  request.device = device;
  request.precision = Precision::float32;
  request.threads = threads > 0 ? threads : stored_threads;
  const Numerics numerics = resolve_numerics(request);
  if (device == "auto" && numerics.device != "cpu") say("computing on " + numerics.device);
  return numerics.torch_device();
}

void add_seed_option(CLI::App& app, int64_t& first, const std::string& doc) {
  constexpr auto kMost = int64_t{1} << 62;  // others can be counted on from there
  app.add_option("--seed", first, doc)->type_name("N")->check(CLI::Range(int64_t{0}, kMost));
}

Json read_config(const std::string& path) {
  constexpr uint64_t kMaxConfig = 1 << 20;
  // Looked at before the command line is parsed and after: a pipe can be read once alone.
  static std::map<std::string, std::string> texts;
  if (!texts.count(path)) texts[path] = read_input(path, kMaxConfig);
  return parse_json(texts[path], path == "-" ? "standard input" : path, ErrorKind::usage);
}

void print_json(const Json& json) {
  std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
}

void say(const std::string& text) {
  if (!quiet) log_info(text);
}

void set_quiet() {
  quiet = true;
  log_quiet();
}

}  // namespace genai::tool
