#include <iostream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/run/checkpoint.h"

namespace genai::tool {
namespace {

int runs_verb(const std::string& folder, bool json) {
  std::vector<std::vector<std::string>> rows{{"run", "data", "step", "best", "at step"}};
  Json list = Json::array();
  for (const auto& run : list_runs(runs_folder(folder))) {
    const std::string name = run.filename().string();
    try {
      const Manifest m = read_manifest(find_checkpoint(run, ""));
      rows.push_back({name, m.data.source,
                      concat(m.step, m.steps ? concat("/", m.steps) : std::string()),
                      m.best_step < 0 ? "-" : m.objective + " " + number_text(m.best_value, 5),
                      m.best_step < 0 ? "-" : concat(m.best_step)});
      list.push_back({{"run", name},
                      {"preset", m.preset},
                      {"data", m.data.source},
                      {"step", m.step},
                      {"steps", m.steps},
                      {"objective", m.objective},
                      {"best_value", m.best_step < 0 ? Json() : Json(m.best_value)},
                      {"best_step", m.best_step}});
    } catch (const Error& error) {
      rows.push_back({name, "-", "-", "-", error.what()});
      list.push_back({{"run", name}, {"error", error.what()}});
    }
  }
  if (json) {
    print_json(list);
  } else if (rows.size() == 1) {
    std::cout << "no runs in " << runs_folder(folder).string()
              << "/ yet; train one: genai train --model vae --data digits\n";
  } else {
    std::cout << table(rows);
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_runs(const Arguments&) {
  auto command = std::make_unique<Command>(
      "runs", "lists the runs there are",
      std::vector<std::string>{"genai runs", "genai runs --json", "genai runs --runs DIR"});
  auto folder = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command->app.add_option("--runs", *folder, "folder of the runs ($GENAI_RUNS, or runs)")
      ->type_name("DIR");
  command->app.add_flag("--json", *json, "JSON as the result");
  command->run = [folder, json] { return runs_verb(*folder, *json); };
  return command;
}

}  // namespace genai::tool
