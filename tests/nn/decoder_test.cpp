#include "genai/decode/decoder.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "genai/base/error.h"
#include "genai/decode/kernels.h"
#include "nn/decoder_reference.h"

namespace genai {
namespace {

using namespace decoder_reference;

std::vector<int32_t> random_tokens(int64_t count, int64_t vocabulary, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<int32_t>(generator() % static_cast<uint32_t>(vocabulary)));
  }
  return tokens;
}

std::vector<float> read(Decoder& decoder, const std::vector<Decoder::Row>& rows) {
  std::vector<float> logits(rows.size() * static_cast<size_t>(decoder.vocabulary()));
  decoder.read(rows, logits);
  return logits;
}

std::vector<float> read_stream(Decoder& decoder, int64_t stream, std::span<const int32_t> tokens) {
  std::vector<Decoder::Row> rows;
  for (const int32_t token : tokens) rows.push_back({stream, token});
  return read(decoder, rows);
}

/// The largest error, of max(1, |expected|).
double largest_error(const std::vector<float>& found, const std::vector<Numbers>& expected) {
  double most = 0;
  size_t i = 0;
  for (const Numbers& row : expected) {
    for (const double y : row) {
      most = std::max(most, std::fabs(found.at(i++) - y) / std::max(1., std::fabs(y)));
    }
  }
  EXPECT_EQ(i, found.size());
  return most;
}

/// Root mean square of the error, of that of what is expected.
double relative_error(const std::vector<float>& found, const std::vector<Numbers>& expected) {
  double error = 0, size = 0;
  size_t i = 0;
  for (const Numbers& row : expected) {
    for (const double y : row) {
      error += (found.at(i) - y) * (found.at(i) - y), size += y * y;
      ++i;
    }
  }
  return std::sqrt(error / size);
}

constexpr TransformerShape kSmall = {.vocabulary = 13,
                                     .context = 80,
                                     .layers = 2,
                                     .heads = 4,
                                     .kv_heads = 4,
                                     .width = 32,
                                     .hidden = 64};

TransformerShape with(const std::function<void(TransformerShape&)>& change) {
  TransformerShape shape = kSmall;
  change(shape);
  return shape;
}

/// Every kind of everything, and odd sizes.
std::vector<TransformerShape> shapes() {
  std::vector<TransformerShape> all;
  for (const Positions positions : {Positions::learned, Positions::rotary}) {
    for (const NormKind norm : {NormKind::layer, NormKind::rms}) {
      for (const MlpKind mlp :
           {MlpKind::gelu, MlpKind::gelu_tanh, MlpKind::relu2, MlpKind::swiglu}) {
        for (const int bits : {0, 1, 2, 3, 4, 5, 6, 7}) {
          all.push_back(with([&](TransformerShape& s) {
            s.positions = positions, s.norm = norm, s.mlp = mlp;
            s.bias = bits & 1, s.tied = bits & 2, s.qk_norm = bits & 4;
          }));
        }
      }
    }
  }
  all.push_back(with([](auto& s) { s.bigrams = true; }));
  all.push_back(with([](auto& s) { s.soft_cap = 0.7, s.tied = false; }));
  all.push_back(with([](auto& s) { s.kv_heads = 2, s.positions = Positions::rotary; }));
  all.push_back(with([](auto& s) { s.kv_heads = 1, s.bias = true, s.qk_norm = true; }));
  all.push_back(with([](auto& s) { s.vocabulary = 3, s.width = 20, s.hidden = 33; }));
  all.push_back(with([](auto& s) {  // all that is odd at once
    s.vocabulary = 67, s.width = 66, s.heads = 3, s.kv_heads = 1, s.hidden = 45, s.layers = 3;
    s.positions = Positions::rotary, s.norm = NormKind::rms, s.mlp = MlpKind::swiglu;
    s.bias = s.qk_norm = s.bigrams = true, s.tied = false, s.soft_cap = 2;
  }));
  all.push_back(with([](auto& s) { s.width = 1, s.heads = s.kv_heads = 1, s.hidden = 1; }));
  all.push_back(with([](auto& s) { s.width = 100, s.heads = s.kv_heads = 1, s.hidden = 7; }));
  return all;
}

std::string text_of(const TransformerShape& s) {
  return concat("positions ", static_cast<int>(s.positions), " norm ", static_cast<int>(s.norm),
                " mlp ", static_cast<int>(s.mlp), " bias ", s.bias, " tied ", s.tied, " qk_norm ",
                s.qk_norm, " bigrams ", s.bigrams, " width ", s.width, " heads ", s.heads, "/",
                s.kv_heads);
}

