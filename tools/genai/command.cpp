#include "command.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/log.h"
#include "genai/models/registry.h"
#include "genai/run/checkpoint.h"

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
    case FieldType::integers:
      return " N,N,...";
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
  for (const Json& item : value) text += (text.empty() ? "" : ",") + item.dump();
  return text;
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
      if (field.name == "family") continue;   // --model says it
      const std::string last = last_part(field.name);
      const std::string name = "--" + (!field.option.empty() ? field.option
                                       : kebab(uses[last] == 1 ? last : field.name));
      const std::string path = section.name + "." + field.name;
      const Json* preset = settings.find(path);
      FieldOption option{.path = path,
                         .section = section.name,
                         .field = field,
                         .shown_default = typed(preset ? *preset : field.default_value),
                         .option = name,
                         .given = nullptr,
                         .text = std::make_shared<std::string>()};
      option.given = app.add_option(name, *option.text, field.doc);
      if (field.type == FieldType::boolean) option.given->expected(0, 1);
      fields_.push_back(std::move(option));
    }
  }
}

void Command::apply_fields(Settings& settings) const {
  for (const FieldOption& option : fields_) {
    if (option.given->count() == 0) continue;
    const std::string text = option.field.type == FieldType::boolean && option.text->empty()
                                 ? "true"
                                 : *option.text;
    settings.set(option.path, value_from_text(option.field, text), option.option);
  }
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
    const bool described = std::any_of(fields_.begin(), fields_.end(), [&](const FieldOption& f) {
      return f.given == option;
    });
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

int execute(const Verb& verb, const Arguments& arguments) {
  std::unique_ptr<Command> command;
  try {
    command = verb.make(arguments);
    // CLI11 takes its arguments from the back.
    command->app.parse(Arguments(arguments.rbegin(), arguments.rend()));
    return command->run();
  } catch (const CLI::CallForHelp&) {
    std::cout << command->help();
    return 0;
  } catch (const CLI::ExtrasError&) {
    std::vector<std::string> known;
    for (const CLI::Option* option : command->app.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    const Arguments rest = command->app.remaining();
    const std::string culprit = rest.empty() ? "" : rest.front().substr(0, rest.front().find('='));
    const std::string near = nearest(culprit, known);
    log_error(concat("genai ", verb.name, " has no option '", culprit, "'",
                     near.empty() ? "" : "; did you mean '" + near + "'?", " (see: genai ",
                     verb.name, " --help)"));
    return static_cast<int>(ErrorKind::usage);
  } catch (const CLI::ParseError& error) {
    log_error(concat(error.what(), " (see: genai ", verb.name, " --help)"));
    return static_cast<int>(ErrorKind::usage);
  } catch (const Error& error) {
    log_error(error.what());
    return static_cast<int>(error.kind());
  } catch (const c10::Error& error) {
    log_error(error.what_without_backtrace());
    return static_cast<int>(ErrorKind::failure);
  } catch (const std::bad_alloc&) {
    log_error("out of memory; a smaller --batch needs less");
    return static_cast<int>(ErrorKind::failure);
  } catch (const std::exception& error) {
    log_error(error.what());
    return static_cast<int>(ErrorKind::failure);
  }
}

std::string peek(const Arguments& arguments, const std::string& option) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == option && i + 1 < arguments.size()) return arguments[i + 1];
    if (arguments[i].rfind(option + "=", 0) == 0) return arguments[i].substr(option.size() + 1);
  }
  return "";
}

std::string peek_positional(const Arguments& arguments, const std::vector<std::string>& valued) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (std::find(valued.begin(), valued.end(), arguments[i]) != valued.end()) {
      ++i;
    } else if (arguments[i].empty() || arguments[i][0] != '-') {
      return arguments[i];
    }
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
  if (!model.empty()) return newest_run_of(model, runs_folder(runs));
  return find_run(run.empty() ? "last" : run, runs_folder(runs));
}

RunOption RunOption::peek_from(const Arguments& arguments) {
  RunOption option;
  option.model = peek(arguments, "--model");
  option.runs = peek(arguments, "--runs");
  if (!arguments.empty() && !arguments[0].empty() && arguments[0][0] != '-') {
    option.run = arguments[0];
  }
  return option;
}

const FieldTable& sampling_table(const Arguments& arguments) {
  const RunOption run = RunOption::peek_from(arguments);
  if (!run.given()) return families().front().sampling;
  const RunReference reference = run.find();
  const Manifest manifest =
      read_manifest(find_checkpoint(reference.folder, reference.checkpoint));
  return find_family(manifest.config.at("model").at("family")).sampling;
}

void ComputeOption::add(Command& command) {
  command.app.add_option("--device", device, "auto, cpu, cuda or cuda:N")->type_name("DEVICE");
  command.app.add_option("--threads", threads, "CPU threads; 0: as the run was trained with")
      ->type_name("N")
      ->check(CLI::Range(0, 1024));
}

Settings usual_sampling(const DataInfo& data) {
  Settings settings;
  if (data.is_series()) settings.set("sampling.temperature", 1.0, "of a series");
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

Json read_config(const std::string& path) {
  constexpr uint64_t kMaxConfig = 1 << 20;
  return parse_json(read_file(path, kMaxConfig), path, ErrorKind::usage);
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
