#include "genai/data/text_set.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>

#include "genai/base/error.h"
#include "genai/base/picture.h"
#include "genai/core/device.h"
#include "genai/data/known_sets.h"
#include "genai/data/series.h"
#include "genai/data/text_data.h"
#include "genai/data/text_file.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// Of running text, when nobody says.
constexpr int64_t kUsualContext = 128;

Tensor to_tensor(const std::vector<int32_t>& ids) {
  return at::tensor(ids, at::kInt);
}

/// The whole text, or line after line.
Split to_split(const std::string& text, const TextData& data, const Tokenizer& tokenizer) {
  Split split;
  if (!data.items) {
    split.tokens = to_tensor(tokenizer.encode(text));
    if (data.series) split.values = at::tensor(read_column(text, data.source), at::kDouble);
    return split;
  }
  std::vector<int32_t> tokens;
  std::vector<int64_t> starts{0};
  const std::string_view all = text;
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find('\n', at);
    const auto line = tokenizer.encode(all.substr(at, end - at));
    tokens.insert(tokens.end(), line.begin(), line.end());
    tokens.push_back(start_token(tokenizer));
    starts.push_back(static_cast<int64_t>(tokens.size()));
    at = end + 1;
  }
  split.tokens = to_tensor(tokens);
  split.starts = at::tensor(starts, at::kLong);
  return split;
}

int64_t longest_line(const Split& split) {
  return split.starts.diff().max().item<int64_t>();
}

int64_t find_context(const DataConfig& config, const Dataset& data) {
  if (!data.info.lines) {
    const int64_t context = config.context > 0 ? config.context : kUsualContext;
    const int64_t tokens = data.train.tokens.numel();
    if (tokens <= context) {
      fail(ErrorKind::data, "'", data.info.source, "' has ", tokens, " tokens for training, ",
           "too few for windows of ", context, " and the token after them; give a longer text or ",
           "--context ", std::max<int64_t>(1, tokens / 2));
    }
    return context;
  }
  const int64_t longest = std::max(longest_line(data.train), longest_line(data.test));
  if (config.context == 0) return longest;
  if (config.context < longest) {
    fail(ErrorKind::usage, "data.context: the longest line of '", data.info.source, "' has ",
         longest, " tokens with its end, found ", config.context,
         "; leave it out or use --context ", longest);
  }
  return config.context;
}

void refuse_settings_of_images(const DataConfig& config) {
  const DataConfig usual;
  if (config.size != usual.size || config.channels != usual.channels || !config.leave_out.empty() ||
      config.binarize != usual.binarize) {
    fail(ErrorKind::usage, "data.size, channels, leave_out and binarize are for images; '",
         config.source, "' is a text");
  }
}

/// A batch whose rows `fill(row, input, target)` writes, returning how many targets there are; the
/// rest of the input is `padding`, of the target kNoTarget.
template <class Fill>
Batch fill_rows(size_t rows, int64_t context, int32_t padding, at::Device device, Fill fill) {
  const auto size = static_cast<int64_t>(rows);
  const auto ids = host_options(at::kLong, device);
  const Tensor input = at::full({size, context}, padding, ids);
  const Tensor target = at::full({size, context}, kNoTarget, ids);
  const Tensor counts = at::empty({size}, host_options(at::kFloat, device));
  double weight = 0;
  for (size_t row = 0; row < rows; ++row) {
    const int64_t at = static_cast<int64_t>(row) * context;
    const int64_t count =
        fill(row, input.mutable_data_ptr<int64_t>() + at, target.mutable_data_ptr<int64_t>() + at);
    counts.mutable_data_ptr<float>()[row] = static_cast<float>(count);
    weight += static_cast<double>(count);
  }
  return {.input = input.to(device, /*non_blocking=*/true),
          .target = target.to(device, /*non_blocking=*/true),
          .counts = counts.to(device, /*non_blocking=*/true),
          .sample_ids = {},
          .weight = weight};
}

}  // namespace

bool is_text_source(const std::string& source) {
  if (const KnownSet* known = find_known_set(source)) return known->text != nullptr;
  std::error_code error;
  if (fs::is_directory(source, error)) return is_text_folder(source);
  if (!fs::exists(source, error)) fail_no_dataset(source);
  return fs::is_regular_file(source, error) && binary_kind(read_start(source, 16)).empty();
}

