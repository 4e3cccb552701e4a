#include <iostream>

#include "verbs.h"

namespace genai::tool {
namespace {

std::string rate_name(const std::string& name) {
  return name == "model" ? "the model's own bound" : name == "genai" ? "the whole file" : name;
}

int print_compressed(const Finished& finished) {
  const Json& result = finished.result;
  if (finished.json) return print_files(finished);
  const std::string unit = "bits/" + result["unit"].get<std::string>();
  const double seconds = result["seconds"], items = result["items"];
  say(concat(count_text(result["items"]), " ", result["items_name"].get<std::string>(), " in ",
             duration_text(seconds), ", ", number_text(items / seconds, 3), " a second"));
  std::vector<std::vector<std::string>> rows{{"", "bytes", unit}};
  for (const Json& rate : result["rates"]) {
    rows.push_back({rate_name(rate["name"]),
                    count_text(static_cast<int64_t>(rate["bytes"].get<double>() + 0.5)),
                    number_text(rate["bits"].get<double>(), 4)});
  }
  if (rows.size() > 2) std::cout << table(rows);
  if (rows.size() == 2) say(rows[1][1] + " bytes, " + rows[1][2] + " " + unit);
  return print_files(finished);
}

}  // namespace

std::unique_ptr<Command> make_compress(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "compress",
      .examples = {"genai compress 2 input.txt --out input.genai",
                   "genai compress 1 t10k-images-idx3-ubyte.gz --out t10k.genai --stats",
                   "genai compress last path/to/pictures --out pictures.genai"},
      .words = {"run", "files"},
      .computes = true,
      .skips_run = [](const Arguments&, bool of_preset) { return of_preset; },
      .print = print_compressed};
  return make_verb(verb, arguments);
}

std::unique_ptr<Command> make_decompress(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "decompress",
      .examples = {"genai decompress 2 input.genai --out input.txt",
                   "genai decompress 1 t10k.genai",
                   "genai decompress last pictures.genai --out folder"},
      .words = {"run", "file"},
      .computes = true,
      .skips_run = [](const Arguments&, bool of_preset) { return of_preset; }};
  return make_verb(verb, arguments);
}

}  // namespace genai::tool
