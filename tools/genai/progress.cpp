#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "command.h"
#include "genai/base/files.h"
#include "genai/base/log.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/base/signals.h"
#include "genai/base/terminal.h"
#include "genai/data/unicode.h"
#include "genai/generation/generate.h"

namespace genai::tool {
namespace {

/// Lines of a text that are shown in training.
constexpr int kShownLines = 8;
constexpr double kTerminalPause = 0.1, kPlainPause = 10;  // seconds between lines

/// A sheet as wide as the images are many.
Image sheet_of(const std::vector<Image>& images, int64_t columns) {
  const auto count = static_cast<int64_t>(images.size());
  return grid(images, (count + columns - 1) / columns, columns);
}

}  // namespace

ProgressPrinter::ProgressPrinter(bool quiet)
    : terminal_(!quiet && is_terminal(STDERR_FILENO)),
      colour_(colour_allowed(STDERR_FILENO)),
      quiet_(quiet) {}

void ProgressPrinter::started(const TrainStart& start) {
  run_ = start.run;
  unit_ = start.unit;
  maker_ = start.maker;
  say(concat(start.run.string(), ": ", start.parameters, " parameters, ", start.numerics.device,
             ", ", enum_name(kPrecisionNames, start.numerics.precision), ", ",
             start.numerics.threads, " threads",
             start.first_step ? concat("; continues at step ", start.first_step) : "",
             start.steps ? concat("; ", start.steps, " steps of which ",
                                  std::llround(start.steps_per_epoch), " are an epoch")
                         : "; measuring the rate to fit the budget"));
}

void ProgressPrinter::progress(const StepReport& report) {
  if (quiet_ || !due(printed_, terminal_ ? kTerminalPause : kPlainPause)) return;
  const std::string line = progress_line(report);
  if (!terminal_) {
    say(line);
    return;
  }
  // A line that wraps cannot be written over; the bar's eighths are three bytes each, so cutting
  // by bytes errs on the safe side.
  const auto columns = static_cast<size_t>(terminal_columns(STDERR_FILENO));
  std::cerr << "\r\x1b[K" << (line.size() < columns ? line : line.substr(0, line.find("  \xe2")))
            << std::flush;
  line_open_ = true;
}

void ProgressPrinter::validated(int64_t step, const Json& values, bool best) {
  if (quiet_ || (!terminal_ && !due(validated_, kPlainPause))) return;
  std::string text = concat("step ", step, " test");
  for (const auto& [name, value] : values.items()) {
    text += concat("  ", name, " ", number_text(value, 5));
  }
  close_line();
  rewind_block();
  say(text + (best ? "  (best)" : ""));
  block_lines_ = 1;
}

void ProgressPrinter::sampled(int64_t step, const std::vector<Image>& images, const Json& request) {
  save_picture(step, images, request);
  if (!terminal_ || !colour_ || images.empty()) return;
  const int64_t columns = (terminal_columns(STDERR_FILENO) - 2) / (images[0].width + 2);
  if (columns < 1) return;
  const auto count = std::min<int64_t>({columns, 8, static_cast<int64_t>(images.size())});
  close_line();
  const std::string picture =
      half_blocks(sheet_of({images.begin(), images.begin() + count}, count), true);
  std::cerr << picture << std::flush;
  block_lines_ += static_cast<int>(std::count(picture.begin(), picture.end(), '\n'));
}

void ProgressPrinter::wrote(int64_t step, const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  char name[40];
  std::snprintf(name, sizeof name, "step-%07lld.txt", static_cast<long long>(step));
  std::filesystem::create_directories(run_ / "samples");
  const std::filesystem::path file = run_ / "samples" / name;
  write_file(file, all);
  Json made = maker_;
  made["step"] = step;
  made["request"] = {{"write", "texts"}, {"training", true}};
  write_file(sidecar_path(file), sidecar(all, made));
  if (!terminal_) return;
  close_line();
  // The beginning alone: the block must fit on the screen to be written over.
  const auto columns = static_cast<size_t>(terminal_columns(STDERR_FILENO));
  std::istringstream lines(all);
  std::string line;
  for (int shown = 0; shown < kShownLines && std::getline(lines, line); ++shown) {
    std::cerr << "  " << valid_utf8(line.substr(0, columns - 3)) << "\n";
    ++block_lines_;
  }
}

void ProgressPrinter::warned(const std::string& text) {
  close_line();
  log_warning(text);
  block_lines_ = 0;
}

int ProgressPrinter::stop_requested() {
  return stop_signal();
}
bool ProgressPrinter::save_requested() {
  return take_save_request();
}

void ProgressPrinter::close_line() {
  if (line_open_) std::cerr << "\r\x1b[K" << std::flush;
  line_open_ = false;
}

/// The pictures of the last validation give way to those of this one.
void ProgressPrinter::rewind_block() {
  if (terminal_ && colour_ && block_lines_ > 1) {
    std::cerr << "\x1b[" << block_lines_ << "A\x1b[J" << std::flush;
  }
  block_lines_ = 0;
}

bool ProgressPrinter::due(Clock::time_point& last, double seconds) {
  const auto now = Clock::now();
  if (std::chrono::duration<double>(now - last).count() < seconds) return false;
  last = now;
  return true;
}

std::string ProgressPrinter::progress_line(const StepReport& r) const {
  std::string text =
      concat("epoch ", number_text(std::floor(r.epoch * 10) / 10, 4), "  step ", r.step);
  if (r.steps) text += concat("/", r.steps);
  for (const auto& [name, value] : r.values.items()) {
    if (name.rfind("loss", 0) == 0) text += concat("  ", name, " ", number_text(value, 5));
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

void ProgressPrinter::save_picture(int64_t step, const std::vector<Image>& images,
                                   const Json& request) const {
  char name[40];
  std::snprintf(name, sizeof name, "step-%07lld.png", static_cast<long long>(step));
  const auto columns =
      static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(images.size()))));
  std::filesystem::create_directories(run_ / "samples");
  const Image sheet = scale_up(sheet_of(images, columns), 2);
  Json maker = maker_, made = request;
  maker["step"] = step;
  made["training"] = true;
  write_file(run_ / "samples" / name,
             encode_png(sheet, provenance(maker, made, sheet, Origin::model)));
}

}  // namespace genai::tool
