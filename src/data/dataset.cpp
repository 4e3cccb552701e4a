#include "genai/data/dataset.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>

#include "genai/base/error.h"
#include "genai/base/hash.h"
#include "genai/base/picture.h"
#include "genai/base/text.h"
#include "genai/data/image_folder.h"
#include "genai/data/known_sets.h"
#include "genai/data/series.h"
#include "genai/data/text_data.h"
#include "genai/data/text_set.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

Split to_split(const LabelledImages& images) {
  Split split{.images = to_tensor(images), .labels = {}};
  if (!images.labels.empty()) split.labels = at::tensor(images.labels, at::kLong);
  return split;
}

/// "mnist" -> "mnist-without-9"
void leave_out(const std::vector<ClassChoice>& choices, Dataset& data) {
  std::vector<int64_t> labels;
  std::string name = data.info.source + "-without";
  for (const ClassChoice& choice : choices) {
    const std::string text = choice.name.empty() ? concat(choice.label) : choice.name;
    // A number in a stored configuration is a label, whatever the classes are called.
    labels.push_back(choice.name.empty() && choice.label < data.info.class_count()
                         ? choice.label
                         : find_label(data.info, text, "data.leave_out"));
    name += "-";
    for (const char c : text) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '-';
  }
  data.train = data.train.with_labels(labels, false);
  data.test = data.test.with_labels(labels, false);
  if (data.train.size() == 0) fail(ErrorKind::usage, "data.leave_out: leaves no training images");
  data.info.source = name;
}

/// A set of its own size and channels in those that config names.
void fit_set(const DataConfig& config, ImageSet& set) {
  const Extent own(set.train.width, set.train.height);
  const Extent size = config.size.given() ? config.size : own;
  const int64_t channels = config.channels > 0 ? config.channels : set.train.channels;
  if (size == own && channels == set.train.channels) return;
  for (LabelledImages* split : {&set.train, &set.test}) {
    LabelledImages fitted{.count = split->count,
                          .channels = channels,
                          .height = size.height,
                          .width = size.width,
                          .pixels = {},
                          .labels = split->labels};
    const int64_t pixels = own.width * own.height;  // of one grey image
    fitted.pixels.reserve(static_cast<size_t>(split->count * channels * size.width * size.height));
    for (int64_t i = 0; i < split->count; ++i) {
      const auto first = split->pixels.begin() + i * pixels;
      const Image image = resize_to_fit({own.width, own.height, 1, {first, first + pixels}},
                                        size.width, size.height);
      for (int64_t c = 0; c < channels; ++c)
        fitted.pixels.insert(fitted.pixels.end(), image.pixels.begin(), image.pixels.end());
    }
    *split = std::move(fitted);
  }
  set.fingerprint =
      sha256(concat(set.fingerprint, " ", size.width, "x", size.height, "x", channels));
}

/// Grey images that come with their test images and classes.
ImageSet read_ready_set(const DataConfig& config, bool download) {
  const fs::path folder = data_folder(config.dir);
  const KnownSet* known = find_known_set(config.source);
  ImageSet set = known ? known->images(folder, {.download = download, .progress = {}})
                       : load_idx_folder(config.source);
  fit_set(config, set);
  return set;
}

bool is_ready_set(const std::string& source) {
  return find_known_set(source) || has_idx_files(source);
}

ImageSet read_set(const DataConfig& config, bool download, const DataInfo* known) {
  if (is_ready_set(config.source)) return read_ready_set(config, download);
  std::error_code ignored;
  const std::string kind =
      fs::is_regular_file(config.source, ignored) ? binary_kind(read_start(config.source, 16)) : "";
  if (fs::is_directory(config.source, ignored) || kind == "a ZIP") {
    FolderOptions options{.size = config.size,
                          .channels = config.channels,
                          .test_share = config.test_share,
                          .ground = config.ground};
    if (known) {
      options.classes = known->classes;
      if (!options.size.given()) options.size = Extent(known->width, known->height);
      if (options.channels == 0) options.channels = known->channels;
    }
    ImageSet set = read_image_folder(config.source, options);
    if (known && set.fingerprint != known->fingerprint && config.ground == Ground::white) {
      options.ground = Ground::black;  // as version 0.1 had it
      ImageSet older = read_image_folder(config.source, options);
      if (older.fingerprint == known->fingerprint) return older;
    }
    return set;
  }
  if (!kind.empty()) {
    fail(ErrorKind::data, config.source, " is ", kind, "; expected a folder or ZIP of images, a ",
         "text file, a CSV file or the name of a known data set");
  }
  fail_no_dataset(config.source);
}

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

