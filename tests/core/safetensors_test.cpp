#include "genai/core/safetensors.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <optional>

#include "base/temp_folder.h"
#include "genai/base/json.h"

namespace genai {
namespace {

/// A file with any header, put together without the writer under test.
std::string file_of(std::string_view header, std::string_view data = "",
                    std::optional<uint64_t> length = {}) {
  const uint64_t n = length.value_or(header.size());
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(n >> (8 * i) & 0xff);
  return file + std::string(header) + std::string(data);
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return concat("\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":", shape,
                ",\"data_offsets\":", offsets, "}");
}

void expect_rejected(const std::string& file, std::string_view part = "bad.safetensors: ") {
  SCOPED_TRACE(file.substr(std::min<size_t>(8, file.size()), 100));
  expect_error(ErrorKind::data,
               "bad.safetensors: ", [&] { read_safetensors(file, "bad.safetensors"); });
  expect_error(ErrorKind::data, part, [&] { read_safetensors(file, "bad.safetensors"); });
}

void expect_same(const Tensors& found, const Tensors& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(found.count(name)) << name;
    const Tensor& other = found.at(name);
    EXPECT_EQ(other.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(other.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(other.is_contiguous()) << name;
    EXPECT_TRUE(other.equal(tensor)) << name;
  }
}

TEST(Safetensors, RoundTripOfEveryType) {
  Tensors tensors;
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                          at::kShort, at::kChar, at::kByte, at::kBool}) {
    const std::string name = at::toString(type);
    tensors[name] = at::arange(-2, 4).to(type).view({2, 3});
    tensors[name + ".0d"] = at::full({}, 1).to(type);
    tensors[name + ".empty"] = at::empty({2, 0, 3}, type);
  }
  expect_same(read_safetensors(write_safetensors(tensors), "x"), tensors);
  EXPECT_TRUE(read_safetensors(write_safetensors({}), "x").empty());
}

TEST(Safetensors, EveryBitOfANumberIsKept) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor odd = at::tensor({0.0, -0.0, infinity, -infinity, std::nan(""), 5e-324, 1e308});
  const Tensor found = read_safetensors(write_safetensors({{"x", odd}}), "x").at("x");
  EXPECT_TRUE(found.view(at::kLong).equal(odd.view(at::kLong)));
}

TEST(Safetensors, WritesTheFormat) {
  const Tensors tensors{{"b", at::tensor({1, 2, 3}, at::kByte)},
                        {"a", at::ones({1}, at::kBool)},
                        {"c", at::tensor({258}, at::kShort)},
                        {"é", at::scalar_tensor(1.0, at::kFloat)}};
  const std::string header =
      "{\"__metadata__\":{\"format\":\"pt\"}," + entry("é", "F32", "[]", "[0,4]") + "," +
      entry("c", "I16", "[1]", "[4,6]") + "," + entry("a", "BOOL", "[1]", "[6,7]") + "," +
      entry("b", "U8", "[3]", "[7,10]") + "}";
  std::string padded = header;
  while (padded.size() % 8) padded += ' ';
  using namespace std::string_literals;
  EXPECT_EQ(write_safetensors(tensors, {{"format", "pt"}}),
            file_of(padded, "\0\0\x80\x3f\x02\x01\x01\x01\x02\x03"s));
}

TEST(Safetensors, LayoutInMemoryDoesNotMatter) {
  const Tensor plain = at::arange(120, at::kFloat).view({2, 3, 4, 5});
  const std::string expected = write_safetensors({{"x", plain}});
  const Tensor wide = at::zeros({2, 3, 4, 10});
  wide.slice(3, 0, 10, 2).copy_(plain);
  const Tensor padded = at::cat({at::zeros({1, 3, 4, 5}), plain});
  for (const Tensor& same :
       {plain.contiguous(at::MemoryFormat::ChannelsLast),
        plain.transpose(0, 3).contiguous().transpose(0, 3), wide.slice(3, 0, 10, 2),
        padded.narrow(0, 1, 2), plain.clone().requires_grad_()}) {
    EXPECT_EQ(write_safetensors({{"x", same}}), expected);
  }
  const Tensor row = at::tensor({7.0f}).expand({3});
  EXPECT_TRUE(read_safetensors(write_safetensors({{"x", row}}), "x").at("x").equal(row));
}

TEST(Safetensors, DataIsAligned) {
  for (const std::string name : {"a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg"}) {
    const std::string file = write_safetensors(
        {{name, at::zeros({3}, at::kDouble)}, {"A" + name, at::zeros({3}, at::kByte)}});
    EXPECT_EQ((file.size() - 3 * 8 - 3) % 8, 0u) << name;
    const Json header = Json::parse(file.substr(8, file.size() - 8 - 27));
    EXPECT_EQ(header[name]["data_offsets"], Json({0, 24}));  // the wider type first
  }
}

