#include "genai/base/tensorboard.h"

#include <bit>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>

#include "genai/base/error.h"
#include "genai/base/hash.h"

namespace genai {
namespace {

[[noreturn]] void cannot_write(const std::filesystem::path& path) {
  fail(ErrorKind::failure, "cannot write TensorBoard events to ", path, ": ",
       std::generic_category().message(errno), "; check the folder and the free space");
}

template <class Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes += static_cast<char>(value);
}

// Protocol buffer fields begin with number << 3 | wire type: 0 varint, 1 fixed64, 2 bytes,
// 5 fixed32.

std::string number_field(int number, int64_t value) {
  return varint(static_cast<uint64_t>(number) << 3) + varint(static_cast<uint64_t>(value));
}

std::string double_field(int number, double value) {
  return varint(static_cast<uint64_t>(number << 3 | 1)) +
         little_endian(std::bit_cast<uint64_t>(value));
}

std::string float_field(int number, float value) {
  return varint(static_cast<uint64_t>(number << 3 | 5)) +
         little_endian(std::bit_cast<uint32_t>(value));
}

std::string bytes_field(int number, std::string_view value) {
  return varint(static_cast<uint64_t>(number << 3 | 2)) + varint(value.size()) + std::string(value);
}

/// TFRecord stores checksums so, since a CRC over data that holds its own CRC is weak.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

}  // namespace

EventWriter::EventWriter(const std::filesystem::path& folder)
    : path_(folder / "events.out.tfevents.0.genai"), file_(std::fopen(path_.c_str(), "wbe")) {
  if (!file_) cannot_write(path_);
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  write_event(double_field(1, now.count()) + bytes_field(3, "brain.Event:2"));
}

void EventWriter::add_scalar(std::string_view tag, double value, int64_t step, double wall_time) {
  const std::string scalar = bytes_field(1, tag) + float_field(2, static_cast<float>(value));
  write_event(double_field(1, wall_time) + number_field(2, step) +
              bytes_field(5, bytes_field(1, scalar)));
}

void EventWriter::flush() {
  if (std::fflush(file_.get()) != 0) cannot_write(path_);
}

void EventWriter::write_event(std::string_view event) {
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  const std::string record = length + little_endian(masked_crc(length)) + std::string(event) +
                             little_endian(masked_crc(event));
  if (std::fwrite(record.data(), 1, record.size(), file_.get()) != record.size())
    cannot_write(path_);
}

}  // namespace genai