int32_t start_token(const Tokenizer& tokenizer) {
  for (int32_t id = 0; id < tokenizer.size(); ++id) {
    if (tokenizer.token(id) == "\n") return id;
  }
  return 0;
}

int64_t windows_at_once(const DataInfo& info) {
  constexpr int64_t kMostTokens = 16'384, kMostLogits = int64_t{1} << 24;
  const int64_t tokens = std::min(kMostTokens, kMostLogits / info.vocabulary());
  return std::max<int64_t>(1, tokens / info.context);
}

Dataset load_text_set(const DataConfig& config, bool download,
                      std::shared_ptr<const Tokenizer> tokenizer) {
  refuse_settings_of_images(config);
  const Changes* known = tokenizer ? tokenizer->changes() : nullptr;
  const TextData text =
      load_text({.source = config.source,
                 .validation = config.validation,
                 .lines = config.lines,
                 .validation_share = config.test_share,
                 .series = tokenizer ? known != nullptr : is_series_tokenizer(config.tokenizer),
                 .column = known && config.column.empty() ? known->column() : config.column,
                 .which = known && config.series.empty() ? known->series() : config.series,
                 .settled = known != nullptr,
                 .season = known ? known->season() : config.season,
                 .missing = config.missing,
                 .raw = config.raw},
                data_folder(config.dir), {.download = download, .progress = {}});
  if (!tokenizer) tokenizer = make_tokenizer(text, config.tokenizer, config.vocabulary);
  Dataset data;
  data.notes = text.notes;
  data.info.source = text.source;
  data.info.fingerprint = text.fingerprint;
  data.info.tokenizer = tokenizer;
  data.info.lines = text.items;
  data.info.windows = config.windows;
  if (text.items && config.windows == Windows::consecutive) {
    fail(ErrorKind::usage, "data.windows: lines have no windows that follow each other");
  }
  data.train = to_split(text.train, text, *tokenizer);
  data.test = to_split(text.validation, text, *tokenizer);
  if (!data.info.lines && data.test.tokens.numel() < 2) {
    fail(
        ErrorKind::data, "'", data.info.source, "' has ", data.test.tokens.numel(),
        " token for validation, expected 2 at least; give a longer text, a larger --test-share or ",
        "--validation FILE");
  }
  data.info.context = data.train.context = data.test.context = find_context(config, data);
  if (config.limit > 0 && config.limit < data.train.size()) {
    data.train = data.train.first(config.limit);
  }
  data.info.train_count = data.train.size();
  data.info.test_count = data.test.size();
  return data;
}

std::vector<double> values_of(const Split& split, bool lead) {
  const auto* values = split.values.const_data_ptr<double>();
  const int64_t all = split.values.numel();
  return {values + (lead ? 0 : all - split.tokens.numel()), values + all};
}

Batch windows_batch(const Split& split, const std::vector<int64_t>& offsets, bool around,
                    at::Device device) {
  const int64_t size = split.tokens.numel();
  const auto* tokens = split.tokens.const_data_ptr<int32_t>();
  const auto fill = [&](size_t row, int64_t* in, int64_t* out) {
    const int64_t offset = offsets[row];
    const int64_t count = around ? split.context : std::min(split.context, size - 1 - offset);
    for (int64_t i = 0; i < count; ++i) {
      in[i] = tokens[(offset + i) % size];
      out[i] = tokens[(offset + i + 1) % size];
    }
    return count;
  };
  return fill_rows(offsets.size(), split.context, 0, device, fill);
}

Batch lines_batch(const Split& split, const std::vector<int64_t>& items, int32_t start,
                  at::Device device) {
  const auto* starts = split.starts.const_data_ptr<int64_t>();
  const auto fill = [&](size_t row, int64_t* in, int64_t* out) {
    const int64_t from = starts[items[row]], count = starts[items[row] + 1] - from;
    const auto* tokens = split.tokens.const_data_ptr<int32_t>() + from;
    std::copy_n(tokens, count, out);
    std::copy_n(tokens, count - 1, in + 1);  // in[0] is the start
    return count;
  };
  return fill_rows(items.size(), split.context, start, device, fill);
}

}  // namespace genai
