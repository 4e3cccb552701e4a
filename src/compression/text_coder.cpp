#include "genai/compression/text_coder.h"

#include <algorithm>
#include <numeric>

#include "genai/base/error.h"
#include "genai/data/sequences.h"
#include "genai/data/unicode.h"
#include "genai/decode/rolling_context.h"
#include "genai/generation/text_samples.h"

namespace genai {
namespace {

constexpr int64_t kPassage = 1 << 14, kStreams = 32;
constexpr int64_t kLongestRun = 256, kByteValues = 256;
constexpr int64_t kProgressEvery = 256;  // symbols of a passage

}  // namespace

TextCoder::TextCoder(const LoadedModel& loaded, int threads) : info_(loaded.manifest.data) {
  auto& next = loaded.as<NextToken>("compress");
  if (!info_.tokenizer || info_.tokenizer->ordered()) {
    fail(ErrorKind::usage, "compress: this run learned ", info_.modality->items(info_),
         ", not texts; expected a text model");
  }
  decoder_ = next.decoder(kStreams, WeightFormat::float32, threads);
  context_ = std::make_unique<RollingContext>(*decoder_);
  start_ = prompt_tokens("", info_);
}

TextCoder::~TextCoder() = default;

std::vector<TextCoder::Symbol> TextCoder::symbols_of(std::string_view text) const {
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < text.size();) {
    const size_t known = info_.tokenizer->known(text.substr(at));
    for (const int32_t token : info_.tokenizer->encode(text.substr(at, known)))
      symbols.push_back({.token = token, .first = 0, .count = 0});
    at += known;
    if (at == text.size()) break;
    const size_t unknown = character_at(text, at).bytes;
    const bool goes_on = known == 0 && !symbols.empty() && symbols.back().token == kRun &&
                         symbols.back().count + unknown <= kLongestRun;
    if (!goes_on)
      symbols.push_back({.token = kRun, .first = static_cast<uint32_t>(at), .count = 0});
    symbols.back().count += static_cast<uint16_t>(unknown);
    at += unknown;
  }
  return symbols;
}

std::vector<std::vector<TextCoder::Passage>> TextCoder::groups_of(
    std::span<const int64_t> symbols) {
  std::vector<std::vector<Passage>> groups;
  for (size_t text = 0; text < symbols.size(); ++text) {
    const int64_t n = symbols[text], passages = (n + kPassage - 1) / kPassage;
    for (int64_t i = 0; i < passages; ++i) {
      if (groups.empty() || groups.back().size() == kStreams) groups.emplace_back();
      const int64_t first = n * i / passages;
      groups.back().push_back({text, first, n * (i + 1) / passages - first});
    }
  }
  return groups;
}

void TextCoder::walk(std::span<const Passage> group, const Visit& visit) {
  const auto vocabulary = static_cast<size_t>(decoder_->vocabulary());
  std::vector<float> start(vocabulary), all(vocabulary * group.size()), read(all.size());
  const auto logits = [&](size_t p) { return std::span(all).subspan(p * vocabulary, vocabulary); };
  const auto begin = [&](size_t p) {
    context_->begin(static_cast<int64_t>(p), start_, start);
    std::ranges::copy(start, logits(p).begin());
  };
  for (size_t p = 0; p < group.size(); ++p) begin(p);
  const int32_t line_end = info_.lines ? start_token(*info_.tokenizer) : kRun;
  const int64_t longest = std::ranges::max(group, {}, &Passage::count).count;
  SoftmaxCode next;
  std::vector<Decoder::Row> rows;
  for (int64_t at = 0; at < longest; ++at) {
    rows.clear();
    for (size_t p = 0; p < group.size(); ++p) {
      if (at >= group[p].count) continue;
      next.set(logits(p));
      const int32_t token = visit(p, at, next);
      if (token == kRun) continue;
      if (token == line_end) {  // each line is a text of its own
        begin(p);
      } else {
        rows.push_back({static_cast<int64_t>(p), token});
      }
    }
    context_->read(rows, std::span(read).first(rows.size() * vocabulary));
    for (size_t i = 0; i < rows.size(); ++i) {
      std::ranges::copy(std::span(read).subspan(i * vocabulary, vocabulary),
                        logits(static_cast<size_t>(rows[i].stream)).begin());
    }
  }
}

