#include "command.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/log.h"
#include "genai/base/signals.h"
#include "genai/data/unicode.h"
#include "genai/models/registry.h"
#include "genai/training/config.h"
#include "grammar.h"

namespace genai::tool {
namespace {

bool quiet = false;

std::string value_hint(const Field& field) {
  if (!field.hint.empty()) return " " + field.hint;
  switch (field.type) {
    case FieldType::boolean:
      return "";
    case FieldType::integer:
      return " N";
    case FieldType::number:
      return " X";
    case FieldType::text:
    case FieldType::texts:
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

/// May the option stand alone, with a value only where one is wanted?
bool has_optional_value(const Field& field) {
  return field.hint.starts_with('[');
}

/// ",--pairs": options of settings that have another name today.
std::string old_names(const std::string& path) {
  std::string names;
  for (const RenamedSetting& renamed : renamed_settings()) {
    if (renamed.now != path || !renamed.of_true.is_null()) continue;
    std::string name = last_part(renamed.before);
    std::ranges::replace(name, '_', '-');
    names += ",--" + name;
  }
  return names;
}

std::string entry(const std::string& left, const std::string& right) {
  constexpr size_t kLeft = 30;
  return "  " + padded(left, kLeft - 2) + (left.size() + 2 >= kLeft ? "  " : "") + right + "\n";
}

std::string cell(std::string value) {
  for (size_t at = 0; (at = value.find('|', at)) != std::string::npos; at += 2) {
    value.insert(at, "\\");
  }
  return value;
}

/// "RUN" of the field "run"
std::string word_name(const Field& field) {
  if (!field.hint.empty()) return field.hint;
  std::string name = field.name;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

std::string option_label(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name(true);
  std::string name;
  for (const std::string& part : option.get_snames()) name += "-" + part + ", ";
  for (const std::string& part : option.get_lnames()) name += "--" + part + ", ";
  name.resize(name.size() - 2);
  // CLI11 appends its checks to the type: "N:INT in [0 - 64]".
  const std::string type = option.get_type_name();
  return option.get_expected_max() > 0 ? name + " " + type.substr(0, type.find(':')) : name;
}

}  // namespace

Command::Command(std::string name, std::string about, std::vector<std::string> example_lines)
    : app(std::move(about), std::move(name)), examples(std::move(example_lines)) {
  app.set_help_flag("-h,--help", "this page");
  app.add_flag_callback(
      "-q,--quiet", [] { set_quiet(); }, "results and errors only");
}

std::string Command::FieldOption::name() const {
  return given ? option + value_hint(field) : option;
}

std::string Command::description_of(const FieldOption& option) const {
  const std::string& usual = option.shown_default;
  return with_options(option.field.doc) + (usual.empty() ? "" : " (" + usual + ")");
}

Json Command::FieldOption::value(const std::string& from) const {
  if (!is_utf8(from)) {
    fail(ErrorKind::usage, option, ": expected UTF-8, found '", valid_utf8(from),
         "'; rename the file, folder or column that is called so");
  }
  return value_from_text(field, from);
}

void Command::add_form(const RequestForm& form, const std::vector<std::string>& words) {
  const auto names = option_names(form.sections);
  for (const Section& section : form.sections) {
    for (const Field& field : section.table) {
      if (field.name == "family") continue;  // --model says it
      const std::string path = section.name + "." + field.name;
      const Json* usual = form.usual.find(path);
      FieldOption option{.path = path,
                         .section = section.name,
                         .field = field,
                         .shown_default = section.name == "request"
                                              ? ""
                                              : typed_text(usual ? *usual : field.default_value),
                         .option = names.at(path)};
      const auto word = std::ranges::find(words, field.name);
      if (section.name == "request" && word != words.end()) {
        option.option = word_name(field);
      } else {
        add_option(option);
      }
      fields_.push_back(std::move(option));
    }
  }
  for (const std::string& word : words) {
    const auto field = std::ranges::find(fields_, "request." + word, &FieldOption::path);
    word_fields_.push_back(static_cast<size_t>(field - fields_.begin()));
  }
  if (!words.empty()) app.add_option("words", words_);
}

void Command::add_option(FieldOption& option) {
  const std::string names = option.option + old_names(option.path);
  if (option.field.type == FieldType::texts) {
    option.given = app.add_option(names, *option.texts, option.field.doc);
  } else if (option.field.type == FieldType::boolean && option.section == "request") {
    option.given = app.add_flag(names, *option.text, option.field.doc);
  } else {
    option.given = app.add_option(names, *option.text, option.field.doc);
    if (option.field.type == FieldType::boolean || has_optional_value(option.field))
      option.given->expected(0, 1);
  }
}

Settings Command::given(size_t skipped) const {
  Settings settings;
  for (const FieldOption& option : fields_) {
    if (!option.given || option.given->count() == 0) continue;
    const std::string origin = option.section == "request" ? "" : option.option;
    if (option.field.type == FieldType::texts) {
      Json list = Json::array();
      for (const std::string& text : *option.texts) list.push_back(option.value(text)[0]);
      settings.set(option.path, list, origin);
      continue;
    }
    const bool bare = option.text->empty();
    const std::string text = bare && option.field.type == FieldType::boolean ? "true"
                             : bare && has_optional_value(option.field)      ? "newest"
                                                                             : *option.text;
    settings.set(option.path, option.value(text), origin);
  }
  give_words(settings, skipped);
  return settings;
}

void Command::give_words(Settings& settings, size_t skipped) const {
  size_t next = 0;
  for (size_t i = skipped; i < word_fields_.size() && next < words_.size(); ++i) {
    const FieldOption& field = fields_[word_fields_[i]];
    if (field.field.type == FieldType::texts) {
      Json list = Json::array();
      for (; next < words_.size(); ++next) list.push_back(field.value(words_[next])[0]);
      settings.set(field.path, list, "");
    } else {
      settings.set(field.path, field.value(words_[next++]), "");
    }
  }
  if (next == words_.size()) return;
  const std::string& name = app.get_name();
  fail(ErrorKind::usage, "genai ", name, " takes no further argument '", valid_utf8(words_[next]),
       "' (see: genai ", name, " --help)");
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
    const bool setting = std::ranges::any_of(fields_, [&](const FieldOption& described) {
      return described.given == option && described.section != "request";
    });
    if (option && (setting || before == "--prompt")) continue;  // of no text: as without it
    fail(ErrorKind::usage, option ? before : "genai " + app.get_name(),
         ": expected a value, found ''; leave it out, or is the variable of your script empty?");
  }
}

std::map<std::string, Command::FamilyOption> Command::options_of_families() const {
  std::map<std::string, FamilyOption> options;
  const bool sampling =
      std::ranges::find(fields_, "sampling", &FieldOption::section) != fields_.end();
  const bool training =
      std::ranges::find(fields_, "training", &FieldOption::section) != fields_.end();
  if (!sampling && !training) return options;
  for (const Family& family : families()) {
    Command other("", "", {});
    other.add_form({.sections = sampling ? std::vector<Section>{{"sampling", family.sampling}}
                                         : run_sections(family)});
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

/// The option that stands for a path at this place of a message, or the path itself.
std::string Command::option_of(const std::string& path, const std::string& message,
                               size_t at) const {
  const bool begins = at == 0 || message[at - 1] == '\n';
  const size_t end = at + path.size();
  const bool headed = end < message.size() && message[end] == ':';
  const auto field = std::ranges::find(fields_, path, &FieldOption::path);
  if (path.starts_with("request.")) {
    if (field != fields_.end()) return field->option;
    std::string name = "--" + path.substr(path.find('.') + 1);  // of the verb itself: --runs
    std::ranges::replace(name, '_', '-');
    return name;
  }
  if (field == fields_.end() || !field->given) return path;
  const bool told = begins && headed && field->given->count() > 0;
  const bool advised = at > 0 && !headed && (message[at - 1] == ' ' || message[at - 1] == '(');
  return told || advised ? field->option : path;
}

std::string Command::with_options(const std::string& message) const {
  const auto is_part = [&](size_t at) {
    const auto c = static_cast<unsigned char>(message[at]);
    return std::isalnum(c) || c == '_' || c == '.';
  };
  std::string text;
  for (size_t at = 0; at < message.size();) {
    size_t end = at;
    while (end < message.size() && is_part(end)) ++end;
    if (end == at) {
      text += message[at++];
      continue;
    }
    while (end > at && message[end - 1] == '.') --end;  // the end of a sentence
    const std::string word = message.substr(at, end - at);
    text += word.find('.') == std::string::npos ? word : option_of(word, message, at);
    at = std::max(end, at);
    if (word.empty()) text += message[at++];
  }
  return text;
}

std::vector<std::string> Command::known_options() const {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    for (const std::string& name : option->get_snames()) known.push_back("-" + name);
  }
  for (const size_t word : word_fields_) known.push_back(fields_[word].option);
  return known;
}

/// Of a section; "request" holds the verb's own options too, words first.
std::vector<std::pair<std::string, std::string>> Command::rows(const std::string& section) const {
  std::vector<std::pair<std::string, std::string>> rows;
  const bool own = section == "request";
  if (own) {
    for (const size_t word : word_fields_)
      rows.emplace_back(fields_[word].name(), description_of(fields_[word]));
  }
  for (const FieldOption& option : fields_) {
    if (option.section == section && option.given)
      rows.emplace_back(option.name(), description_of(option));
  }
  if (!own) return rows;
  for (const CLI::Option* option : app.get_options()) {
    const bool field = std::ranges::find(fields_, option, &FieldOption::given) != fields_.end();
    if (!field && (!option->get_positional() || word_fields_.empty()))
      rows.emplace_back(option_label(*option), option->get_description());
  }
  return rows;
}

std::string Command::help() const {
  std::string text = "genai " + app.get_name() + ": " + app.get_description() + "\n\n";
  for (const std::string& example : examples) text += "  " + example + "\n";
  text += "\n";
  for (const auto& [name, description] : rows("request")) text += entry(name, description);
  std::string section = "request";
  for (const FieldOption& option : fields_) {
    if (option.section == section) continue;
    section = option.section;
    text += "\n" + section + ":\n";
    for (const auto& [name, description] : rows(section)) text += entry(name, description);
  }
  return text;
}

std::string Command::markdown() const {
  std::string text = "## genai " + app.get_name() + "\n\n" + app.get_description() + "\n\n```\n";
  for (const std::string& example : examples) text += example + "\n";
  text += "```\n\n| option | |\n| --- | --- |\n";
  std::vector<std::string> sections{"request"};
  for (const FieldOption& option : fields_) {
    if (sections.back() != option.section) sections.push_back(option.section);
  }
  for (const std::string& section : sections) {
    for (const auto& [name, description] : rows(section)) {
      text += "| `" + cell(name) + "` | " + cell(description) + " |\n";
    }
  }
  return text + "\n";
}

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

namespace {

/// What is wrong with the first argument that nothing took.
std::string extra_argument(const Verb& verb, const Command& command) {
  const Arguments rest = command.app.remaining();
  const std::string culprit = rest.empty() ? "" : rest.front().substr(0, rest.front().find('='));
  if (!culprit.starts_with('-')) {
    return concat("genai ", verb.name, " takes no further argument '", culprit, "' (see: genai ",
                  verb.name, " --help)");
  }
  const auto of_families = command.options_of_families();
  if (const auto option = of_families.find(culprit); option != of_families.end()) {
    const char* of_one = std::string_view(verb.name) == "train" ? "--model PRESET" : "RUN";
    return concat(culprit, ": is an option of ", option->second.families,
                  ", not of these settings (see: genai ", verb.name, " ", of_one, " --help)");
  }
  return unknown_option(verb.name, culprit, command.known_options());
}

int parse_and_run(const Verb& verb, const Arguments& arguments, std::unique_ptr<Command>& command) {
  command = verb.make(arguments);
  set_repetition(command->app);
  try {
    // CLI11 takes its arguments from the back.
    command->app.parse(Arguments(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    std::cout << command->help();
    return 0;
  } catch (const CLI::ExtrasError&) {
    fail(ErrorKind::usage, extra_argument(verb, *command));
  } catch (const CLI::ParseError& error) {
    fail(ErrorKind::usage, error.what(), " (see: genai ", verb.name, " --help)");
  }
  command->refuse_empty_values(arguments);
  return command->run();
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
    return parse_and_run(verb, arguments, command);
  } catch (const Cancelled&) {
    const int signal = stop_signal();
    return signal ? 128 + signal : 0;  // 0: nobody reads any more, which is told at the end
  } catch (const Error& error) {
    return failed(error.kind(), command ? command->with_options(error.what())
                                        : Command("", "", {}).with_options(error.what()));
  } catch (const c10::Error& error) {
    return failed(ErrorKind::failure, error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return failed(ErrorKind::failure, "out of memory; a smaller --batch needs less");
  } catch (const std::exception& error) {
    return failed(ErrorKind::failure, reason_of(error));
  }
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

bool is_quiet() {
  return quiet;
}

}  // namespace genai::tool
