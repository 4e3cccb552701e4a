#include "genai/base/download.h"

#include <signal.h>
#include <sys/wait.h>

#include "genai/base/hash.h"
#include "genai/base/signals.h"
#include "temp_folder.h"

namespace genai {
namespace {

class DownloadTest : public testing::Test {
 protected:
  void SetUp() override {
    reset_signals_for_test();
    for (size_t i = 0; i < right_.size(); ++i) right_[i] = static_cast<char>(i * i >> 3);
    put(mirror_ / "right", right_);
    put(mirror_ / "wrong", "something else");
  }
  void TearDown() override { reset_signals_for_test(); }

  std::string url(const std::string& name) const { return "file://" + (mirror_ / name).string(); }
  Download request(std::vector<std::string> names, uint64_t max_bytes = 1 << 20) const {
    for (std::string& name : names) name = url(name);
    return {names, sha256(right_), max_bytes};
  }
  /// Nothing is left behind, neither the file nor its .part.
  void expect_nothing() const { EXPECT_EQ(folder_.file_count(), 0u); }

  TempFolder mirror_, folder_;
  std::string right_ = std::string(300'000, '\0');
};

TEST_F(DownloadTest, RightFile) {
  uint64_t last = 0, total = 0;
  download(request({"right"}, right_.size()), folder_ / "new/deep/x.gz",
           [&](uint64_t done, uint64_t all) {
             EXPECT_GE(done, last);
             last = done;
             total = all;
           });
  EXPECT_EQ(slurp(folder_ / "new/deep/x.gz"), right_);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new/deep/x.gz.part"));
  EXPECT_EQ(last, right_.size());
  EXPECT_EQ(total, right_.size());
}

TEST_F(DownloadTest, ReplacesAnOldFileAndAStalePart) {
  put(folder_ / "x", "old");
  put(folder_ / "x.part", std::string(500'000, 'p'));
  download(request({"right"}), folder_ / "x");
  EXPECT_EQ(slurp(folder_ / "x"), right_);
  EXPECT_EQ(folder_.file_count(), 1u);
}

TEST_F(DownloadTest, NextMirrorIsTried) {
  download(request({"missing", "wrong", "right"}), folder_ / "x");
  EXPECT_EQ(slurp(folder_ / "x"), right_);
}

TEST_F(DownloadTest, AllReasonsAreListed) {
  expect_error(ErrorKind::data, url("missing") + ": ", [&] {
    download(request({"missing", "wrong"}), folder_ / "x");
  });
  expect_error(ErrorKind::data, url("wrong") + ": wrong content, 14 bytes with SHA-256", [&] {
    download(request({"missing", "wrong"}), folder_ / "x");
  });
  expect_error(ErrorKind::data, "larger than the expected 299999 bytes",
               [&] { download(request({"right"}, right_.size() - 1), folder_ / "x"); });
  put(mirror_ / "empty", "");
  expect_error(ErrorKind::data, "wrong content, 0 bytes",
               [&] { download(request({"empty"}), folder_ / "x"); });
  expect_nothing();
}

TEST_F(DownloadTest, OldFileSurvivesAFailure) {
  put(folder_ / "x", "old");
  EXPECT_THROW(download(request({"wrong"}), folder_ / "x"), Error);
  EXPECT_EQ(slurp(folder_ / "x"), "old");
  EXPECT_EQ(folder_.file_count(), 1u);
}

TEST_F(DownloadTest, OtherSchemesAndDeadHosts) {
  Download what{{"gopher://localhost/x", "not a url", "http://127.0.0.1:9/x"}, sha256("x"), 10};
  expect_error(ErrorKind::data, "http://127.0.0.1:9: ", [&] { download(what, folder_ / "x"); });
  expect_error(ErrorKind::data, "gopher", [&] { download(what, folder_ / "x"); });
  expect_nothing();
}

TEST_F(DownloadTest, WrongRequests) {
  expect_error(ErrorKind::usage, "expected a mirror", [&] { download({}, folder_ / "x"); });
  Download no_hash = request({"right"});
  no_hash.sha256 = "";
  expect_error(ErrorKind::usage, "SHA-256", [&] { download(no_hash, folder_ / "x"); });
  put(folder_ / "file", "1");
  expect_error(ErrorKind::failure, "cannot write",
               [&] { download(request({"right"}), folder_ / "file/x"); });
}

TEST_F(DownloadTest, FullDiskIsNotTheMirrorsFault) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  std::filesystem::create_symlink("/dev/full", folder_ / "x.part");
  expect_error(ErrorKind::failure, "No space left", [&] {
    download(request({"right", "right"}), folder_ / "x");
  });
  expect_nothing();
}

TEST_F(DownloadTest, SignalStopsIt) {
  install_signal_handlers();
  expect_error(ErrorKind::failure, "stopped by signal 15", [&] {
    download(request({"right"}), folder_ / "x", [](uint64_t, uint64_t) {
      if (stop_signal() == 0) ::raise(SIGTERM);
    });
  });
  expect_nothing();
  expect_error(ErrorKind::failure, "stopped by signal 15",
               [&] { download(request({"right"}), folder_ / "x"); });
}

TEST_F(DownloadTest, ProgressMayThrow) {
  EXPECT_THROW(download(request({"right"}), folder_ / "x",
                        [](uint64_t, uint64_t) { throw std::out_of_range("no"); }),
               std::out_of_range);
  expect_nothing();
}

TEST_F(DownloadTest, ManyProcessesAtOnce) {
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        download(request({"missing", "right"}), folder_ / "x");
        ::_exit(slurp(folder_ / "x") == right_ ? 0 : 1);
      } catch (...) {
        ::_exit(2);
      }
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(folder_.file_count(), 1u);
}

}  // namespace
}  // namespace genai
