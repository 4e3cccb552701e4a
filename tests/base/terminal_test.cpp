#include "genai/base/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cmath>
#include <limits>

#include "temp_folder.h"

namespace genai {
namespace {

/// Sets (or, with nullptr, removes) an environment variable for one test.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old, had_ = true;
    set(value);
  }
  ~Environment() { set(had_ ? old_.c_str() : nullptr); }

 private:
  void set(const char* value) {
    if (value)
      ::setenv(name_, value, 1);
    else
      ::unsetenv(name_);
  }
  const char* name_;
  std::string old_;
  bool had_ = false;
};

/// The terminal side of a new pseudo-terminal, -1 where there is none.
struct Pty {
  Pty() : master(::posix_openpt(O_RDWR | O_NOCTTY)) {
    if (master >= 0 && ::grantpt(master) == 0 && ::unlockpt(master) == 0)
      slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  }
  ~Pty() {
    if (slave >= 0) ::close(slave);
    if (master >= 0) ::close(master);
  }
  int master, slave = -1;
};

TEST(Terminal, NotATerminal) {
  const int fd = ::open("/dev/null", O_RDONLY);
  const Environment term("TERM", "xterm"), no_color("NO_COLOR", nullptr);
  EXPECT_FALSE(is_terminal(fd));
  EXPECT_FALSE(is_terminal(-1));
  EXPECT_FALSE(colour_allowed(fd));
  const std::pair<const char*, int> cases[] = {{"100", 100},
                                               {nullptr, 80},
                                               {"", 80},
                                               {"0", 80},
                                               {"-5", 80},
                                               {"12x", 80},
                                               {"99999999999999999999", 80}};
  for (const auto& [columns, expected] : cases) {
    const Environment set("COLUMNS", columns);
    EXPECT_EQ(terminal_columns(fd), expected) << (columns ? columns : "unset");
  }
  for (const auto& [lines, expected] : {std::pair{"50", 50}, {"-5", 24}, {nullptr, 24}}) {
    const Environment set("LINES", lines);
    EXPECT_EQ(terminal_lines(fd), expected) << (lines ? lines : "unset");
  }
  ::close(fd);
}

TEST(Terminal, PseudoTerminal) {
  const Pty pty;
  if (pty.slave < 0) GTEST_SKIP() << "no pseudo-terminals here";
  EXPECT_TRUE(is_terminal(pty.slave));
  winsize size{};
  size.ws_col = 123;
  size.ws_row = 45;
  ASSERT_EQ(::ioctl(pty.slave, TIOCSWINSZ, &size), 0);
  EXPECT_EQ(terminal_columns(pty.slave), 123);
  EXPECT_EQ(terminal_lines(pty.slave), 45);
  const auto allowed = [&](const char* term, const char* no_color) {
    const Environment set_term("TERM", term), set_no_color("NO_COLOR", no_color);
    return colour_allowed(pty.slave);
  };
  EXPECT_TRUE(allowed("xterm", nullptr));
  EXPECT_TRUE(allowed("xterm", ""));
  EXPECT_FALSE(allowed("xterm", "1"));
  EXPECT_FALSE(allowed("dumb", nullptr));
  EXPECT_FALSE(allowed(nullptr, nullptr));
}

TEST(HalfBlocks, Colour) {
  const Image grey{3, 2, 1, {1, 1, 9, 2, 2, 2}};
  EXPECT_EQ(half_blocks(grey, true),
            "\x1b[38;2;1;1;1;48;2;2;2;2m▀▀\x1b[38;2;9;9;9;48;2;2;2;2m▀\x1b[0m\n");
  const Image odd{1, 3, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9}};  // the last line has no lower half
  EXPECT_EQ(half_blocks(odd, true),
            "\x1b[38;2;1;2;3;48;2;4;5;6m▀\x1b[0m\n\x1b[38;2;7;8;9;49m▀\x1b[0m\n");
}

TEST(HalfBlocks, Plain) {
  const Image grey{4, 3, 1, {0, 255, 0, 128, 0, 255, 255, 128, 255, 0, 26, 255}};
  EXPECT_EQ(half_blocks(grey, false), " @=+\n@ .@\n");
  EXPECT_EQ(half_blocks(Image{1, 1, 3, {0, 255, 0}}, false), "+\n");  // luma 150
}

TEST(HalfBlocks, WrongInput) {
  expect_error(ErrorKind::usage, "cannot show", [] { half_blocks({}, true); });
  expect_error(ErrorKind::usage, "cannot show", [] { half_blocks({2, 2, 1, {1}}, false); });
}

TEST(Bar, FillsByEighths) {
  EXPECT_EQ(bar(0, 3), "   ");
  EXPECT_EQ(bar(1, 3), "███");
  EXPECT_EQ(bar(0.5, 3), "█▌ ");
  EXPECT_EQ(bar(1.0 / 24, 3), "▏  ");
  EXPECT_EQ(bar(0.9999, 2), "█▉");
  EXPECT_EQ(bar(-1, 2), "  ");
  EXPECT_EQ(bar(7, 2), "██");
  EXPECT_EQ(bar(std::nan(""), 2), "  ");
  EXPECT_EQ(bar(std::numeric_limits<double>::infinity(), 2), "██");
  EXPECT_EQ(bar(0.5, 0), "");
  EXPECT_EQ(bar(0.5, -1), "");
}

}  // namespace
}  // namespace genai
