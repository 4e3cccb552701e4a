#include <unistd.h>

#include <iostream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/picture.h"
#include "genai/base/terminal.h"
#include "genai/data/dataset.h"
#include "genai/data/mnist.h"
#include "genai/generation/generate.h"

namespace genai::tool {
namespace {

struct DataOptions {
  std::string action = "list", source, dir;
  int64_t size = 0, channels = 0;
  bool json = false;
};

std::string state_of(const std::string& source, const std::string& dir) {
  if (source == "digits") return "built in";
  try {
    load_dataset({.source = source, .dir = dir}, false);
    return "here";
  } catch (const Error&) {
    return "not here (genai data fetch " + source + ")";
  }
}

int list_data(const DataOptions& options) {
  std::vector<std::vector<std::string>> rows{{"name", "state", "what"}};
  const std::vector<std::pair<std::string, std::string>> about = {
      {"digits", "procedural handwritten digits, 28x28 grey, 60,000 + 10,000"},
      {"mnist", "handwritten digits, 28x28 grey, 60,000 + 10,000"},
      {"fashion-mnist", "clothes, 28x28 grey, 60,000 + 10,000"}};
  Json json = Json::array();
  for (const auto& [name, text] : about) {
    const std::string state = state_of(name, options.dir);
    rows.push_back({name, state, text});
    json.push_back({{"name", name}, {"state", state}, {"about", text}});
  }
  if (options.json) {
    print_json(json);
  } else {
    std::cout << table(rows) << "\nfolder: " << data_folder(options.dir).string()
              << "   (--data-dir, $GENAI_DATA)\nany folder of PNG, JPEG or BMP files is a data set "
                 "too: --data PATH\n";
  }
  return 0;
}

int fetch_data(const DataOptions& options) {
  if (options.source.empty()) {
    fail(ErrorKind::usage, "data fetch: name a data set: mnist or fashion-mnist");
  }
  FetchOptions fetch;
  const bool terminal = is_terminal(STDERR_FILENO);
  fetch.progress = [&](const std::string& file, uint64_t done, uint64_t total) {
    if (!terminal || total == 0) return;
    std::cerr << "\r\x1b[K" << file << " "
              << bar(static_cast<double>(done) / static_cast<double>(total), 30) << std::flush;
  };
  const auto folder = data_folder(options.dir);
  if (options.source == "mnist") {
    load_mnist(folder, fetch);
  } else if (options.source == "fashion-mnist") {
    load_fashion_mnist(folder, fetch);
  } else {
    fail(ErrorKind::usage, "data fetch: expected mnist or fashion-mnist, found '", options.source,
         "'");
  }
  if (terminal) std::cerr << "\r\x1b[K" << std::flush;
  std::cout << (folder / options.source).string() << "\n";
  return 0;
}

int show_data(const DataOptions& options) {
  if (options.source.empty()) {
    fail(ErrorKind::usage, "data show: name a data set or a folder of images");
  }
  const Dataset data = load_dataset({.source = options.source,
                                     .dir = options.dir,
                                     .size = options.size,
                                     .channels = options.channels});
  const DataInfo& info = data.info;
  std::vector<int64_t> counts(info.classes.size());
  if (data.train.labels.defined()) {
    const auto* labels = data.train.labels.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < data.train.size(); ++i) ++counts[static_cast<size_t>(labels[i])];
  }
  if (options.json) {
    Json json = to_json(info);
    json["train_per_class"] = counts;
    json["notes"] = data.notes;
    print_json(json);
    return 0;
  }
  std::cout << info.source << ": " << info.width << "x" << info.height
            << (info.channels == 1 ? " grey" : " colour") << ", " << info.train_count
            << " for training, " << info.test_count << " for testing\n";
  for (const std::string& note : data.notes) std::cout << "note: " << note << "\n";
  for (size_t i = 0; i < counts.size(); ++i) {
    std::cout << "  " << i << "  " << info.classes[i] << ": " << counts[i] << "\n";
  }
  const int64_t columns = std::max<int64_t>(
      1, (terminal_columns(STDOUT_FILENO) - 2) / (info.width + 2));
  const int64_t shown = std::min(2 * columns, data.train.size());
  if (info.width + 2 <= terminal_columns(STDOUT_FILENO)) {
    const auto images = to_images(data.train.first(shown).images);
    std::cout << half_blocks(grid(images, (shown + columns - 1) / columns, columns),
                             colour_allowed(STDOUT_FILENO));
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_data(const Arguments&) {
  auto command = std::make_unique<Command>(
      "data", "lists, fetches and shows data sets",
      std::vector<std::string>{"genai data", "genai data fetch mnist",
                               "genai data show path/to/pictures"});
  auto options = std::make_shared<DataOptions>();
  CLI::App& app = command->app;
  app.add_option("ACTION", options->action, "list, fetch or show")
      ->check(CLI::IsMember({"list", "fetch", "show"}));
  app.add_option("DATA", options->source, "digits, mnist, fashion-mnist, or a folder");
  app.add_option("--data-dir", options->dir, "folder of the data sets ($GENAI_DATA, or data)")
      ->type_name("DIR");
  app.add_option("--size", options->size, "image folders: width and height")->type_name("N");
  app.add_option("--channels", options->channels, "image folders: 1 grey, 3 colour")
      ->type_name("N");
  app.add_flag("--json", options->json, "JSON as the result");
  command->run = [options] {
    if (options->action == "fetch") return fetch_data(*options);
    if (options->action == "show") return show_data(*options);
    return list_data(*options);
  };
  return command;
}

}  // namespace genai::tool
