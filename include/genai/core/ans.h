// Asymmetric numeral systems, range variant: J. Duda, "Asymmetric numeral systems: entropy coding
// combining speed of Huffman coding with compression rate of arithmetic coding", 2013, section 3;
// with a state of 64 bits that gives and takes words of 32.
//
// A stack of symbols: what was pushed last comes off first. A symbol is told by its interval of the
// numbers 0 to 2^24 - 1, which costs 24 - log2(size) bits. To take a symbol off that was never
// pushed is to draw it with these probabilities from the bits that lie there, and to push it again
// gives the same bits back: what bits-back coding rests on.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace genai {

inline constexpr int kAnsBits = 24;
inline constexpr uint32_t kAnsTotal = uint32_t{1} << kAnsBits;

/// The numbers start .. start + size - 1 below kAnsTotal; size is 1 at least.
struct Interval {
  uint32_t start, size;
};

class AnsStack {
 public:
  void push(Interval symbol);
  /// A number within the interval of the symbol that comes off next.
  uint32_t peek() const { return static_cast<uint32_t>(state_) & (kAnsTotal - 1); }
  /// Takes it off. Throws Error{data} where nothing is left, unless it borrows.
  void drop(Interval symbol);

  /// From now on an empty stack takes random bits, always the same, from below its bottom.
  void borrow() { borrows_ = true; }
  /// Is nothing there but what may have been borrowed?
  bool only_borrowed() const;

  /// Whole words, the lowest byte first: the state, and what lies below it from the bottom up.
  std::string to_bytes() const;
  /// The reverse. Throws Error{data} for what no stack of ours writes.
  static AnsStack from_bytes(std::string_view bytes);

 private:
  static constexpr uint64_t kLowest = uint64_t{1} << 32;  // of a state

  uint64_t state_ = kLowest;
  std::vector<uint32_t> words_;  // below the state, the last on top
  bool borrows_ = false;
  uint64_t borrowed_ = 0;
};

}  // namespace genai
