// "Did you mean ...": the known word nearest to what was typed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seawall::cli {

// Optimal string alignment: insert, delete, replace and swap of neighbours cost one each.
std::size_t edit_distance(std::string_view a, std::string_view b);

// Nothing when no word is near: more than a third of its letters would have to change. The first of
// equals wins.
std::optional<std::string> nearest_word(std::string_view typed,
                                        const std::vector<std::string>& known);

}  // namespace seawall::cli
