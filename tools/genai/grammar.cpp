#include "grammar.h"

#include <algorithm>
#include <iostream>
#include <map>

#include "genai/base/fields.h"
#include "genai/base/files.h"
#include "genai/base/log.h"
#include "genai/base/settings.h"

namespace genai::tool {
namespace {

/// Names that other tools have for an option of ours.
const std::map<std::string, std::string> kOtherNames = {
    {"lr", "learning-rate"},
    {"batch-size", "batch"},
    {"bs", "batch"},
    {"epoch", "epochs"},
    {"num-epochs", "epochs"},
    {"n-epochs", "epochs"},
    {"iterations", "steps"},
    {"iters", "steps"},
    {"max-steps", "steps"},
    {"max-iters", "steps"},
    {"num-steps", "steps"},
    {"wd", "weight-decay"},
    {"grad-clip", "clip-norm"},
    {"max-grad-norm", "clip-norm"},
    {"ema", "ema-half-life"},
    {"ema-decay", "ema-half-life"},
    {"warmup-steps", "warmup"},
    {"grad-accum", "accumulate"},
    {"gradient-accumulation-steps", "accumulate"},
    {"dataset", "data"},
    {"data-path", "data"},
    {"data-root", "data-dir"},
    {"input", "data"},
    {"image-size", "size"},
    {"resolution", "size"},
    {"output", "out"},
    {"output-dir", "out"},
    {"outdir", "out"},
    {"out-dir", "out"},
    {"o", "out"},
    {"logdir", "out"},
    {"gpu", "device"},
    {"cuda", "device"},
    {"cpu", "device"},
    {"num-threads", "threads"},
    {"workers", "threads"},
    {"num-workers", "threads"},
    {"dtype", "precision"},
    {"amp", "precision"},
    {"fp16", "precision"},
    {"checkpoint", "RUN"},
    {"ckpt", "RUN"},
    {"run", "RUN"},
    {"num-samples", "-n"},
    {"n-samples", "-n"},
    {"samples", "-n"},
    {"count", "-n"},
    {"num", "-n"},
    {"label", "class"},
    {"temp", "temperature"},
    {"topk", "top-k"},
    {"topp", "top-p"},
    {"cfg", "guidance"},
    {"cfg-scale", "guidance"},
    {"guidance-scale", "guidance"},
    {"max-length", "length"},
    {"max-tokens", "length"},
    {"max-new-tokens", "length"},
    {"block-size", "context"},
    {"seq-len", "context"},
    {"context-length", "context"},
    {"vocab-size", "vocabulary"},
    {"n-layer", "layers"},
    {"num-layers", "layers"},
    {"n-head", "heads"},
    {"num-heads", "heads"},
    {"n-embd", "width"},
    {"hidden-size", "width"},
    {"dim", "width"},
    {"latent-dim", "latent"},
    {"z-dim", "latent"},
    {"latent-size", "latent"},
    {"random-seed", "seed"},
    {"name", "model"},
    {"preset", "model"},
    {"family", "model"},
    {"arch", "model"},
    {"continue", "resume"},
    {"load", "init"},
    {"pretrained", "init"},
    {"finetune", "init"},
    {"verbose", "quiet"}};

std::string other_name(const std::string& option) {
  const auto it = kOtherNames.find(option);
  return it == kOtherNames.end() ? "" : it->second;
}

/// "--condition" of "model.condition"
std::string option_name(const std::string& path) {
  std::string name = "--" + last_part(path);
  std::ranges::replace(name, '_', '-');
  return name;
}

}  // namespace

std::vector<std::string> with_current_names(const std::vector<std::string>& given) {
  std::vector<std::string> arguments;
  for (size_t i = 0; i < given.size(); ++i) {
    const std::string name = given[i].substr(0, given[i].find('='));
    const auto renamed =
        std::ranges::find_if(renamed_settings(), [&](const RenamedSetting& setting) {
          return !setting.of_true.is_null() && name == option_name(setting.before);
        });
    if (renamed == renamed_settings().end()) {
      arguments.push_back(given[i]);
      continue;
    }
    std::string value = name.size() < given[i].size() ? given[i].substr(name.size() + 1) : "true";
    if (i + 1 < given.size() && (given[i + 1] == "true" || given[i + 1] == "false"))
      value = given[++i];
    arguments.push_back(option_name(renamed->now) + "=" +
                        (value == "false" ? "" : renamed->of_true.get<std::string>()));
  }
  return arguments;
}

std::string unknown_verb(const std::string& name, const std::vector<std::string>& verbs) {
  const std::string near = nearest(name, verbs);
  return concat("no verb '", name, "'", near.empty() ? "" : "; did you mean '" + near + "'?",
                " (see: genai help)");
}

std::string unknown_option(const std::string& verb, const std::string& culprit,
                           const std::vector<std::string>& known) {
  std::string typed = culprit;
  std::replace(typed.begin(), typed.end(), '_', '-');
  const std::string other =
      other_name(typed.substr(std::min(typed.size(), typed.find_first_not_of('-'))));
  std::string near;
  for (const std::string& name : known) {
    if (!other.empty() && (name == other || name == "--" + other)) near = name;
  }
  if (near.empty()) near = nearest(typed, known);
  return concat("genai ", verb, " has no option '", culprit, "'",
                near.empty() ? "" : "; did you mean '" + near + "'?", " (see: genai ", verb,
                " --help)");
}

int report_error(const std::vector<std::string>& arguments, int code, const std::string& message) {
  log_error(message);
  if (std::find(arguments.begin(), arguments.end(), "--json") != arguments.end()) {
    const Json json = {{"error", message}, {"exit_code", code}};
    std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
  }
  return code;
}

namespace {

int print_page(const std::string& text) {
  if (std::cout << text << std::flush) return 0;
  log_error("cannot write to standard output");
  return static_cast<int>(ErrorKind::failure);
}

bool is_help(const std::string& word) {
  return word == "--help" || word == "-h";
}

/// The grammar of this version, or null: the verbs themselves know.
Json read_grammar(const std::filesystem::path& path) {
  constexpr uint64_t kMost = 1 << 20;
  try {
    Json grammar = parse_json(read_file(path, kMost), path.string(), ErrorKind::data);
    return grammar.value("version", "") == GENAI_VERSION ? grammar : Json();
  } catch (const Error&) {
    return nullptr;
  }
}

/// The first option that the verb does not have, or empty.
std::string unknown_among(const std::vector<std::string>& arguments, const Json& options) {
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (is_help(word) || word == "--") break;  // pages of a model, and what is no option
    if (!word.starts_with("--")) {
      if (options.value(word, false)) ++i;
      continue;
    }
    const std::string name = word.substr(0, word.find('='));
    if (!options.contains(name)) return name;
    if (options[name] && word == name) ++i;
  }
  return "";
}

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, unused] : object.items()) keys.push_back(key);
  return keys;
}

}  // namespace