TEST(Safetensors, ReadsWhatTheFormatAllows) {
  const std::string four(4, '\0');
  const auto count = [](const std::string& file) { return read_safetensors(file, "x").size(); };
  EXPECT_EQ(count(file_of("{}")), 0u);
  EXPECT_EQ(count(file_of("{}     ")), 0u);
  EXPECT_EQ(count(file_of("{\"__metadata__\":{}}")), 0u);
  EXPECT_EQ(
      count(file_of("{\"__metadata__\":{\"a\":\"b\"},\n " + entry("x", "F32", "[1]", "[0,4]") + "}",
                    four)),
      1u);
  // Any order in the header, empty tensors anywhere
  EXPECT_EQ(
      count(file_of("{" + entry("x", "U8", "[2]", "[2,4]") + "," +
                        entry("y", "U8", "[2]", "[0,2]") + "," + entry("e", "F64", "[0]", "[2,2]") +
                        "," + entry("f", "F64", "[3,0]", "[4,4]") + "}",
                    four)),
      4u);
}

TEST(SafetensorsHostile, HeaderLength) {
  const std::string header = "{}";
  expect_rejected("");
  expect_rejected("1234567");
  expect_rejected(file_of(""));
  expect_rejected(file_of(header, "", 0));
  expect_rejected(file_of(header, "", 1));
  expect_rejected(file_of(header, "", 3));
  for (const uint64_t length : {1ull << 32, 1ull << 63, (1ull << 63) - 1, ~0ull, ~0ull - 7}) {
    expect_rejected(file_of(header, "", length));
  }
  expect_rejected(file_of("{}" + std::string(99'999'999, ' ')), "header of 100000001 bytes");
  EXPECT_TRUE(read_safetensors(file_of("{}" + std::string(99'999'998, ' ')), "x").empty());
}

