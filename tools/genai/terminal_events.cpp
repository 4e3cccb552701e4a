#include "terminal_events.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <iostream>
#include <sstream>

#include "genai/base/log.h"
#include "genai/base/picture.h"
#include "genai/base/signals.h"
#include "genai/base/terminal.h"
#include "genai/data/unicode.h"

namespace genai::tool {
namespace {

/// Lines of a text that are shown in training.
constexpr int kShownLines = 8;
constexpr double kTerminalPause = 0.1, kPlainPause = 10;  // seconds between lines

/// Nobody reads what is written to stdout.
bool reader_gone() {
  pollfd output{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  const bool gone = ::poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
  if (gone) std::cout.setstate(std::ios::badbit);
  return !std::cout.good();
}

std::string view_names(PathView view) {
  return view == PathView::noisy   ? "noisy"
         : view == PathView::clean ? "predicted"
                                   : "noisy, predicted";
}

}  // namespace

TerminalEvents::TerminalEvents(const Command& command, Options options)
    : command_(command),
      options_(options),
      terminal_(!is_quiet() && is_terminal(STDERR_FILENO)),
      colour_(colour_allowed(STDERR_FILENO)),
      quiet_(is_quiet()),
      player_(is_quiet() || options.json, options.preview) {}

void TerminalEvents::started(const TrainStart& start) {
  unit_ = start.unit;
  say(concat(start.run.string(), ": ", start.parameters, " parameters, ", start.numerics.device,
             ", ", enum_name(kPrecisionNames, start.numerics.precision), ", ",
             start.numerics.threads, " threads",
             start.first_step ? concat("; continues at step ", start.first_step) : "",
             start.steps ? concat("; ", start.steps, " steps of which ",
                                  std::llround(start.steps_per_epoch), " are an epoch")
                         : "; measuring the rate to fit the budget"));
}

void TerminalEvents::progress(const StepReport& report) {
  if (quiet_ || !due(printed_, terminal_ ? kTerminalPause : kPlainPause)) return;
  const std::string line = progress_line(report);
  if (!terminal_) return say(line);
  // A line that wraps cannot be written over; the bar's eighths are three bytes each, so cutting
  // by bytes errs on the safe side.
  const auto columns = static_cast<size_t>(terminal_columns(STDERR_FILENO));
  write_over(line.size() < columns ? line : line.substr(0, line.find("  \xe2")));
}

void TerminalEvents::validated(int64_t step, const Json& values, bool best) {
  if (quiet_ || (!terminal_ && !due(validated_, kPlainPause))) return;
  std::string text = concat("step ", step, " test");
  for (const auto& [name, value] : values.items()) {
    text += concat("  ", name, " ", number_text(value, 5));
  }
  close();
  rewind_block();
  say(text + (best ? "  (best)" : ""));
  block_lines_ = 1;
}

void TerminalEvents::sampled(int64_t, const std::vector<Image>& images, const Json&) {
  if (!terminal_ || !colour_ || images.empty()) return;
  const int64_t columns = (terminal_columns(STDERR_FILENO) - 2) / (images[0].width + 2);
  if (columns < 1) return;
  const auto count = std::min<int64_t>({columns, 8, static_cast<int64_t>(images.size())});
  close();
  const std::string picture =
      half_blocks(grid({images.begin(), images.begin() + count}, 1, count), true);
  std::cerr << picture << std::flush;
  block_lines_ += static_cast<int>(std::count(picture.begin(), picture.end(), '\n'));
}

void TerminalEvents::wrote(int64_t, const std::vector<std::string>& texts) {
  if (!terminal_) return;
  close();
  // The beginning alone: the block must fit on the screen to be written over.
  const auto columns = static_cast<size_t>(terminal_columns(STDERR_FILENO));
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  std::istringstream lines(all);
  std::string line;
  for (int shown = 0; shown < kShownLines && std::getline(lines, line); ++shown) {
    std::cerr << "  " << valid_utf8(line.substr(0, columns - 3)) << "\n";
    ++block_lines_;
  }
}

void TerminalEvents::warned(const std::string& text) {
  close();
  log_warning(command_.with_options(text));
  block_lines_ = 0;
}

void TerminalEvents::noted(const std::string& text) {
  close();
  say(command_.with_options(text));
}

void TerminalEvents::stage(const std::string& what, double done) {
  if (what.starts_with("about ")) return say(what);
  const auto now = Clock::now();
  if (what != stage_) {
    stage_ = what;
    stage_start_ = now;
  } else if (std::chrono::duration<double>(now - stage_shown_).count() < kTerminalPause) {
    return;
  }
  stage_shown_ = now;
  if (!terminal_) return;
  const double spent = std::chrono::duration<double>(now - stage_start_).count();
  write_over(padded(what, 20) + " " + bar(done, 30) +
             (done > 0 ? " " + duration_text(spent / done - spent) + " left" : ""));
}

/// As many of the images as fit side by side.
void TerminalEvents::frame(const PathFrame& frame, PathView view, int64_t milliseconds) {
  const int64_t views = view == PathView::both ? 2 : 1;
  const int64_t most = player_.room(frame.noisy.size(3), frame.noisy.size(2)) / views;
  if (most < 1) return;
  const int64_t count = std::min(most, frame.noisy.size(0));
  const auto noisy = to_images(frame.noisy.narrow(0, 0, count));
  const auto clean = to_images(frame.clean.narrow(0, 0, count));
  std::vector<Image> row;
  for (size_t i = 0; i < noisy.size(); ++i) {
    if (view != PathView::clean) row.push_back(noisy[i]);
    if (view != PathView::noisy) row.push_back(clean[i]);
  }
  const std::string share = number_text(100 * noise_share(frame.level), 2);
  player_.show(row, "noise " + padded(share + " %", 8) + view_names(view), milliseconds);
}

void TerminalEvents::piece(std::string_view text) {
  writes_ = true;
  if (!options_.json) std::cout << shown_text(text) << std::flush;
}

void TerminalEvents::found(const Json& part) {
  if (options_.print_part) options_.print_part(part, options_.json);
}

void TerminalEvents::output(std::string_view bytes) {
  std::cout << bytes;
}

std::optional<std::string> TerminalEvents::next_line() {
  const bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  if (terminal && !writes_) say("a line is a prompt; Ctrl-D ends");
  writes_ = true;
  if (terminal) std::cerr << "> " << std::flush;
  std::string line;
  if (stop_requested() || !std::getline(std::cin, line)) return std::nullopt;
  return line;
}

int TerminalEvents::stop_requested() {
  if (const int signal = stop_signal()) return signal;
  return writes_ && reader_gone() ? SIGPIPE : 0;
}

bool TerminalEvents::save_requested() {
  return take_save_request();
}

void TerminalEvents::close() {
  if (line_open_) std::cerr << "\r\x1b[K" << std::flush;
  line_open_ = false;
}

void TerminalEvents::write_over(const std::string& line) {
  std::cerr << "\r\x1b[K" << line << std::flush;
  line_open_ = true;
}

/// The pictures of the last validation give way to those of this one.
void TerminalEvents::rewind_block() {
  if (terminal_ && colour_ && block_lines_ > 1) {
    std::cerr << "\x1b[" << block_lines_ << "A\x1b[J" << std::flush;
  }
  block_lines_ = 0;
}

bool TerminalEvents::due(Clock::time_point& last, double seconds) {
  const auto now = Clock::now();
  if (std::chrono::duration<double>(now - last).count() < seconds) return false;
  last = now;
  return true;
}

std::string TerminalEvents::progress_line(const StepReport& r) const {
  std::string text =
      concat("epoch ", number_text(std::floor(r.epoch * 10) / 10, 4), "  step ", r.step);
  if (r.steps) text += concat("/", r.steps);
  for (const auto& [name, value] : r.values.items()) {
    if (name.starts_with("loss")) text += concat("  ", name, " ", number_text(value, 5));
  }
  text += concat("  ", number_text(r.rate, 3), " ", unit_, "/s");
  if (r.steps) {
    const double per_step = r.seconds / static_cast<double>(std::max<int64_t>(1, r.step));
    text += concat("  ", duration_text(per_step * static_cast<double>(r.steps - r.step)), " left");
  }
  if (r.steps && terminal_) {
    text += "  " + bar(static_cast<double>(r.step) / static_cast<double>(r.steps), 16);
  }
  return text;
}

std::string shown_text(std::string_view text) {
  return is_terminal(STDOUT_FILENO) ? inert(text, /*keep_lines=*/true) : std::string(text);
}

}  // namespace genai::tool