std::optional<int> answer_at_once(const std::vector<std::string>& arguments,
                                  const std::filesystem::path& path) {
  if (!arguments.empty() && arguments[0] == "--version") {
    return print_page("genai " GENAI_VERSION "\n");
  }
  const Json grammar = read_grammar(path);
  if (grammar.is_null()) return std::nullopt;
  if (arguments.empty() || is_help(arguments[0]) ||
      (arguments.size() == 1 && arguments[0] == "help")) {
    return print_page(grammar["overview"]);
  }
  const Json& verbs = grammar["verbs"];
  const bool help = arguments[0] == "help" && arguments.size() == 2 && arguments[1][0] != '-';
  const std::string& verb = arguments[help ? 1 : 0];
  const auto refused = [&](const std::string& message) {
    return report_error(arguments, static_cast<int>(ErrorKind::usage), message);
  };
  const auto found = verbs.find(verb);
  if (found == verbs.end()) return refused(unknown_verb(verb, keys_of(verbs)));
  if (help || (arguments.size() == 2 && is_help(arguments[1]))) return print_page((*found)["page"]);
  const Json& options = (*found)["options"];
  const std::string unknown = unknown_among(arguments, options);
  if (!unknown.empty()) return refused(unknown_option(verb, unknown, keys_of(options)));
  return std::nullopt;
}

}  // namespace genai::tool
