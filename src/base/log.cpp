#include "genai/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "genai/base/terminal.h"
#include "genai/base/text.h"

namespace genai {
namespace {

spdlog::logger& logger() {
  static const auto instance = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(
        colour_allowed(STDERR_FILENO) ? spdlog::color_mode::always : spdlog::color_mode::never);
    auto made = std::make_shared<spdlog::logger>("genai", sink);
    made->set_level(spdlog::level::info);
    return made;
  }();
  return *instance;
}

void write(spdlog::level::level_enum level, const char* pattern, const std::string& message) {
  logger().set_pattern(pattern);
  logger().log(level, "{}", inert(message, /*keep_lines=*/true));
}

}  // namespace

void log_info(const std::string& message) {
  write(spdlog::level::info, "%v", message);
}
void log_warning(const std::string& message) {
  write(spdlog::level::warn, "%^warning:%$ %v", message);
}
void log_error(const std::string& message) {
  write(spdlog::level::err, "%^error:%$ %v", message);
}
void log_quiet() {
  logger().set_level(spdlog::level::err);
}

}  // namespace genai
