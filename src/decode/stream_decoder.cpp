#include "genai/decode/stream_decoder.h"

#include <algorithm>
#include <array>

#include "genai/base/error.h"

namespace genai::decode {

std::span<const float> WeightReader::numbers(const std::string& name, int64_t rows, int64_t columns,
                                             Chunk chunk) const {
  const auto found = weights_(name);
  const int64_t size = rows * columns;
  if (static_cast<int64_t>(found.size()) != chunk.of * size) {
    fail(ErrorKind::data, "weight '", name, "': expected ", chunk.of * rows, " x ", columns, " = ",
         chunk.of * size, " numbers, found ", found.size());
  }
  return found.subspan(static_cast<size_t>(chunk.number * size), static_cast<size_t>(size));
}

Matrix WeightReader::matrix(const std::string& name, int64_t out, int64_t in, Chunk chunk) const {
  return Matrix(numbers(name, out, in, chunk), out, in, format_);
}

Buffer<float> WeightReader::table(const std::string& name, int64_t rows, int64_t columns) const {
  const auto from = numbers(name, rows, columns);
  Buffer<float> to(rows * padded(columns));
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(from.data() + r * columns, columns, to.at(r * padded(columns)));
  }
  return to;
}

Buffer<float> WeightReader::vector(const std::string& name, int64_t size, Chunk chunk) const {
  const auto from = numbers(name, 1, size, chunk);
  Buffer<float> to(padded(size));
  std::copy_n(from.data(), size, to.data());
  return to;
}

StreamDecoder::StreamDecoder(int64_t vocabulary, int64_t context, int64_t streams, int threads)
    : team_(threads), vocabulary_(vocabulary), context_(context) {
  if (streams < 1) fail(ErrorKind::usage, "a decoder needs a stream, found ", streams);
  streams_.resize(static_cast<size_t>(streams));
}

StreamDecoder::Stream& StreamDecoder::stream(int64_t number) {
  if (number < 0 || number >= streams()) {
    fail(ErrorKind::usage, "stream ", number, ": the decoder has ", streams());
  }
  return streams_[static_cast<size_t>(number)];
}

int64_t StreamDecoder::length(int64_t number) const {
  return const_cast<StreamDecoder*>(this)->stream(number).length;
}

void StreamDecoder::read(std::span<const Row> rows, std::span<float> logits) {
  run(rows, logits, /*last_only=*/false);
}

void StreamDecoder::read_last(std::span<const Row> rows, std::span<float> logits) {
  run(rows, logits, /*last_only=*/true);
}

int64_t StreamDecoder::check(std::span<const Row> rows) {
  for (Stream& s : streams_) s.coming = 0, s.slot = -1;
  int64_t count = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    Stream& s = stream(rows[i].stream);
    if (rows[i].token < 0 || rows[i].token >= vocabulary_) {
      fail(ErrorKind::data, "token ", rows[i].token, ": the vocabulary has ", vocabulary_);
    }
    s.last = static_cast<int64_t>(i);
    if (s.slot < 0) s.slot = count++;
    if (++s.coming + s.length > context_ && context_ > 0) {
      fail(ErrorKind::usage, "the context of ", context_, " tokens is full");
    }
  }
  return count;
}

void StreamDecoder::run(std::span<const Row> rows, std::span<float> logits, bool last_only) {
  const int64_t count = check(rows);
  const int64_t expected = (last_only ? count : static_cast<int64_t>(rows.size())) * vocabulary_;
  if (static_cast<int64_t>(logits.size()) != expected) {
    fail(ErrorKind::usage, "room for logits: expected ", expected, " numbers, found ",
         logits.size());
  }
  std::array<int64_t, kMostRows> places;
  std::array<float*, kMostRows> targets;
  for (size_t first = 0; first < rows.size(); first += kMostRows) {
    const auto chunk = rows.subspan(first, std::min<size_t>(kMostRows, rows.size() - first));
    for (size_t i = 0; i < chunk.size(); ++i) {
      Stream& s = streams_[static_cast<size_t>(chunk[i].stream)];
      places[i] = s.length++;
      const auto row = static_cast<int64_t>(first + i);
      const int64_t slot = last_only ? s.slot : row;
      const bool wanted = !last_only || s.last == row;
      targets[i] = wanted ? logits.data() + slot * vocabulary_ : nullptr;
    }
    const auto before = std::span<const int64_t>(places).first(chunk.size());
    begin(chunk, before);
    team_.run(cost() * static_cast<int64_t>(chunk.size()), [&](Worker& worker) {
      advance(worker, chunk, before, std::span(targets).first(chunk.size()));
    });
  }
}

void StreamDecoder::clear(int64_t number) {
  stream(number).length = 0;
  clear_state(number);
}

void StreamDecoder::copy(int64_t from, int64_t to) {
  stream(to).length = stream(from).length;
  if (from != to) copy_state(from, to);
}

}  // namespace genai::decode