TEST(TransformerDecoder, logits_are_those_of_the_definition) {
  for (const TransformerShape& shape : shapes()) {
    SCOPED_TRACE(text_of(shape));
    const Checkpoint weights = random_weights(shape);
    const auto tokens = random_tokens(70, shape.vocabulary, 1);
    const auto expected = Reference(shape, weights).logits(tokens);
    for (const bool portable : {false, true}) {
      decode::force_portable(portable);
      const auto decoder =
          make_decoder(shape, 2, weights.weights(), WeightFormat::float32, /*threads=*/1);
      EXPECT_LT(largest_error(read_stream(*decoder, 1, tokens), expected), 1e-5);
    }
    decode::force_portable(false);
  }
}

TEST(TransformerDecoder, int8_is_near) {
  for (const TransformerShape& shape : shapes()) {
    if (shape.width < 20 || shape.hidden < 33) continue;
    SCOPED_TRACE(text_of(shape));
    const Checkpoint weights = random_weights(shape);
    const auto tokens = random_tokens(70, shape.vocabulary, 1);
    const auto expected = Reference(shape, weights).logits(tokens);
    std::vector<float> logits[2];
    for (const bool portable : {false, true}) {
      decode::force_portable(portable);
      const auto decoder = make_decoder(shape, 1, weights.weights(), WeightFormat::int8, 1);
      logits[portable] = read_stream(*decoder, 0, tokens);
      EXPECT_LT(relative_error(logits[portable], expected), 0.03);  // of the logits' size
    }
    decode::force_portable(false);
  }
}

std::vector<RnnShape> rnn_shapes() {
  std::vector<RnnShape> all;
  for (const Cell cell : {Cell::tanh, Cell::gru, Cell::lstm}) {
    all.push_back({.vocabulary = 11, .layers = 2, .width = 32, .embedding = 32, .cell = cell});
    all.push_back({.vocabulary = 3, .layers = 3, .width = 21, .embedding = 7, .cell = cell});
    all.push_back(
        {.vocabulary = 40, .layers = 1, .width = 50, .embedding = 50, .cell = cell, .tied = true});
  }
  return all;
}

TEST(RnnDecoder, logits_are_those_of_the_definition) {
  for (const RnnShape& shape : rnn_shapes()) {
    SCOPED_TRACE(concat("cell ", static_cast<int>(shape.cell), " width ", shape.width));
    const Checkpoint weights = random_weights(shape);
    const auto tokens = random_tokens(70, shape.vocabulary, 1);
    const auto expected = reference(shape, weights, tokens);
    for (const bool portable : {false, true}) {
      decode::force_portable(portable);
      auto decoder = make_decoder(shape, 2, weights.weights(), WeightFormat::float32, 1);
      EXPECT_LT(largest_error(read_stream(*decoder, 1, tokens), expected), 1e-5);
      decoder = make_decoder(shape, 2, weights.weights(), WeightFormat::int8, 1);
      EXPECT_LT(relative_error(read_stream(*decoder, 1, tokens), expected), 0.03);
    }
    decode::force_portable(false);
  }
}

// Bits. -------------------------------------------------------------------------------------------

using Make = std::function<std::unique_ptr<Decoder>(int64_t streams, WeightFormat, int threads)>;

/// Decoders that have every part, large enough for several threads to be used.
std::vector<Make> makers() {
  static const TransformerShape wide = {.vocabulary = 65,
                                        .context = 256,
                                        .layers = 2,
                                        .heads = 6,
                                        .kv_heads = 3,
                                        .width = 192,
                                        .hidden = 700,
                                        .positions = Positions::rotary,
                                        .norm = NormKind::rms,
                                        .mlp = MlpKind::swiglu,
                                        .qk_norm = true,
                                        .tied = false,
                                        .bigrams = true,
                                        .soft_cap = 5};
  static const TransformerShape odd =
      with([](auto& s) { s.width = 20, s.hidden = 33, s.bias = true; });
  static const RnnShape lstm = {.vocabulary = 65, .layers = 2, .width = 250, .embedding = 60};
  static const Checkpoint wide_weights = random_weights(wide), odd_weights = random_weights(odd),
                          lstm_weights = random_weights(lstm);
  return {[](int64_t streams, WeightFormat format, int threads) {
            return make_decoder(wide, streams, wide_weights.weights(), format, threads);
          },
          [](int64_t streams, WeightFormat format, int threads) {
            return make_decoder(odd, streams, odd_weights.weights(), format, threads);
          },
          [](int64_t streams, WeightFormat format, int threads) {
            return make_decoder(lstm, streams, lstm_weights.weights(), format, threads);
          }};
}

