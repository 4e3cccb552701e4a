#include "genai/base/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#include "genai/base/error.h"

namespace genai {
namespace {

[[noreturn]] void damaged_gzip(const std::string& name, const std::string& why) {
  fail(ErrorKind::data, "cannot unpack gzip file ", name, ": ", why, "; get the file again");
}

}  // namespace

bool is_gzip(std::string_view bytes) {
  return bytes.size() >= 3 && bytes.substr(0, 3) == "\x1f\x8b\x08";
}

std::string gunzip(std::string_view bytes, uint64_t max_output, const std::string& name) {
  if (!is_gzip(bytes)) damaged_gzip(name, "expected a gzip header, found something else");
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::bad_alloc();  // + 16: gzip, nothing else
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);

  std::string out, piece(64 * 1024, '\0');
  size_t given = 0;
  for (int state = Z_OK;;) {
    const size_t left = bytes.size() - given + stream.avail_in;
    if (state == Z_STREAM_END) {
      // Padding of zeros (tapes, blocks) is passed over, as gzip itself does it.
      const std::string_view rest = bytes.substr(bytes.size() - left);
      if (rest.find_first_not_of('\0') == rest.npos) return out;
      if (!is_gzip(rest))
        damaged_gzip(name, concat("expected its end, found ", left, " more bytes"));
      if (inflateReset(&stream) != Z_OK) throw std::bad_alloc();  // the next member
    }
    if (stream.avail_in == 0) {  // zlib counts in 32 bits
      const size_t n = std::min<size_t>(bytes.size() - given, std::numeric_limits<int>::max());
      if (n == 0) damaged_gzip(name, concat("truncated after ", given, " bytes"));
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + given));
      stream.avail_in = static_cast<uInt>(n);
      given += n;
    }
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = inflate(&stream, Z_NO_FLUSH);
    if (state == Z_MEM_ERROR) throw std::bad_alloc();
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
      damaged_gzip(name, concat("damaged near byte ", given - stream.avail_in, " (",
                                stream.msg ? stream.msg : "bad stream", ")"));
    const size_t n = piece.size() - stream.avail_out;
    if (n > max_output - out.size())
      damaged_gzip(name, concat("it expands to more than the expected ", max_output, " bytes"));
    out.append(piece, 0, n);
  }
}

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, deflateEnd);
  std::string out, piece(64 * 1024, '\0');
  for (int state = Z_OK; state != Z_STREAM_END;) {
    if (stream.avail_in == 0) {  // zlib counts in 32 bits
      const size_t n = std::min<size_t>(bytes.size(), std::numeric_limits<int>::max());
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream.avail_in = static_cast<uInt>(n);
      bytes.remove_prefix(n);
    }
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = deflate(&stream, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
    out.append(piece, 0, piece.size() - stream.avail_out);
  }
  return out;
}

}  // namespace genai
