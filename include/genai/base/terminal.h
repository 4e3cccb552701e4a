// What a terminal can show, and pictures and bars as text for it. Nothing here prints.
#pragma once
#include <string>

#include "genai/base/image.h"

namespace genai {

/// Is the file descriptor a terminal?
bool is_terminal(int fd);

/// Width in characters: the terminal's, else $COLUMNS, else 80.
int terminal_columns(int fd);

/// Height in lines: the terminal's, else $LINES, else 24.
int terminal_lines(int fd);

/// A terminal, NO_COLOR unset or empty (no-color.org), TERM set and not "dumb".
bool colour_allowed(int fd);

/// One character for 1 x 2 pixels, ceil(height / 2) lines, each ended by '\n'. With colour: the
/// upper half block in 24-bit colours (upper pixel on lower pixel), reset at each line's end; else
/// one of " .:-=+*#%@" by the mean luma. Throws ErrorKind::usage for an impossible image.
std::string half_blocks(const Image& image, bool colour);

/// `width` columns of which `fraction` (held to 0..1; NaN is 0) are filled, in eighths, rounded
/// down: full only at 1.
std::string bar(double fraction, int width);

}  // namespace genai