TextCoder::Coded TextCoder::encode(std::span<const std::string> texts, AnsStack& stack,
                                   const CodingProgress& progress) {
  std::vector<std::vector<Symbol>> symbols;
  Coded coded;
  for (const std::string& text : texts) {
    symbols.push_back(symbols_of(text));
    coded.symbols.push_back(static_cast<int64_t>(symbols.back().size()));
  }
  const int64_t total = std::accumulate(coded.symbols.begin(), coded.symbols.end(), int64_t{0});
  int64_t done = 0;
  // What is decoded first lies on top, so is coded last.
  auto groups = groups_of(coded.symbols);
  std::reverse(groups.begin(), groups.end());
  for (const auto& group : groups) {
    std::vector<Interval> intervals;
    walk(group, [&](size_t p, int64_t at, const SoftmaxCode& next) {
      const Passage& passage = group[p];
      const Symbol& symbol = symbols[passage.text][static_cast<size_t>(passage.first + at)];
      if (++done % kProgressEvery == 0 && progress)
        progress(static_cast<double>(done) / static_cast<double>(total));
      if (symbol.token != kRun) {
        intervals.push_back(next.interval(symbol.token));
        coded.bits += next.bits(symbol.token);
        return symbol.token;
      }
      intervals.push_back(next.interval(next.escape()));
      intervals.push_back(uniform_interval(symbol.count - 1, kLongestRun));
      for (const char byte : texts[passage.text].substr(symbol.first, symbol.count))
        intervals.push_back(uniform_interval(static_cast<unsigned char>(byte), kByteValues));
      coded.bits += 8.0 * symbol.count;
      return kRun;
    });
    for (size_t i = intervals.size(); i-- > 0;) stack.push(intervals[i]);
  }
  return coded;
}

std::vector<std::string> TextCoder::decode(std::span<const Size> sizes, AnsStack& stack,
                                           const CodingProgress& progress) {
  std::vector<int64_t> symbols;
  for (const Size& size : sizes) symbols.push_back(size.symbols);
  const int64_t total = std::accumulate(symbols.begin(), symbols.end(), int64_t{0});
  int64_t done = 0;
  const auto take_uniform = [&](int64_t n) {
    const int64_t symbol = uniform_symbol(stack.peek(), n);
    stack.drop(uniform_interval(symbol, n));
    return symbol;
  };
  std::vector<std::string> texts(sizes.size());
  for (const auto& group : groups_of(symbols)) {
    std::vector<std::string> parts(group.size());
    walk(group, [&](size_t p, int64_t, const SoftmaxCode& next) {
      if (++done % kProgressEvery == 0 && progress)
        progress(static_cast<double>(done) / static_cast<double>(total));
      const int32_t symbol = next.symbol(stack.peek());
      stack.drop(next.interval(symbol));
      std::string& part = parts[p];
      if (symbol != next.escape()) {
        part += info_.tokenizer->token(symbol);
      } else {
        const int64_t count = take_uniform(kLongestRun) + 1;
        for (int64_t i = 0; i < count; ++i) part += static_cast<char>(take_uniform(kByteValues));
      }
      return symbol != next.escape() ? symbol : kRun;
    });
    for (size_t p = 0; p < group.size(); ++p) {
      std::string& text = texts[group[p].text];
      text += parts[p];
      if (static_cast<int64_t>(text.size()) > sizes[group[p].text].bytes)
        fail(ErrorKind::data, "a text gets larger than its ", sizes[group[p].text].bytes, " bytes");
    }
  }
  return texts;
}

}  // namespace genai
