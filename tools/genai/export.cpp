#include <iostream>

#include "command.h"
#include "genai/interop/gpt2.h"

namespace genai::tool {

std::unique_ptr<Command> make_export(const Arguments&) {
  auto command = std::make_unique<Command>(
      "export", "writes a transformer as a folder that Hugging Face's transformers loads as GPT-2",
      std::vector<std::string>{"genai export last --out gpt2",
                               "genai export 8@best --out path/to/gpt2",
                               "genai export --model transformer-nanogpt-cpu --out gpt2"});
  auto run = std::make_shared<RunOption>();
  auto out = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  run->add(*command);
  command->app.add_option("--out", *out, "the folder to write: new or empty")
      ->type_name("DIR")
      ->required();
  command->app.add_flag("--json", *json, "one JSON object as the result");
  command->run = [run, out, json] {
    const RunReference reference = run->find();
    const Checkpoint checkpoint =
        load_checkpoint(find_checkpoint(reference.folder, reference.checkpoint), false);
    export_gpt2(checkpoint, *out);
    if (*json) {
      print_json({{"run", reference.folder.string()},
                  {"step", checkpoint.manifest.step},
                  {"folder", *out}});
    } else {
      std::cout << *out << "\n";
      say("in Python: transformers.GPT2LMHeadModel.from_pretrained('" + *out + "')");
    }
    return 0;
  };
  return command;
}

}  // namespace genai::tool
