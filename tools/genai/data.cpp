#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "genai/base/picture.h"
#include "genai/base/terminal.h"
#include "genai/data/unicode.h"
#include "verbs.h"

namespace genai::tool {
namespace {

using Rows = std::vector<std::vector<std::string>>;

void print_notes_of(const Json& result, const Command& command) {
  for (const std::string note : result["notes"])
    std::cout << "note: " << command.with_options(note) << "\n";
}

void print_sets(const Json& result) {
  Rows rows{{"name", "state", "what"}};
  for (const Json& set : result["sets"]) rows.push_back({set["name"], set["state"], set["about"]});
  std::cout << table(rows) << "\nfolder: " << result["folder"].get<std::string>()
            << "   (--data-dir, $GENAI_DATA)\nany folder or ZIP of PNG, JPEG, WebP or BMP files "
               "is a data set too: --data PATH\nany text file can be shown: genai data show FILE\n";
}

/// Words with a space between, in lines as wide as the terminal, each indented by two.
std::string wrapped(const std::vector<std::string>& words) {
  const int64_t columns = std::max(20, terminal_columns(STDOUT_FILENO));
  std::string text;
  int64_t used = columns;
  for (const std::string& word : words) {
    const int64_t width = count_characters(word) + 1;
    if (used + width > columns) {
      text += text.empty() ? " " : "\n ";
      used = 1;
    }
    text += " " + word;
    used += width;
  }
  return text + "\n";
}

/// The characters of the vocabulary, or the first tokens that were learned.
void print_vocabulary(const Json& result) {
  constexpr size_t kBytes = 256;
  const Json& tokenizer = result["tokenizer"];
  const bool characters = tokenizer["kind"] == "characters";
  const auto all = result["vocabulary"].get<std::vector<std::string>>();
  const size_t first = std::min(all.size(), characters ? 0 : kBytes), count = all.size() - first,
               most = characters ? 200 : 40;
  const std::string listed = (count > most ? concat("the first ", most, " of ") : "") +
                             count_text(static_cast<int64_t>(count));
  std::cout << "\nvocabulary: "
            << (characters   ? listed + " characters"
                : count == 0 ? "the 256 bytes"
                             : "the 256 bytes and " + listed + " more")
            << " (" << count_text(tokenizer["used"]) << " of " << count_text(tokenizer["size"])
            << " are in train)\n";
  const auto from = all.begin() + static_cast<std::ptrdiff_t>(first);
  if (count > 0)
    std::cout << wrapped({from, from + static_cast<std::ptrdiff_t>(std::min(count, most))});
}

void print_text(const Json& result, const Command& command) {
  const bool items = result["items"];
  std::cout << result["source"].get<std::string>() << ": "
            << (items ? "an item a line" : "running text") << "; tokenizer "
            << result["tokenizer"]["name"].get<std::string>() << "\n";
  print_notes_of(result, command);
  Rows rows{{"", "bytes", "characters", items ? "items" : "lines", "tokens", "bytes per token"}};
  for (const char* name : {"train", "validation"}) {
    const Json& part = result[name];
    rows.push_back({name, count_text(part["bytes"]), count_text(part["characters"]),
                    count_text(part["lines"]), count_text(part["tokens"]),
                    number_text(part["bytes_per_token"])});
  }
  std::cout << "\n" << table(rows);
  print_vocabulary(result);
  rows = {{"most frequent", "id", "count", "of all"}};
  for (const Json& token : result["frequent"]) {
    const double share = token["count"].get<double>() / result["train"]["tokens"].get<double>();
    rows.push_back({token["token"], token["id"].dump(), count_text(token["count"]),
                    number_text(100 * share, 3) + "%"});
  }
  std::cout << "\n" << table(rows);
  const Json& example = result["example"];
  std::vector<std::string> numbers;
  for (const Json& id : example["ids"]) numbers.push_back(id.dump());
  std::cout << "\nexample: " << count_text(example["characters"]) << " characters, "
            << count_text(static_cast<int64_t>(numbers.size())) << " tokens\n"
            << wrapped(example["tokens"]) << wrapped(numbers);
}

void print_series(const Json& result, const Command& command) {
  constexpr size_t kColumns = 6;
  std::cout << result["source"].get<std::string>() << ": a series of numbers; tokenizer "
            << result["tokenizer"].get<std::string>() << "\n";
  print_notes_of(result, command);
  Rows rows{{"", "values", "lowest", "highest", "first", "last", "tokens"}};
  for (const char* name : {"train", "validation"}) {
    const Json& part = result[name];
    rows.push_back({name, count_text(part["values"]), number_text(part["low"], 6),
                    number_text(part["high"], 6), number_text(part["first"], 6),
                    number_text(part["last"], 6), count_text(part["tokens"])});
  }
  std::cout << "\n"
            << table(rows) << "\nlevels of change"
            << (result["season"].get<int64_t>() > 0 ? " against a season ago" : "")
            << ", each with its count in train\n";
  rows.clear();
  for (const Json& level : result["levels"]) {
    if (rows.empty() || rows.back().size() == kColumns) rows.emplace_back();
    rows.back().push_back(
        concat(level["change"].get<std::string>(), " (", level["count"].get<int64_t>(), ")"));
  }
  rows.back().resize(kColumns);
  std::cout << table(rows);
}

void print_pictures(const Json& result, const std::vector<Image>& pictures,
                    const Command& command) {
  std::cout << result["describes"].get<std::string>() << "\n";
  print_notes_of(result, command);
  const Json& counts = result["train_per_class"];
  for (size_t i = 0; i < counts.size(); ++i) {
    std::cout << "  " << i << "  " << inert(result["classes"][i].get<std::string>()) << ": "
              << counts[i].get<int64_t>() << "\n";
  }
  if (pictures.empty()) return;
  const int64_t columns = (terminal_columns(STDOUT_FILENO) - 2) / (pictures[0].width + 2);
  if (columns < 1) return;
  const int64_t count = std::min(2 * columns, static_cast<int64_t>(pictures.size()));
  const std::vector<Image> first(pictures.begin(), pictures.begin() + count);
  std::cout << half_blocks(grid(first, (count + columns - 1) / columns, columns),
                           colour_allowed(STDOUT_FILENO));
}

int print_data(const Finished& finished) {
  const Json& result = finished.result;
  if (finished.json) {
    print_json(result.contains("sets") ? result["sets"] : result);
  } else if (result.contains("sets")) {
    print_sets(result);
  } else if (result.contains("levels") && result.contains("season")) {
    print_series(result, finished.command);
  } else if (result.contains("vocabulary")) {
    print_text(result, finished.command);
  } else if (result.contains("describes")) {
    print_pictures(result, finished.events.pictures(), finished.command);
  } else {
    std::cout << result["folder"].get<std::string>() << "\n";
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_data(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "data",
      .examples = {"genai data", "genai data show path/to/pictures",
                   "genai data show shakespeare --tokenizer bpe --vocabulary 512"},
      .words = {"action", "source"},
      .runs = false,
      .print = print_data,
      .json = "JSON as the result"};
  return make_verb(verb, arguments);
}

}  // namespace genai::tool