class Bits : public testing::TestWithParam<std::tuple<size_t, WeightFormat>> {
 protected:
  std::unique_ptr<Decoder> make(int64_t streams, int threads = 1) const {
    return makers()[std::get<0>(GetParam())](streams, std::get<1>(GetParam()), threads);
  }
};

INSTANTIATE_TEST_SUITE_P(All, Bits,
                         testing::Combine(testing::Values(0, 1, 2),
                                          testing::Values(WeightFormat::float32,
                                                          WeightFormat::int8)));

TEST_P(Bits, depend_neither_on_the_cut_into_calls_nor_on_threads) {
  const auto decoder = make(1);
  const auto tokens = random_tokens(75, decoder->vocabulary(), 3);
  std::vector<float> one_by_one;
  for (const int32_t token : tokens) {
    const auto logits = read_stream(*decoder, 0, std::array{token});
    one_by_one.insert(one_by_one.end(), logits.begin(), logits.end());
  }
  for (const int threads : {1, 2, 3}) {
    for (const size_t size : {75u, 40u, 7u, 2u, 1u}) {
      const auto other = make(1, threads);
      std::vector<float> all;
      for (size_t first = 0; first < tokens.size(); first += size) {
        const auto some = std::span(tokens).subspan(first, std::min(size, tokens.size() - first));
        const auto logits = read_stream(*other, 0, some);
        all.insert(all.end(), logits.begin(), logits.end());
      }
      EXPECT_EQ(all, one_by_one) << "calls of " << size << ", threads: " << threads;
    }
  }
}

TEST_P(Bits, do_not_depend_on_other_streams) {
  const int64_t streams = 5;
  const auto alone = make(1), together = make(streams, 2);
  const auto v = static_cast<size_t>(alone->vocabulary());
  std::vector<Decoder::Row> rows;
  std::vector<std::vector<int32_t>> tokens(streams);
  std::vector<std::vector<float>> found(streams);
  std::mt19937 generator(4);
  for (int call = 0; call < 12; ++call) {
    rows.clear();
    for (int i = 0; i < 1 + call * 3; ++i) {  // a stream more than once, in any order
      const auto stream = static_cast<int64_t>(generator() % streams);
      rows.push_back({stream, static_cast<int32_t>(generator() % v)});
      tokens[static_cast<size_t>(stream)].push_back(rows.back().token);
    }
    const auto logits = read(*together, rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      auto& of_stream = found[static_cast<size_t>(rows[i].stream)];
      of_stream.insert(of_stream.end(), logits.begin() + static_cast<std::ptrdiff_t>(i * v),
                       logits.begin() + static_cast<std::ptrdiff_t>((i + 1) * v));
    }
  }
  for (size_t s = 0; s < streams; ++s) {
    EXPECT_EQ(together->length(static_cast<int64_t>(s)), static_cast<int64_t>(tokens[s].size()));
    alone->clear(0);
    EXPECT_EQ(read_stream(*alone, 0, tokens[s]), found[s]) << "stream " << s;
  }
}

TEST_P(Bits, of_the_last_tokens_are_those_of_all) {
  const auto one = make(3), other = make(3);
  const auto v = static_cast<size_t>(one->vocabulary());
  std::vector<Decoder::Row> rows = {{2, 1}, {0, 2}, {2, 0}, {2, 2}, {0, 1}};
  for (int i = 0; i < 40; ++i) rows.push_back({0, i % 3});
  const auto all = read(*one, rows);
  std::vector<float> last(2 * v);
  other->read_last(rows, last);
  const auto row = [&](size_t i) {
    return std::vector<float>(all.begin() + static_cast<std::ptrdiff_t>(i * v),
                              all.begin() + static_cast<std::ptrdiff_t>((i + 1) * v));
  };
  auto expected = row(3);  // stream 2 came first
  const auto of_zero = row(rows.size() - 1);
  expected.insert(expected.end(), of_zero.begin(), of_zero.end());
  EXPECT_EQ(last, expected);
}

