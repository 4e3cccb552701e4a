#include "player.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <thread>

#include "genai/base/picture.h"
#include "genai/base/terminal.h"

namespace genai::tool {
namespace {

constexpr int64_t kPadding = 2;  // of a grid

}  // namespace

Player::Player(bool quiet, bool anywhere)
    : moves_(!quiet && colour_allowed(STDERR_FILENO)), shows_(moves_ || anywhere) {}

int64_t Player::room(int64_t width, int64_t height) const {
  if (!shows_) return 0;
  // Two pixels a line, one line of words; the cursor cannot go back above the screen.
  const int64_t lines = (height + 2 * kPadding + 1) / 2 + 1;
  if (moves_ && lines >= terminal_lines(STDERR_FILENO)) return 0;
  return std::max<int64_t>(0, (terminal_columns(STDERR_FILENO) - kPadding) / (width + kPadding));
}

void Player::show(const std::vector<Image>& row, const std::string& caption, int64_t milliseconds) {
  if (!shows_ || row.empty()) return;
  if (moves_) std::this_thread::sleep_until(until_);
  std::string text = half_blocks(grid(row, 1, static_cast<int64_t>(row.size())), moves_) + caption;
  if (moves_) {
    if (lines_ > 0) text = "\x1b[" + std::to_string(lines_) + "A" + text;
    text += "\x1b[K";  // what is left of a longer caption
  }
  text += "\n";
  lines_ = std::count(text.begin(), text.end(), '\n');
  std::cerr << text << std::flush;
  until_ = Clock::now() + std::chrono::milliseconds(milliseconds);
}

}  // namespace genai::tool
