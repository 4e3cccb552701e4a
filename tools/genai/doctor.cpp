#include <torch/version.h>
#include <unistd.h>

#include <iostream>
#include <thread>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/terminal.h"
#include "genai/core/device.h"
#include "genai/core/numerics.h"
#include "genai/data/dataset.h"
#include "genai/data/known_sets.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

std::string writable(const fs::path& folder) {
  std::error_code error;
  fs::path existing = fs::absolute(folder, error);
  while (!fs::exists(existing, error) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  return ::access(existing.c_str(), W_OK) == 0 ? "can be written" : "CANNOT be written";
}

/// In its first line whether it is there; behind it what to do where it is not.
std::string state_of(const KnownSet& set) {
  try {
    load_known_set(set, data_folder(""), {.download = false});
    return "here: " + set.about;
  } catch (const Error& error) {
    return std::string("no: ") + error.what();
  }
}

int doctor_verb(bool json) {
  std::string devices;
  for (const std::string& device : list_devices())
    devices += (devices.empty() ? "" : ", ") + device;
  std::vector<std::vector<std::string>> rows{
      {"genai", GENAI_VERSION},
      {"LibTorch", TORCH_VERSION},
      {"devices", devices},
      {"CUDA", why_no_gpu().empty() ? "can be used" : why_no_gpu()},
      {"CPU code", resolve_numerics({}).cpu},
      {"cores", std::to_string(std::thread::hardware_concurrency())},
      {"--precision auto", has_fast_bfloat16(resolve_numerics({}).torch_device())
                               ? "bfloat16 (this hardware has it)"
                               : "float32 (no AMX, AVX512-BF16 or GPU here)"},
      {"runs", runs_folder().string() + "/ " + writable(runs_folder())},
      {"data", data_folder("").string() + "/ " + writable(data_folder(""))},
      {"terminal", concat(terminal_columns(STDOUT_FILENO), " columns, ",
                          colour_allowed(STDOUT_FILENO) ? "colour" : "no colour")}};
  for (const KnownSet& set : known_sets()) {
    if (!set.built_in) rows.insert(rows.end() - 1, {set.name, state_of(set)});
  }
  if (json) {
    Json object = Json::object();
    for (const auto& row : rows) object[row[0]] = row[1];
    object["cores"] = std::thread::hardware_concurrency();
    print_json(object);
  } else {
    for (auto& row : rows) row[1] = row[1].substr(0, row[1].find('\n'));
    std::cout << table(rows);
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_doctor(const Arguments&) {
  auto command =
      std::make_unique<Command>("doctor", "says what this machine has: devices, data sets, folders",
                                std::vector<std::string>{"genai doctor", "genai doctor --json",
                                                         "GENAI_DATA=/data genai doctor"});
  auto json = std::make_shared<bool>(false);
  command->app.add_flag("--json", *json, "one JSON object as the result");
  command->run = [json] { return doctor_verb(*json); };
  return command;
}

}  // namespace genai::tool
