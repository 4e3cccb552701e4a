#include "genai/data/dataset.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <cstring>

#include "genai/base/error.h"
#include "genai/data/digits.h"
#include "genai/data/image_folder.h"
#include "genai/data/mnist.h"
#include "genai/data/text_data.h"
#include "genai/data/text_set.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kDigitsSeed = 0;

Split to_split(const LabelledImages& images) {
  Split split{.images = to_tensor(images), .labels = {}};
  if (!images.labels.empty()) split.labels = at::tensor(images.labels, at::kLong);
  return split;
}

/// "mnist" -> "mnist-without-9"
void leave_out(const std::vector<int64_t>& labels, Dataset& data) {
  std::string name = data.info.source;
  const auto classes = static_cast<int64_t>(data.info.classes.size());
  name += "-without";
  for (const int64_t label : labels) {
    if (label >= classes) {
      fail(ErrorKind::usage, "data.leave_out: ", label, " is not a class of '", data.info.source,
           "'; expected ", classes ? concat("0 to ", classes - 1) : "a set with labels");
    }
    name += concat("-", label);
  }
  data.train = data.train.with_labels(labels, false);
  data.test = data.test.with_labels(labels, false);
  if (data.train.size() == 0) fail(ErrorKind::usage, "data.leave_out: leaves no training images");
  data.info.source = name;
}

void refuse_settings_of_texts(const DataConfig& config) {
  const DataConfig usual;
  if (config.tokenizer != usual.tokenizer || config.vocabulary != usual.vocabulary ||
      config.context != usual.context || config.lines || !config.validation.empty() ||
      config.windows != usual.windows || !config.column.empty() || config.season != usual.season) {
    fail(ErrorKind::usage, "data.tokenizer, vocabulary, context, lines, validation, windows, column ",
         "and season are for texts and series; '", config.source, "' holds images");
  }
}

ImageSet read_set(const DataConfig& config, bool download) {
  const fs::path folder = data_folder(config.dir);
  if (config.source == "digits") return make_digits(kDigitsSeed);
  if (config.source == "mnist") return load_mnist(folder, {.download = download, .progress = {}});
  if (config.source == "fashion-mnist") return load_fashion_mnist(folder, {.download = download, .progress = {}});
  if (fs::is_directory(config.source)) {
    return read_image_folder(config.source, {.size = config.size,
                                             .channels = config.channels,
                                             .test_share = config.test_share});
  }
  std::vector<std::string> known = known_datasets();
  for (const std::string& text : known_texts()) known.push_back(text);
  const std::string near = nearest(config.source, known);
  fail(ErrorKind::data, "no data set '", config.source, "'",
       near.empty() ? "" : "; did you mean '" + near + "'?",
       "; known: digits, mnist, fashion-mnist, shakespeare, sums, or the path of a folder of ",
       "images, a text file or a CSV file");
}

}  // namespace

const EnumNames<Binarize> kBinarizeNames = {{Binarize::none, "none"},
                                            {Binarize::dynamic, "dynamic"},
                                            {Binarize::fixed, "fixed"},
                                            {Binarize::threshold, "threshold"}};

const EnumNames<Windows> kWindowsNames = {{Windows::shuffled, "shuffled"},
                                          {Windows::consecutive, "consecutive"}};

const FieldTable& data_fields() {
  static const FieldTable table =
      describe<DataConfig>()
          .field("source", &DataConfig::source,
                 "digits, mnist, fashion-mnist, shakespeare, sums, or the path of a folder of "
                 "images, a text file or a series of numbers (CSV)")
          // A folder may have moved; that it holds the same images, the fingerprint tells.
          .resumable()
          .option("data")
          .field("dir", &DataConfig::dir,
                 "folder of the data sets; empty: $GENAI_DATA, or data/ here")
          .resumable()
          .option("data-dir")
          .field("size", &DataConfig::size,
                 "image folders: width and height; 0: the first image's, at most 64",
                 between(0, 1024))
          .field("channels", &DataConfig::channels,
                 "image folders: 1 grey, 3 colour; 0: grey if all are", between(0, 3))
          .field("test_share", &DataConfig::test_share,
                 "image folders without train/ and test/, texts: share kept for testing",
                 between(0, 0.9))
          .field("limit", &DataConfig::limit,
                 "train on the first N images, windows or lines only; 0: all",
                 at_least(0))
          .field("leave_out", &DataConfig::leave_out,
                 "labels left out of training and test, as 9 or 0,1", at_least(0))
          .field("binarize", &DataConfig::binarize, "how grey values become 0 or 1",
                 kBinarizeNames)
          .field("tokenizer", &DataConfig::tokenizer,
                 "texts: characters, bytes, bpe, words, or a folder with vocab.json and merges.txt; "
                 "series of numbers: differences, returns (prices)")
          .field("vocabulary", &DataConfig::vocabulary,
                 "bpe, words: tokens at most, 256 or more; 0: 2048 for bpe, all words; series: "
                 "levels of change; 0: 64",
                 between(0, 1'000'000))
          .field("context", &DataConfig::context,
                 "texts: tokens that are seen at once; 0: 128, or the longest line",
                 between(0, 65'536))
          .field("lines", &DataConfig::lines, "texts: each line is an item of its own")
          .field("validation", &DataConfig::validation,
                 "texts: file of the validation text; empty: a part of the source")
          .resumable()
          .field("windows", &DataConfig::windows,
                 "running text: in what order it is read; consecutive for rnn with carry",
                 kWindowsNames)
          .field("column", &DataConfig::column,
                 "series: name of the CSV column, or its number from 1 on; empty: the last")
          .field("season", &DataConfig::season,
                 "series: values of a season (12 months of a year): changes are seen against those "
                 "of a season ago; 0: none",
                 between(0, 100'000))
          .table();
  return table;
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
  return {{"source", info.source},
          {"channels", info.channels},
          {"height", info.height},
          {"width", info.width},
          {"classes", info.classes},
          {"binarize", enum_name(kBinarizeNames, info.binarize)},
          {"train_count", info.train_count},
          {"test_count", info.test_count},
          {"fingerprint", info.fingerprint}};
}

DataInfo data_info_from_json(const Json& json) {
  DataInfo info;
  info.source = json.at("source").get<std::string>();
  info.train_count = json.at("train_count").get<int64_t>();
  info.test_count = json.at("test_count").get<int64_t>();
  info.fingerprint = json.at("fingerprint").get<std::string>();
  if (json.contains("tokenizer")) {
    info.channels = info.height = info.width = 0;
    info.tokenizer = tokenizer_from_json(json.at("tokenizer"), "data.tokenizer");
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
            .starts = starts.narrow(0, 0, count + 1).clone(), .values = {}, .context = context};
  }
  if (tokens.defined()) {
    const int64_t end = std::min(tokens.numel(), count * context + 1);
    const int64_t lead = values.defined() ? values.numel() - tokens.numel() : 0;
    return {.tokens = tokens.narrow(0, 0, end).clone(), .starts = {},
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
                     std::shared_ptr<const Tokenizer> tokenizer) {
  if (is_text_source(config.source)) return load_text_set(config, download, tokenizer);
  if (config.channels == 2) {
    fail(ErrorKind::usage, "data.channels: expected 0, 1 or 3, found 2");
  }
  const ImageSet set = read_set(config, download);
  refuse_settings_of_texts(config);
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

std::vector<std::string> known_datasets() { return {"digits", "mnist", "fashion-mnist"}; }

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