TEST_P(Bits, of_a_copy_or_a_cleared_stream_are_those_of_a_fresh_one) {
  const auto fresh = make(1), decoder = make(3);
  const auto prompt = random_tokens(37, fresh->vocabulary(), 5);
  const auto more = random_tokens(30, fresh->vocabulary(), 6);
  auto whole = prompt;
  whole.insert(whole.end(), more.begin(), more.end());
  const auto all = read_stream(*fresh, 0, whole);
  const std::vector<float> expected(
      all.end() - static_cast<std::ptrdiff_t>(more.size()) * fresh->vocabulary(), all.end());
  read_stream(*decoder, 1, more);  // to be overwritten
  read_stream(*decoder, 0, prompt);
  decoder->copy(0, 1);
  decoder->copy(0, 0);
  EXPECT_EQ(decoder->length(1), 37);
  EXPECT_EQ(read_stream(*decoder, 1, more), expected);
  EXPECT_EQ(read_stream(*decoder, 0, more), expected);
  decoder->clear(1);
  EXPECT_EQ(decoder->length(1), 0);
  EXPECT_EQ(read_stream(*decoder, 1, whole), all);
}

// Errors. -----------------------------------------------------------------------------------------

std::string error_of(ErrorKind kind, const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "no error";
}

TEST(Decoder, names_weights_that_are_missing_or_of_another_size) {
  Checkpoint weights = random_weights(kSmall);
  weights.at("blocks.1.mlp.up.weight").pop_back();
  const auto make = [&] { make_decoder(kSmall, 1, weights.weights(), WeightFormat::float32, 1); };
  EXPECT_EQ(error_of(ErrorKind::data, make),
            "weight 'blocks.1.mlp.up.weight': expected 64 x 32 = 2048 numbers, found 2047");
  weights.erase("positions.weight");
  EXPECT_EQ(error_of(ErrorKind::data, make),
            "weight 'positions.weight': expected 80 x 32 = 2560 numbers, found 0");
  const RnnShape shape = {.vocabulary = 5, .layers = 1, .width = 8, .embedding = 8};
  Checkpoint rnn = random_weights(shape);
  rnn.erase("head.bias");
  EXPECT_EQ(error_of(ErrorKind::data,
                     [&] { make_decoder(shape, 1, rnn.weights(), WeightFormat::int8, 1); }),
            "weight 'head.bias': expected 1 x 5 = 5 numbers, found 0");
}

TEST(Decoder, refuses_shapes_that_make_no_sense) {
  const auto message = [](const TransformerShape& shape) {
    return error_of(ErrorKind::usage, [&] {
      make_decoder(shape, 1, Checkpoint().weights(), WeightFormat::float32, 1);
    });
  };
  EXPECT_EQ(message(with([](auto& s) { s.width = 20, s.positions = Positions::rotary; })),
            "rotary positions need an even head, found 5");
  EXPECT_NE(message(with([](auto& s) { s.heads = 5; })), "no error");
  EXPECT_NE(message(with([](auto& s) { s.kv_heads = 3; })), "no error");
}

TEST(Decoder, a_refused_call_changes_nothing) {
  const Checkpoint weights = random_weights(kSmall);
  const auto decoder = make_decoder(kSmall, 2, weights.weights(), WeightFormat::float32, 1);
  const auto message = [&](ErrorKind kind, const std::vector<Decoder::Row>& rows) {
    return error_of(kind, [&] { read(*decoder, rows); });
  };
  EXPECT_EQ(message(ErrorKind::data, {{0, 1}, {0, 13}}), "token 13: the vocabulary has 13");
  EXPECT_EQ(message(ErrorKind::data, {{0, -1}}), "token -1: the vocabulary has 13");
  EXPECT_EQ(message(ErrorKind::usage, {{0, 1}, {2, 1}}), "stream 2: the decoder has 2");
  EXPECT_EQ(message(ErrorKind::usage, {{-1, 1}}), "stream -1: the decoder has 2");
  EXPECT_EQ(message(ErrorKind::usage, std::vector<Decoder::Row>(81, {0, 1})),
            "the context of 80 tokens is full");
  EXPECT_EQ(error_of(ErrorKind::usage, [&] { decoder->copy(0, 2); }),
            "stream 2: the decoder has 2");
  std::vector<float> small(12);
  EXPECT_EQ(error_of(ErrorKind::usage,
                     [&] {
                       decoder->read(std::array{Decoder::Row{0, 1}}, small);
                     }),
            "room for logits: expected 13 numbers, found 12");
  EXPECT_EQ(decoder->length(0), 0);
  read(*decoder, std::vector<Decoder::Row>(80, {0, 1}));
  EXPECT_EQ(message(ErrorKind::usage, {{1, 1}, {0, 1}}), "the context of 80 tokens is full");
  EXPECT_EQ(decoder->length(1), 0);
  EXPECT_TRUE(read(*decoder, {}).empty());
}

}  // namespace
}  // namespace genai
