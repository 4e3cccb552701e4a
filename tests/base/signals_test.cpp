#include "genai/base/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace genai {
namespace {

class Signals : public testing::Test {
 protected:
  void SetUp() override {
    install_signal_handlers();
    reset_signals_for_test();
  }
  void TearDown() override { reset_signals_for_test(); }
};

TEST_F(Signals, FirstStopCounts) {
  EXPECT_EQ(stop_signal(), 0);
  ::raise(SIGHUP);
  EXPECT_EQ(stop_signal(), SIGHUP);
  ::raise(SIGHUP);  // a hang-up may come from terminal and shell: never counted as the second
  ::raise(SIGTERM);
  EXPECT_EQ(stop_signal(), SIGHUP);
  reset_signals_for_test();
  ::raise(SIGTERM);
  EXPECT_EQ(stop_signal(), SIGTERM);
}

TEST_F(Signals, SecondInterruptEndsAtOnce) {
  const auto twice = [](int first, int second) {
    ::raise(first);
    ::raise(second);
  };
  EXPECT_EXIT(twice(SIGINT, SIGINT), testing::ExitedWithCode(130), "");
  EXPECT_EXIT(twice(SIGTERM, SIGTERM), testing::ExitedWithCode(143), "");
  EXPECT_EXIT(twice(SIGINT, SIGTERM), testing::ExitedWithCode(143), "");
}

TEST_F(Signals, SaveRequestIsTakenOnce) {
  EXPECT_FALSE(take_save_request());
  ::raise(SIGUSR1);
  ::raise(SIGUSR1);
  EXPECT_TRUE(take_save_request());
  EXPECT_FALSE(take_save_request());
  EXPECT_EQ(stop_signal(), 0);
}

TEST_F(Signals, BrokenPipeIsAnError) {
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  EXPECT_EQ(::write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  ::close(ends[1]);
  ::raise(SIGXFSZ);  // ignored
}

TEST_F(Signals, NohupIsRespected) {
  const auto with_nohup = [] {
    ::signal(SIGHUP, SIG_IGN);
    install_signal_handlers();
    ::raise(SIGHUP);
    ::_exit(stop_signal() == 0 ? 0 : 1);
  };
  EXPECT_EXIT(with_nohup(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace genai
