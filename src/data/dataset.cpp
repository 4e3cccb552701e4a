#include "genai/data/dataset.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/data/known_sets.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

FieldTable shared_fields() {
  return describe<DataConfig>()
      .field("source", &DataConfig::source,
             known_set_names() +
                 ", or the path of a folder of images, a text file, a folder of texts or a "
                 "series of numbers (CSV)")
      // A folder may have moved; that it holds the same images, the fingerprint tells.
      .resumable()
      .option("data")
      .field("dir", &DataConfig::dir, "folder of the data sets; empty: $GENAI_DATA, or data/ here")
      .resumable()
      .option("data-dir")
      .field("test_share", &DataConfig::test_share,
             "image folders without train/ and test/, texts: share kept for testing",
             Range{.min = 0, .max = 0.9, .open_min = true})
      .field("limit", &DataConfig::limit,
             "train on the first N images, windows or lines only; 0: all", at_least(0))
      .table();
}

/// Modalities of a kind; without one all of them.
std::vector<const Modality*> of_kind(std::optional<ItemKind> kind) {
  std::vector<const Modality*> found;
  for (const Modality* modality : modalities()) {
    if (!kind || modality->kind() == *kind) found.push_back(modality);
  }
  return found;
}

/// The fields of some modalities. What belongs to not all of them says to which.
FieldTable fields_of(const std::vector<const Modality*>& some) {
  FieldTable table;
  for (const Modality* modality : some) {
    for (Field& field : modality->settings()) {
      const auto same = std::ranges::find(table, field.name, &Field::name);
      const bool everywhere = std::ranges::all_of(some, [&](const Modality* other) {
        const FieldTable fields = other->settings();
        const Field* found = find_field(fields, field.name);
        return found && found->doc == field.doc;
      });
      if (!everywhere) field.doc = concat(modality->name(), ": ", field.doc);
      if (same == table.end()) {
        table.push_back(std::move(field));
        continue;
      }
      if (!everywhere) same->doc += "; " + field.doc;
      if (same->type != field.type || same->choices != field.choices) {
        same->type = FieldType::text;  // which values are good, the modality tells
        same->choices.clear();
      }
    }
  }
  return table;
}

FieldTable with_shared(const FieldTable& own) {
  FieldTable table = shared_fields();
  table.insert(table.end(), own.begin(), own.end());
  return table;
}

}  // namespace

const EnumNames<Binarize> kBinarizeNames = {{Binarize::none, "none"},
                                            {Binarize::dynamic, "dynamic"},
                                            {Binarize::fixed, "fixed"},
                                            {Binarize::threshold, "threshold"}};

const EnumNames<Windows> kWindowsNames = {{Windows::shuffled, "shuffled"},
                                          {Windows::consecutive, "consecutive"}};

FieldTable data_fields(ItemKind kind) {
  return with_shared(fields_of(of_kind(kind)));
}

FieldTable data_fields() {
  FieldTable table = data_fields(ItemKind::grid);
  std::ranges::move(fields_of(of_kind(ItemKind::sequence)), std::back_inserter(table));
  return table;
}

DataConfig data_config_from_json(const Json& json) {
  const FieldTable shared = shared_fields(), all = data_fields();
  Json first = Json::object();
  DataConfig config;
  for (const auto& [name, value] : json.items()) {
    const bool own = find_field(all, name) && !find_field(shared, name);
    (own ? config.own : first)[name] = value;
  }
  read_fields(shared, first, "data", &config);
  return config;
}

Json own_settings(const DataConfig& config, const Modality& modality) {
  const FieldTable fields = modality.settings();
  Json own = Json::object();
  for (const auto& [name, value] : config.own.items()) {
    std::vector<std::string> owners;
    bool usual = false;
    for (const Modality* other : modalities()) {
      const FieldTable others = other->settings();
      const Field* field = find_field(others, name);
      if (!field) continue;
      owners.push_back(other->name());
      usual = usual || value == field->default_value;
    }
    if (find_field(fields, name) || owners.empty()) {
      own[name] = value;  // a name that is unknown is told with the others
    } else if (!usual) {
      fail(ErrorKind::usage, "data.", name, ": is for ", listed(owners), "; '", config.source,
           "' is read as ", modality.name());
    }
  }
  return own;
}

namespace {

constexpr const char* kLeaveOut = "leave_out";

}  // namespace

DataConfig whole_set(DataConfig config) {
  config.limit = 0;
  config.own.erase(kLeaveOut);
  return config;
}

bool is_whole_set(const DataConfig& config) {
  return config.limit == 0 && config.own.value(kLeaveOut, Json::array()).empty();
}

std::string class_list(const DataInfo& info) {
  constexpr size_t kListed = 12;
  std::string text;
  for (size_t i = 0; i < std::min(info.classes.size(), kListed); ++i)
    text += (i > 0 ? ", " : "") + inert(info.classes[i]);
  if (info.classes.size() > kListed) text += concat(", ... (", info.classes.size(), " in all)");
  return text;
}

