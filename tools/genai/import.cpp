#include <iostream>

#include "command.h"
#include "genai/interop/gpt2.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

struct ImportOptions {
  std::string folder, out, runs;
  bool json = false;
};

int import_verb(const ImportOptions& options) {
  const ImportedModel model = read_gpt2(options.folder);
  const Numerics numerics = resolve_numerics({.device = "cpu", .precision = Precision::float32});
  const fs::path run =
      create_run(runs_folder(options.runs), "imported-" + model.data.source, options.out);
  save_run(model, run, numerics);
  if (options.json) {
    const Manifest manifest = read_manifest(find_checkpoint(run, ""));
    print_json({{"run", run.string()},
                {"tokenizer", manifest.data.tokenizer->name()},
                {"context", manifest.data.context},
                {"weights_sha256", manifest.weights_sha256()}});
    return 0;
  }
  std::cout << run.string() << "\n";
  const std::string name = options.out.empty() ? "last" : run.string();
  say(concat("next:\n  genai sample ", name, "\n  genai train --config ",
             (run / "config.json").string(), " --init ", name, " --data FILE"));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_import(const Arguments&) {
  auto command = std::make_unique<Command>(
      "import", "makes a run of a GPT-2 from a folder of Hugging Face's transformers",
      std::vector<std::string>{"genai import path/to/gpt2", "genai import gpt2 --out runs/gpt2",
                               "genai import gpt2 --json"});
  auto options = std::make_shared<ImportOptions>();
  CLI::App& app = command->app;
  app.add_option(
         "DIR", options->folder,
         "a folder with config.json, model.safetensors and tokenizer.json (or vocab.json and "
         "merges.txt)")
      ->required();
  app.add_option("--out", options->out, "the run's folder, instead of the next in runs/")
      ->type_name("RUN");
  app.add_option("--runs", options->runs, "folder of the runs ($GENAI_RUNS, or runs)")
      ->type_name("DIR");
  app.add_flag("--json", options->json, "one JSON object as the result");
  command->run = [options] { return import_verb(*options); };
  return command;
}

}  // namespace genai::tool
