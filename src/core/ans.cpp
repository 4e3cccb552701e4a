#include "genai/core/ans.h"

#include "genai/base/bytes.h"
#include "genai/base/error.h"
#include "genai/core/philox.h"

namespace genai {
namespace {

/// Word `number` of those that are borrowed.
uint32_t borrowed_word(uint64_t number) {
  static const uint64_t key = stream_key(0, "ans/borrowed");
  uint64_t bits = 0;
  philox_bits(key, 0, number, &bits, 1);
  return static_cast<uint32_t>(bits);
}

}  // namespace

void AnsStack::push(Interval symbol) {
  if (symbol.size == kAnsTotal) return;  // certain, and costs nothing
  if (state_ >= uint64_t{symbol.size} << (64 - kAnsBits)) {
    words_.push_back(static_cast<uint32_t>(state_));
    state_ >>= 32;
  }
  state_ = (state_ / symbol.size << kAnsBits) + state_ % symbol.size + symbol.start;
}

void AnsStack::drop(Interval symbol) {
  state_ = symbol.size * (state_ >> kAnsBits) + peek() - symbol.start;
  if (state_ >= kLowest) return;
  if (words_.empty()) {
    if (!borrows_) fail(ErrorKind::data, "the code ends before what it should hold");
    words_.push_back(borrowed_word(borrowed_++));
  }
  state_ = state_ << 32 | words_.back();
  words_.pop_back();
}

bool AnsStack::only_borrowed() const {
  if (state_ != kLowest) return false;
  for (size_t i = 0; i < words_.size(); ++i) {
    if (words_[i] != borrowed_word(words_.size() - 1 - i)) return false;
  }
  return true;
}

std::string AnsStack::to_bytes() const {
  std::string bytes;
  bytes.reserve(8 + 4 * words_.size());
  append_little_endian(state_, 8, bytes);
  for (const uint32_t word : words_) append_little_endian(word, 4, bytes);
  return bytes;
}

AnsStack AnsStack::from_bytes(std::string_view bytes) {
  if (bytes.size() < 8 || bytes.size() % 4 != 0) {
    fail(ErrorKind::data, "expected a code of 8 bytes and words of 4, found ", bytes.size(),
         " bytes");
  }
  AnsStack stack;
  const auto word = [&](size_t at) { return *read_number(bytes, at, 4, /*little=*/true); };
  stack.state_ = uint64_t{word(4)} << 32 | word(0);
  if (stack.state_ < kLowest) fail(ErrorKind::data, "the state of the code is out of range");
  stack.words_.reserve(bytes.size() / 4 - 2);
  for (size_t at = 8; at < bytes.size(); at += 4) stack.words_.push_back(word(at));
  return stack;
}

}  // namespace genai
