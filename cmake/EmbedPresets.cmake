# cmake -DCONFIGS=dir -DOUTPUT=file.cpp -P EmbedPresets.cmake: writes configs/*.json as C++ strings.
file(GLOB presets ${CONFIGS}/*.json)
list(SORT presets)
set(entries "")
set(count 0)
foreach(path ${presets})
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} text)
  string(APPEND entries "    {\"${name}\", R\"preset(${text})preset\"},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUTPUT}.new "#include <cstddef>
#include <utility>

namespace genai {
extern const std::pair<const char*, const char*> kEmbeddedPresets[] = {
${entries}};
extern const std::size_t kEmbeddedPresetCount = ${count};
}  // namespace genai
")
file(COPY_FILE ${OUTPUT}.new ${OUTPUT} ONLY_IF_DIFFERENT)
