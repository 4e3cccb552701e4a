#include "genai/data/sequences.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "genai/base/error.h"
#include "genai/core/device.h"

namespace genai {
namespace {

/// Of running text, when nobody says.
constexpr int64_t kUsualContext = 128;

int64_t longest_line(const Split& split) {
  return split.starts.diff().max().item<int64_t>();
}

int64_t find_context(int64_t wanted, const Dataset& data) {
  if (!data.info.lines) {
    const int64_t context = wanted > 0 ? wanted : kUsualContext;
    const int64_t tokens = data.train.tokens.numel();
    if (tokens <= context) {
      fail(ErrorKind::data, "'", data.info.source, "' has ", tokens, " tokens for training, ",
           "too few for windows of ", context, " and the token after them; give a longer text or ",
           "data.context ", std::max<int64_t>(1, tokens / 2));
    }
    return context;
  }
  const int64_t longest = std::max(longest_line(data.train), longest_line(data.test));
  if (wanted == 0) return longest;
  if (wanted < longest) {
    fail(ErrorKind::usage, "data.context: the longest line of '", data.info.source, "' has ",
         longest, " tokens with its end, found ", wanted, "; leave it out or use data.context ",
         longest);
  }
  return wanted;
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
          .conditions = {},
          .counts = counts.to(device, /*non_blocking=*/true),
          .sample_ids = {},
          .weight = weight};
}

}  // namespace

const FieldTable& window_fields() {
  static const FieldTable table =
      describe<WindowSettings>()
          .field("context", &WindowSettings::context,
                 "tokens that are seen at once; 0: 128, or the longest line", between(0, 65'536))
          .field("windows", &WindowSettings::windows,
                 "in what order running text is read; consecutive for rnn with carry",
                 kWindowsNames)
          .table();
  return table;
}

void set_windows(const WindowSettings& settings, Dataset& data) {
  data.info.windows = settings.windows;
  if (data.info.lines && settings.windows == Windows::consecutive) {
    fail(ErrorKind::usage, "data.windows: lines have no windows that follow each other");
  }
  if (!data.info.lines && data.test.tokens.numel() < 2) {
    fail(ErrorKind::data, "'", data.info.source, "' has ", data.test.tokens.numel(),
         " token for validation, expected 2 at least; give a longer text, a larger data.test_share "
         "or ",
         "data.validation FILE");
  }
  data.info.context = data.train.context = data.test.context = find_context(settings.context, data);
}

void write_windows(const DataInfo& info, Json& json) {
  json.update({{"lines", info.lines},
               {"context", info.context},
               {"windows", enum_name(kWindowsNames, info.windows)}});
}

void read_windows(const Json& json, DataInfo& info) {
  info.lines = json.at("lines").get<bool>();
  info.context = json.at("context").get<int64_t>();
  for (const auto& [value, name] : kWindowsNames) {
    if (name == json.at("windows").get<std::string>()) info.windows = value;
  }
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

void set_sequences(const Tensor& sequences, int64_t start, Batch& batch) {
  const int64_t rows = sequences.size(0), length = sequences.size(1);
  batch.target = sequences.to(at::kLong);
  const Tensor first = at::full({rows, 1}, start, batch.target.options());
  batch.input = at::cat({first, batch.target.narrow(1, 0, length - 1)}, 1);
  batch.counts = at::full({rows}, length, batch.target.options().dtype(at::kFloat));
  batch.weight = static_cast<double>(rows * length);
}

}  // namespace genai
