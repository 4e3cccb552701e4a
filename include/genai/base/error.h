// The one exception type that a user's mistake or the outside world can cause.
#pragma once
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>

namespace genai {

/// What went wrong, as the exit code that the tool returns for it.
enum class ErrorKind {
  failure = 1,   ///< failed while running: disk full, a folder that cannot be written
  usage = 2,     ///< a wrong option or setting
  data = 3,      ///< missing or damaged input: data set, checkpoint, picture
  device = 4,    ///< no such device
  bar = 5,       ///< it ran, but a required bar or a check was missed
  diverged = 6,  ///< training left the finite numbers
};

/// A message of one or two lines: what failed and where, expected and found, what to do next.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message)
      : std::runtime_error(without_zeros(message)), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  /// what() would end at a zero byte, which may come from a file.
  static std::string without_zeros(std::string message) {
    for (size_t at = 0; (at = message.find('\0', at)) != message.npos;) {
      message.replace(at, 1, "\\x00");
    }
    return message;
  }

  ErrorKind kind_;
};

/// Ends a job that is no longer wanted. No user's mistake, so no Error.
class Cancelled : public std::exception {
 public:
  const char* what() const noexcept override { return "cancelled"; }
};

/// Asked between two parts of a long work; throws Cancelled to end it. May be empty.
using CheckWanted = std::function<void()>;

/// All arguments, streamed one after the other: concat("expected ", 3, ", found ", n).
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws Error{kind, concat(parts...)}.
template <class... Parts>
[[noreturn]] void fail(ErrorKind kind, const Parts&... parts) {
  throw Error(kind, concat(parts...));
}

/// What an exception says, for a message of ours: without a library's or a function's name.
std::string reason_of(const std::exception& error);

}  // namespace genai
