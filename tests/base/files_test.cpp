#include "genai/base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <optional>

#include "temp_folder.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

TEST(Files, WriteAndReadBack) {
  TempFolder folder;
  const std::string bytes("a\0b\xFF", 4);
  write_file(folder / "x.bin", bytes);
  EXPECT_EQ(read_file(folder / "x.bin", 4), bytes);
  write_file(folder / "x.bin", "");
  EXPECT_EQ(read_file(folder / "x.bin", 0), "");
  write_new_file_synced(folder / "y.bin", bytes);
  EXPECT_EQ(slurp(folder / "y.bin"), bytes);
  EXPECT_EQ(folder.file_count(), 2u);  // no temporary file left
}

TEST(Files, LargeFileSurvives) {
  TempFolder folder;
  std::string bytes(3'000'001, 'x');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31);
  write_file(folder / "x", bytes);
  EXPECT_EQ(read_file(folder / "x", bytes.size()), bytes);
}

TEST(Files, ModeFollowsUmask) {
  TempFolder folder;
  const mode_t old = ::umask(027);
  write_file(folder / "x", "1");
  ::umask(old);
  struct stat info {};
  ASSERT_EQ(::stat((folder / "x").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST(Files, RelativePathWithoutFolder) {
  TempFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file("plain", "1");
  fs::current_path(before);
  EXPECT_EQ(slurp(folder / "plain"), "1");
}

TEST(Files, ReadErrors) {
  TempFolder folder;
  put(folder / "five", "12345");
  expect_error(ErrorKind::data, "No such file", [&] { read_file(folder / "none", 10); });
  expect_error(ErrorKind::data, "at most 4 bytes, found 5", [&] { read_file(folder / "five", 4); });
  expect_error(ErrorKind::data, "directory", [&] { read_file(folder.path(), 10); });
  expect_error(ErrorKind::data, "found a device", [] { read_file("/dev/zero", 100); });
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_error(ErrorKind::data, "found a pipe", [&] { read_file(folder / "pipe", 10); });
  expect_error(ErrorKind::data, "at most 100 bytes", [] { read_input("/dev/zero", 100); });
  put(folder / "a", "1");
  const std::string nul = (folder / "a").string() + std::string("\0b", 2);
  expect_error(ErrorKind::data, "NUL byte", [&] { read_file(nul, 10); });
}

TEST(Files, WriteErrorsNamePathBytesAndReason) {
  TempFolder folder;
  expect_error(ErrorKind::failure, "(3 bytes): No such file",
               [&] { write_file(folder / "none/x", "123"); });
  expect_error(ErrorKind::failure, "found a folder", [&] { write_file(folder.path(), "123"); });
  expect_error(ErrorKind::failure, "found a device", [&] { write_file("/dev/null", "123"); });
  expect_error(ErrorKind::failure, "File name too long",
               [&] { write_file(folder / std::string(300, 'x'), "1"); });
  put(folder / ".a", "kept");
  expect_error(ErrorKind::failure, "NUL byte",
               [&] { write_file(folder.path() / std::string("a\0b", 3), "1"); });
  EXPECT_EQ(slurp(folder / ".a"), "kept");
  expect_error(ErrorKind::failure, "No such file", [&] { sync_folder(folder / "none"); });
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST(Files, FullDiskSaysSo) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  expect_error(ErrorKind::failure, "\"/dev/full\" (3 bytes): No space left on device; free some",
               [] { write_new_file_synced("/dev/full", "123"); });
}

TEST(Files, FileSizeLimitKeepsTheOldFile) {
  TempFolder folder;
  write_file(folder / "x", "old");
  const auto before = ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{4096, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  try {
    write_file(folder / "x", std::string(8192, 'n'));  // a short write first, then EFBIG
  } catch (const Error& error) {
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &limit);
  ::signal(SIGXFSZ, before);
  EXPECT_NE(message.find("(8192 bytes): File too large"), std::string::npos) << message;
  EXPECT_EQ(slurp(folder / "x"), "old");
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST(Files, SymbolicLinkIsReplacedAndATemporaryLinkNotFollowed) {
  TempFolder folder;
  put(folder / "target", "kept");
  fs::create_symlink(folder / "target", folder / "link");
  write_file(folder / "link", "new");
  EXPECT_FALSE(fs::is_symlink(folder / "link"));
  fs::create_symlink(folder / "target", folder / concat(".x.tmp-", ::getpid()));
  expect_error(ErrorKind::failure, "cannot write", [&] { write_file(folder / "x", "new"); });
  EXPECT_EQ(slurp(folder / "target"), "kept");
}

TEST(Files, OutputGoesWhereTheUserSaid) {
  TempFolder folder;
  put(folder / "target", "old");
  fs::create_symlink("target", folder / "link");
  fs::create_symlink("link", folder / "chain");
  write_output(folder / "chain", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "chain"));
  EXPECT_EQ(slurp(folder / "target"), "new");
  fs::create_symlink("nothing yet", folder / "dangling");
  write_output(folder / "dangling", "made");
  EXPECT_EQ(slurp(folder / "nothing yet"), "made");
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  expect_error(ErrorKind::failure, "circle", [&] { write_output(folder / "a", "x"); });
  write_output("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(Files, OutputToAnOpenFileIsStreamedToIt) {
  TempFolder folder;
  const int fd = ::open((folder / "x").c_str(), O_WRONLY | O_CREAT, 0600);
  fs::create_symlink(concat("/proc/self/fd/", fd), folder / "stream");
  ASSERT_EQ(::write(fd, "before ", 7), 7);
  write_output(folder / "stream", "after");
  EXPECT_TRUE(fs::is_symlink(folder / "stream"));
  EXPECT_EQ(slurp(folder / "x"), "before after");
  ::close(fd);
  EXPECT_FALSE(is_standard_output(folder / "x"));
  EXPECT_TRUE(is_standard_output("-"));
  EXPECT_TRUE(is_standard_output("/proc/self/fd/1"));
}

TEST(Files, LinksInAFolderOfOursAreRefused) {
  TempFolder folder;
  fs::create_directories(folder / "samples");
  EXPECT_NO_THROW(refuse_links(folder.path()));
  fs::create_symlink("/etc/passwd", folder / "samples/step.png");
  expect_error(ErrorKind::failure, "step.png", [&] { refuse_links(folder.path()); });
}

TEST(Files, SanitizeName) {
  EXPECT_EQ(sanitize_name("VAE MNIST_2.5"), "vae-mnist_2.5");
  EXPECT_EQ(sanitize_name("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(sanitize_name("--force"), "force");
  EXPECT_EQ(sanitize_name(".hidden"), "hidden");
  EXPECT_EQ(sanitize_name(std::string_view("a\0\n b", 5)), "a-b");
  EXPECT_EQ(sanitize_name("caf\xC3\xA9!"), "caf");
  EXPECT_EQ(sanitize_name(""), "unnamed");
  EXPECT_EQ(sanitize_name("../-.."), "unnamed");
  EXPECT_EQ(sanitize_name(std::string(300, 'X')), std::string(80, 'x'));
}

TEST(FileLock, SecondOwnerIsToldThePid) {
  TempFolder folder;
  std::optional<FileLock> lock = FileLock::acquire(folder / "lock", "run 8");
  expect_error(ErrorKind::failure, concat("run 8 is in use by process ", ::getpid()),
               [&] { FileLock::acquire(folder / "lock", "run 8"); });
  FileLock moved = std::move(*lock);
  lock.reset();  // the moved-from one releases nothing
  EXPECT_THROW(FileLock::acquire(folder / "lock", "run 8"), Error);
  FileLock other = FileLock::acquire(folder / "other", "run 9");
  moved = std::move(other);  // releases the first
  FileLock::acquire(folder / "lock", "run 8");
  EXPECT_THROW(FileLock::acquire(folder / "other", "run 9"), Error);
  expect_error(ErrorKind::failure, "No such file",
               [&] { FileLock::acquire(folder / "none/lock", "run 8"); });
}

TEST(FileLock, KnowsThatItsFolderWasMovedAndFollowsNoLink) {
  TempFolder folder;
  fs::create_directory(folder / "run");
  const FileLock lock = FileLock::acquire(folder / "run/lock", "run 8");
  EXPECT_TRUE(lock.in_place());
  fs::rename(folder / "run", folder / "moved");
  EXPECT_FALSE(lock.in_place());
  put(folder / "precious", "kept");
  fs::create_symlink("precious", folder / "lock");
  expect_error(ErrorKind::failure, "cannot lock", [&] { FileLock::acquire(folder / "lock", "x"); });
  EXPECT_EQ(slurp(folder / "precious"), "kept");
}

TEST(FileLock, TakenFromADeadProcess) {
  TempFolder folder;
  int ready[2] = {};
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FileLock lock = FileLock::acquire(folder / "lock", "run 8");
    [[maybe_unused]] const ssize_t n = ::write(ready[1], "1", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  expect_error(ErrorKind::failure, concat("process ", child),
               [&] { FileLock::acquire(folder / "lock", "run 8"); });
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  const FileLock lock = FileLock::acquire(folder / "lock", "run 8");
  EXPECT_EQ(slurp(folder / "lock"), concat(::getpid(), "\n"));
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace genai