int64_t find_label(const DataInfo& info, const std::string& text, const std::string& option) {
  const auto lower = [](std::string word) {
    for (char& c : word)
      if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    return word;
  };
  for (const bool exact : {true, false}) {
    for (size_t i = 0; i < info.classes.size(); ++i) {
      const std::string& name = info.classes[i];
      if (exact ? name == text : lower(name) == lower(text)) return static_cast<int64_t>(i);
    }
  }
  const Field number{.name = option, .doc = {}, .type = FieldType::integer};
  const Json value = value_from_text(number, text);
  // Classes that are numbers themselves (01, 02, ...) are meant by these.
  bool numbers = !info.classes.empty();
  for (size_t i = 0; i < info.classes.size(); ++i) {
    const Json name = value_from_text(number, info.classes[i]);
    if (name.is_number_integer() && name == value) return static_cast<int64_t>(i);
    numbers = numbers && name.is_number_integer();
  }
  if (numbers && value.is_number_integer()) {
    fail(ErrorKind::usage, option, ": '", text, "' is not a class of '", info.source,
         "'; expected ", class_list(info));
  }
  if (value.is_number_integer() && value >= 0 && value < info.class_count()) {
    return value.get<int64_t>();
  }
  if (info.classes.empty())
    fail(ErrorKind::usage, option, ": '", info.source, "' has no classes, found '", text, "'");
  const std::string near = value.is_number() ? "" : nearest(text, info.classes);
  fail(ErrorKind::usage, option, ": '", text, "' is not a class of '", info.source, "'",
       near.empty() ? "" : "; did you mean '" + near + "'?", "; expected ", class_list(info),
       ", or its number from 0 to ", info.class_count() - 1);
}

std::string describe(const DataInfo& info) {
  return concat(info.source, ": ", info.modality->describe(info), "; ",
                count_text(info.train_count), " ", info.modality->items(info), " for training, ",
                count_text(info.test_count), " for testing");
}

void check_same_items(const DataInfo& expected, const DataInfo& found) {
  if (found.modality != expected.modality) {
    fail(ErrorKind::data, "expected ", expected.modality->name(), " as in '", expected.source,
         "'; '", found.source, "' is ", found.modality->name());
  }
  expected.modality->check_same_items(expected, found);
}

Json to_json(const DataInfo& info) {
  Json json{{"modality", info.modality->name()},
            {"source", info.source},
            {"train_count", info.train_count},
            {"test_count", info.test_count},
            {"fingerprint", info.fingerprint}};
  if (info.tokenizer) json["tokenizer"] = info.tokenizer->to_json();
  info.modality->write(info, json);
  return json;
}

DataInfo data_info_from_json(const Json& json, std::shared_ptr<const Tokenizer> tokenizer) {
  DataInfo info;
  info.source = json.at("source").get<std::string>();
  info.train_count = json.at("train_count").get<int64_t>();
  info.test_count = json.at("test_count").get<int64_t>();
  info.fingerprint = json.at("fingerprint").get<std::string>();
  info.tokenizer = std::move(tokenizer);
  if (!info.tokenizer && json.contains("tokenizer"))
    info.tokenizer = tokenizer_from_json(json.at("tokenizer"), "data.tokenizer");
  info.modality = json.contains("modality") ? &find_modality(json.at("modality").get<std::string>())
                                            : &modality_of_tokens(info.tokenizer.get());
  if ((info.kind() == ItemKind::sequence) != (info.tokenizer != nullptr)) {
    fail(ErrorKind::data, "data.tokenizer: expected ",
         info.tokenizer ? "none" : "the tokens of a sequence", " with ", info.modality->name());
  }
  if (info.tokenizer) info.channels = info.height = info.width = 0;
  info.modality->read(json, info);
  return info;
}

int64_t Split::size() const {
  if (grids.defined()) return grids.size(0);
  if (starts.defined()) return starts.size(0) - 1;
  return tokens.defined() ? (tokens.numel() - 2 + context) / context : 0;
}

Split Split::first(int64_t count) const {
  if (starts.defined()) {
    const int64_t end = starts[count].item<int64_t>();
    return {.tokens = tokens.narrow(0, 0, end).clone(),
            .starts = starts.narrow(0, 0, count + 1).clone(),
            .values = {},
            .context = context};
  }
  if (tokens.defined()) {
    const int64_t end = std::min(tokens.numel(), count * context + 1);
    const int64_t lead = values.defined() ? values.numel() - tokens.numel() : 0;
    return {.tokens = tokens.narrow(0, 0, end).clone(),
            .starts = {},
            .values = values.defined() ? values.narrow(0, 0, lead + end).clone() : Tensor(),
            .context = context};
  }
  return at(at::arange(count));
}

Split Split::at(const Tensor& index) const {
  const auto chosen = [&](const Tensor& all) {
    return all.defined() ? all.index_select(0, index) : Tensor();
  };
  return {.grids = chosen(grids),
          .labels = chosen(labels),
          .pairs = chosen(pairs),
          .captions = chosen(captions),
          .frames = frames,
          .before = chosen(before),
          .past = past,
          .ahead = ahead};
}

Tensor Split::past_frames() const {
  return frames.defined() ? frames_from(before, past) : Tensor();
}

Tensor Split::ahead_frames() const {
  return ahead > 1 ? frames_from(before + past, ahead) : Tensor();
}

Tensor Split::frames_from(const Tensor& first, int64_t count) const {
  const Tensor index = first.unsqueeze(1) + at::arange(count, first.options());  // [N, count]
  return frames.index_select(0, index.flatten()).view({size(), -1, frames.size(2), frames.size(3)});
}

Split Split::with_labels(const std::vector<int64_t>& wanted, bool inside) const {
  const Tensor index =
      at::isin(labels, at::tensor(wanted, at::kLong), false, !inside).nonzero().squeeze(1);
  return at(index);
}

Dataset load_dataset(const DataConfig& config, const LoadOptions& options) {
  const Modality& modality = modality_of(config, options.tokenizer.get());
  Dataset data = modality.load(config, options);
  data.info.modality = &modality;
  if (config.limit > 0 && config.limit < data.train.size()) {
    data.train = data.train.first(config.limit);
  }
  data.info.train_count = data.train.size();
  data.info.test_count = data.test.size();
  return data;
}

fs::path data_folder(const std::string& dir) {
  if (!dir.empty()) return dir;
  const char* variable = std::getenv("GENAI_DATA");
  return variable && *variable ? variable : "data";
}

}  // namespace genai