TEST(SafetensorsHostile, HeaderText) {
  for (const char* header : {"[]", " {}", "1", "\"{}\"", "null", "{", "{}}", "{} {}", "{}x",
                             "\xef\xbb\xbf{}", "{a:1}", "{/* */}", "{}//", "{\"x\":1}",
                             "{\"x\":null}", "{\"x\":[]}", "{\"x\":{}}", "{\"\xff\":{}}"}) {
    expect_rejected(file_of(header));
  }
  expect_rejected(file_of(std::string("{}\0", 3)));
  expect_rejected(file_of("{\"a\":" + std::string(10'000, '[')));
}

TEST(SafetensorsHostile, Metadata) {
  for (const char* metadata : {"{\"a\":1}", "{\"a\":null}", "{\"a\":{\"b\":\"c\"}}",
                               "{\"a\":[\"b\"]}", "\"text\"", "[]", "[\"a\"]", "null", "1"}) {
    expect_rejected(file_of(concat("{\"__metadata__\":", metadata, "}")), "__metadata__");
  }
}

TEST(SafetensorsHostile, DuplicateNames) {
  const std::string x = entry("x", "U8", "[1]", "[0,1]"), e = entry("x", "U8", "[0]", "[0,0]");
  expect_rejected(file_of("{" + x + "," + x + "}", "a"), "'x' appears twice");
  expect_rejected(file_of("{" + x + "," + e + "}", "a"), "'x' appears twice");
  expect_rejected(file_of("{\"__metadata__\":{},\"__metadata__\":{}}"), "appears twice");
  expect_rejected(file_of("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}"), "appears twice");
  expect_rejected(
      file_of("{\"x\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
              "a"),
      "appears twice");
}

TEST(SafetensorsHostile, Entries) {
  for (const char* body : {R"("dtype":"U8","shape":[1])", R"("dtype":"U8","data_offsets":[0,1])",
                           R"("shape":[1],"data_offsets":[0,1])",
                           R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"extra":1)",
                           R"("dtype":8,"shape":[1],"data_offsets":[0,1])",
                           R"("dtype":"U8","shape":1,"data_offsets":[0,1])",
                           R"("dtype":"U8","shape":{"0":1},"data_offsets":[0,1])",
                           R"("dtype":"U8","shape":[1],"data_offsets":[0])",
                           R"("dtype":"U8","shape":[1],"data_offsets":[0,1,1])",
                           R"("dtype":"U8","shape":[1],"data_offsets":1)"}) {
    expect_rejected(file_of(concat("{\"x\":{", body, "}}"), "a"), "tensor 'x'");
  }
}

TEST(SafetensorsHostile, Types) {
  for (const char* type : {"", "f32", "F32 ", "F128", "F8_E4M3", "C64", "U64", "float32"}) {
    expect_rejected(file_of("{" + entry("x", type, "[1]", "[0,4]") + "}", "abcd"), "tensor 'x'");
  }
  expect_rejected(file_of("{" + entry("x", "BOOL", "[2]", "[0,2]") + "}", "\x01\x02"), "BOOL");
  expect_rejected(file_of("{" + entry("x", "BOOL", "[]", "[0,1]") + "}", "\xff"), "BOOL");
}

TEST(SafetensorsHostile, Shapes) {
  for (const char* shape :
       {"[3]", "[5]", "[2,3]", "[0]", "[4,0]", "[-1]", "[-1,-4]", "[1.0]", "[4.0]", "[1e0]",
        "[\"4\"]", "[null]", "[true]", "[[4]]", "[4,[]]",
        // Products that wrap around 2^64 to 4
        "[4611686018427387905,4]", "[4294967296,4294967296,4]", "[9223372036854775807,2,2]",
        "[18446744073709551615]", "[18446744073709551620]", "[9223372036854775808]",
        "[1000000000000]", "[1e30]", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,4]"}) {
    expect_rejected(file_of("{" + entry("x", "U8", shape, "[0,4]") + "}", "abcd"));
  }
  // Empty by a 0 among dimensions that no tensor can have
  for (const char* shape : {"[0,4611686018427387904,4611686018427387904]",
                            "[4611686018427387904,4611686018427387904,0]",
                            "[9223372036854775807,0,9223372036854775807]"}) {
    expect_rejected(file_of("{" + entry("x", "F32", shape, "[0,0]") + "}"), "tensor 'x'");
  }
}

TEST(SafetensorsHostile, Offsets) {
  for (const char* offsets :
       {"[1,5]", "[0,3]", "[0,5]", "[4,0]", "[4,8]", "[-4,0]", "[-1,3]", "[0,-4]", "[0.0,4.0]",
        "[0,\"4\"]", "[null,4]", "[0,18446744073709551615]", "[18446744073709551612,0]",
        "[9223372036854775807,9223372036854775807]", "[0,1e18]"}) {
    expect_rejected(file_of("{" + entry("x", "U8", "[4]", offsets) + "}", "abcd"));
  }
}

TEST(SafetensorsHostile, HolesAndOverlaps) {
  const auto two = [](const char* first, const char* second) {
    return file_of(
        "{" + entry("x", "U8", "[4]", first) + "," + entry("y", "U8", "[4]", second) + "}",
        "abcdefgh");
  };
  EXPECT_EQ(read_safetensors(two("[4,8]", "[0,4]"), "x").size(), 2u);
  expect_rejected(two("[0,4]", "[0,4]"), "hole or overlap");
  expect_rejected(two("[0,4]", "[3,7]"), "hole or overlap");
  expect_rejected(two("[0,4]", "[5,9]"));
  expect_rejected(two("[1,5]", "[5,9]"));
  expect_rejected(file_of("{" + entry("x", "U8", "[4]", "[4,8]") + "}", "abcdefgh"), "hole");
  expect_rejected(file_of("{" + entry("x", "U8", "[4]", "[0,4]") + "}", "abcdefgh"),
                  "end at byte 4 of 8");
  expect_rejected(file_of("{}", "a"), "end at byte 0 of 1");
  expect_rejected(
      file_of("{" + entry("x", "U8", "[4]", "[0,4]") + "," + entry("e", "U8", "[0]", "[2,2]") + "}",
              "abcd"),
      "hole or overlap");
}

std::string small_file() {
  return write_safetensors({{"w", at::arange(3, at::kFloat)}, {"b", at::ones({2}, at::kBool)}},
                           {{"k", "v"}});
}

TEST(SafetensorsHostile, EveryTruncationAndTrailingBytes) {
  const std::string file = small_file();
  for (size_t size = 0; size < file.size(); ++size) expect_rejected(file.substr(0, size));
  expect_rejected(file + '\0');
  expect_rejected(file + file);
}

TEST(SafetensorsHostile, ABitFlipIsAnErrorOrLeavesAWholeFile) {
  const std::string file = small_file();
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    std::string broken = file;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    try {  // a flip in a name or a number is for the checkpoint's hash to find
      size_t bytes = 0;
      for (const auto& [name, tensor] : read_safetensors(broken, "x")) bytes += tensor.nbytes();
      EXPECT_EQ(bytes, 14u) << "bit " << bit;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << "bit " << bit;
    }
  }
}

}  // namespace
}  // namespace genai