FieldTable image_fields() {
  return describe<DataConfig>()
      .field("size", &DataConfig::size,
             "width and height, 64 or 64x48; 0: the most frequent, at most 64", between(0, 1024))
      .field("channels", &DataConfig::channels, "1 grey, 3 colour; 0: grey if all are",
             between(0, 3))
      .field("ground", &DataConfig::ground,
             "image folders: what shows through where pictures are transparent", kGroundNames)
      // As the fingerprint tells, too.
      .resumable()
      .field("leave_out", &DataConfig::leave_out,
             "classes left out of training and test, by name or number: 9 or cat,dog")
      .field("binarize", &DataConfig::binarize, "how grey values become 0 or 1", kBinarizeNames)
      .table();
}

FieldTable text_fields() {
  return describe<DataConfig>()
      .field("tokenizer", &DataConfig::tokenizer,
             "texts: characters, bytes, bpe, words, or a folder with tokenizer.json, or "
             "vocab.json and "
             "merges.txt; "
             "series of numbers: differences, returns (prices)")
      .field("vocabulary", &DataConfig::vocabulary,
             "bpe, words: tokens at most, 256 or more; 0: 2048 for bpe, all words; series: "
             "levels of change; 0: 64",
             between(0, 1'000'000))
      .field("context", &DataConfig::context,
             "texts: tokens that are seen at once; 0: 128, or the longest line", between(0, 65'536))
      .field("lines", &DataConfig::lines, "texts: each line is an item of its own")
      .field("validation", &DataConfig::validation,
             "texts: file of the validation text; empty: a part of the source")
      .resumable()
      .field("windows", &DataConfig::windows,
             "running text: in what order it is read; consecutive for rnn with carry",
             kWindowsNames)
      .field("column", &DataConfig::column,
             "series: name of the CSV column, or its number from 1 on; empty: the only one of "
             "values")
      .field("series", &DataConfig::series,
             "series: of several in one table the one of this name, or COLUMN=VALUE,...")
      .field("season", &DataConfig::season,
             "series: values of a season (12 months of a year): changes are seen against those "
             "of a season ago; 0: none",
             between(0, Changes::kLongestSeason))
      .field("missing", &DataConfig::missing,
             "series: missing values are put on the line between their neighbours, or refused",
             kMissingNames)
      .table();
}

}  // namespace

const EnumNames<Binarize> kBinarizeNames = {{Binarize::none, "none"},
                                            {Binarize::dynamic, "dynamic"},
                                            {Binarize::fixed, "fixed"},
                                            {Binarize::threshold, "threshold"}};

const EnumNames<Windows> kWindowsNames = {{Windows::shuffled, "shuffled"},
                                          {Windows::consecutive, "consecutive"}};

const EnumNames<Ground> kGroundNames = {{Ground::white, "white"}, {Ground::black, "black"}};

const FieldTable& data_fields() {
  static const FieldTable table = [] {
    FieldTable all = shared_fields();
    for (FieldTable more : {image_fields(), text_fields()}) {
      std::ranges::move(more, std::back_inserter(all));
    }
    return all;
  }();
  return table;
}

FieldTable data_fields(DataKind kind) {
  FieldTable table = shared_fields();
  std::ranges::move(kind == DataKind::images ? image_fields() : text_fields(),
                    std::back_inserter(table));
  return table;
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

void check_same_shape(const DataInfo& expected, const DataInfo& found) {
  if (found.channels == expected.channels && found.height == expected.height &&
      found.width == expected.width) {
    return;
  }
  const auto shape = [](const DataInfo& info) {
    return concat(info.width, "x", info.height, info.channels == 1 ? " grey" : " colour");
  };
  fail(ErrorKind::data, "expected images of ", shape(expected), " as in '", expected.source,
       "'; those of '", found.source, "' are ", shape(found));
}

Json to_json(const DataInfo& info) {
  if (info.is_text()) {
    return {{"source", info.source},
            {"tokenizer", info.tokenizer->to_json()},
            {"lines", info.lines},
            {"context", info.context},
            {"windows", enum_name(kWindowsNames, info.windows)},
            {"train_count", info.train_count},
            {"test_count", info.test_count},
            {"fingerprint", info.fingerprint}};
  }
  return {{"source", info.source},           {"channels", info.channels},
          {"height", info.height},           {"width", info.width},
          {"classes", info.classes},         {"binarize", enum_name(kBinarizeNames, info.binarize)},
          {"train_count", info.train_count}, {"test_count", info.test_count},
          {"fingerprint", info.fingerprint}};
}

DataInfo data_info_from_json(const Json& json, std::shared_ptr<const Tokenizer> tokenizer) {
  DataInfo info;
  info.source = json.at("source").get<std::string>();
  info.train_count = json.at("train_count").get<int64_t>();
  info.test_count = json.at("test_count").get<int64_t>();
  info.fingerprint = json.at("fingerprint").get<std::string>();
  if (json.contains("tokenizer")) {
    info.channels = info.height = info.width = 0;
    info.tokenizer = tokenizer ? std::move(tokenizer)
                               : tokenizer_from_json(json.at("tokenizer"), "data.tokenizer");
    info.lines = json.at("lines").get<bool>();
    info.context = json.at("context").get<int64_t>();
    for (const auto& [value, name] : kWindowsNames) {
      if (name == json.at("windows").get<std::string>()) info.windows = value;
    }
    return info;
  }
  info.channels = json.at("channels").get<int64_t>();
  info.height = json.at("height").get<int64_t>();
  info.width = json.at("width").get<int64_t>();
  info.classes = json.at("classes").get<std::vector<std::string>>();
  for (const auto& [value, name] : kBinarizeNames) {
    if (name == json.at("binarize").get<std::string>()) info.binarize = value;
  }
  constexpr int64_t kMostChannels = 16, kMostSide = 65536, kMostPixels = 1 << 26;
  const auto within = [](int64_t value, int64_t most) { return value >= 1 && value <= most; };
  if (!within(info.channels, kMostChannels) || !within(info.height, kMostSide) ||
      !within(info.width, kMostSide) || !within(info.pixels(), kMostPixels)) {
    fail(ErrorKind::data, "images of ", info.channels, " x ", info.height, " x ", info.width,
         " numbers are none of ours");
  }
  return info;
}

int64_t Split::size() const {
  if (images.defined()) return images.size(0);
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
  return {.images = images.narrow(0, 0, count).clone(),
          .labels = labels.defined() ? labels.narrow(0, 0, count).clone() : Tensor()};
}

Split Split::with_labels(const std::vector<int64_t>& wanted, bool inside) const {
  const Tensor index =
      at::isin(labels, at::tensor(wanted, at::kLong), false, !inside).nonzero().squeeze(1);
  return {.images = images.index_select(0, index), .labels = labels.index_select(0, index)};
}

Dataset load_dataset(const DataConfig& config, bool download,
                     std::shared_ptr<const Tokenizer> tokenizer, const DataInfo* known) {
  if (is_text_source(config.source)) return load_text_set(config, download, std::move(tokenizer));
  if (config.channels == 2) {
    fail(ErrorKind::usage, "data.channels: expected 0, 1 or 3, found 2");
  }
  const ImageSet set = read_set(config, download, known);
  Dataset data;
  data.train = to_split(set.train);
  data.test = to_split(set.test);
  data.notes = set.notes;
  data.info = {.source = set.name,
               .channels = set.train.channels,
               .height = set.train.height,
               .width = set.train.width,
               .classes = set.classes,
               .binarize = config.binarize,
               .train_count = 0,
               .test_count = 0,
               .fingerprint = set.fingerprint};
  if (!config.leave_out.empty()) leave_out(config.leave_out, data);
  if (config.limit > 0 && config.limit < data.train.size()) {
    data.train = data.train.first(config.limit);
  }
  data.info.train_count = data.train.size();
  data.info.test_count = data.test.size();
  return data;
}

void refuse_settings_of_folders(const DataConfig& config) {
  if (!is_ready_set(config.source)) return;
  const DataConfig usual;
  if (config.test_share != usual.test_share) {
    fail(ErrorKind::usage, "data.test_share: '", config.source, "' has its own test images");
  }
  if (config.ground != usual.ground) {
    fail(ErrorKind::usage, "data.ground: '", config.source, "' has no transparent images");
  }
}

std::string describe_images(const Dataset& data) {
  const DataInfo& info = data.info;
  std::string text = concat(info.source, ": ", info.width, "x", info.height,
                            info.channels == 1 ? " grey" : " colour", ", ", data.train.size(),
                            " for training, ", data.test.size(), " for testing; ",
                            info.classes.empty()       ? "no classes"
                            : info.classes.size() == 1 ? "1 class: "
                                                       : concat(info.classes.size(), " classes: "),
                            class_list(info));
  for (const std::string& note : data.notes) text += "; " + note;
  return text;
}

fs::path data_folder(const std::string& dir) {
  if (!dir.empty()) return dir;
  const char* variable = std::getenv("GENAI_DATA");
  return variable && *variable ? variable : "data";
}

Tensor to_tensor(const LabelledImages& images) {
  Tensor tensor =
      at::empty({images.count, images.channels, images.height, images.width}, at::kByte);
  if (!images.pixels.empty()) {
    std::memcpy(tensor.mutable_data_ptr(), images.pixels.data(), images.pixels.size());
  }
  return tensor;
}

}  // namespace genai
