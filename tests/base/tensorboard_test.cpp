#include "genai/base/tensorboard.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "temp_folder.h"

namespace genai {
namespace {

constexpr const char* kName = "events.out.tfevents.0.genai";

// A reader of its own: bitwise CRC, protobuf fields by the wire format.

uint32_t slow_crc32c(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int i = 0; i < 8; ++i) crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
  }
  return ~crc;
}

template <class T>
T take(std::string_view& bytes) {
  T value{};
  if (bytes.size() < sizeof value) throw std::runtime_error("truncated");
  std::memcpy(&value, bytes.data(), sizeof value);  // tests run on little-endian machines
  bytes.remove_prefix(sizeof value);
  return value;
}

uint64_t take_varint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = take<uint8_t>(bytes);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (!(byte & 0x80)) return value;
  }
}

std::string_view take_bytes(std::string_view& bytes) {
  const uint64_t size = take_varint(bytes);
  if (size > bytes.size()) throw std::runtime_error("truncated");
  const std::string_view part = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return part;
}

struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string version, tag;
  float value = 0;
};

void parse(std::string_view bytes, int depth, Event& event) {  // 0 Event, 1 Summary, 2 Value
  while (!bytes.empty()) {
    const uint64_t key = depth * 1000 + take_varint(bytes);
    switch (key) {
      case 1 << 3 | 1:
        event.wall_time = take<double>(bytes);
        break;
      case 2 << 3 | 0:
        event.step = static_cast<int64_t>(take_varint(bytes));
        break;
      case 3 << 3 | 2:
        event.version = take_bytes(bytes);
        break;
      case 5 << 3 | 2:
        parse(take_bytes(bytes), 1, event);
        break;
      case 1000 + (1 << 3 | 2):
        parse(take_bytes(bytes), 2, event);
        break;
      case 2000 + (1 << 3 | 2):
        event.tag = take_bytes(bytes);
        break;
      case 2000 + (2 << 3 | 5):
        event.value = take<float>(bytes);
        break;
      default:
        throw std::runtime_error("unknown field");
    }
  }
}

std::vector<Event> read_events(const std::filesystem::path& path) {
  const auto unmask = [](uint32_t masked) {
    const uint32_t rotated = masked - 0xA282EAD8u;
    return rotated >> 17 | rotated << 15;
  };
  const std::string file = slurp(path);
  std::vector<Event> events;
  for (std::string_view rest = file; !rest.empty();) {
    const std::string_view length_bytes = rest.substr(0, 8);
    const auto length = take<uint64_t>(rest);
    EXPECT_EQ(unmask(take<uint32_t>(rest)), slow_crc32c(length_bytes));
    const std::string_view data = rest.substr(0, length);
    rest.remove_prefix(length);
    EXPECT_EQ(unmask(take<uint32_t>(rest)), slow_crc32c(data));
    parse(data, 0, events.emplace_back());
  }
  return events;
}

TEST(EventWriter, ReadsBack) {
  TempFolder folder;
  EventWriter writer(folder.path());
  writer.add_scalar("loss/train", 0.5, 0, 1700000000.25);
  writer.add_scalar("größe", -1e30, 300, 1700000001.5);
  writer.add_scalar(std::string(300, 't'), std::numeric_limits<double>::quiet_NaN(), 1LL << 40, 2);
  writer.add_scalar("", 1e300, -1, 3);
  writer.flush();
  EXPECT_EQ(slow_crc32c("123456789"), 0xE3069283u);
  const std::vector<Event> events = read_events(folder / kName);
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_GT(events[0].wall_time, 1.6e9);
  EXPECT_EQ(events[1].tag, "loss/train");
  EXPECT_EQ(events[1].value, 0.5f);
  EXPECT_EQ(events[1].step, 0);
  EXPECT_EQ(events[1].wall_time, 1700000000.25);
  EXPECT_EQ(events[2].tag, "größe");
  EXPECT_EQ(events[2].value, -1e30f);
  EXPECT_EQ(events[2].step, 300);
  EXPECT_EQ(events[3].tag, std::string(300, 't'));
  EXPECT_TRUE(std::isnan(events[3].value));
  EXPECT_EQ(events[3].step, 1LL << 40);
  EXPECT_EQ(events[4].step, -1);
  EXPECT_TRUE(std::isinf(events[4].value));
}

TEST(EventWriter, BeginsAnewAndClosingWrites) {
  TempFolder folder;
  for (int i = 0; i < 2; ++i) EventWriter(folder.path()).add_scalar("a", 1, i, 0);
  const std::vector<Event> events = read_events(folder / kName);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].step, 1);
}

TEST(EventWriter, Errors) {
  TempFolder folder;
  expect_error(ErrorKind::failure, "No such file", [&] { EventWriter writer(folder / "none"); });
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  std::filesystem::create_symlink("/dev/full", folder / kName);
  EventWriter writer(folder.path());
  expect_error(ErrorKind::failure, "No space left", [&] { writer.flush(); });
}

}  // namespace
}  // namespace genai
