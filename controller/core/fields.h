// The public state of a volume as sorted keys and values, and a change of it as text.
//
// Purpose: every event of the control stream carries exactly what its change did to these fields,
// so that folding a volume's events gives its state: whoever follows the stream needs no other
// source. Form: tokens separated by one space; "k=v" sets, "-k" removes, ".k=v" is a remark that
// changes nothing. Values are ASCII, all but [A-Za-z0-9._:/,-] as %XX.
// Thread: any, pure. Errors: fold() answers false for text of another form and leaves the state.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "controller/core/record.h"

namespace seawall::controller {

using VolumeFields = std::map<std::string, std::string>;  // values unescaped

VolumeFields fields_of(const VolumeRecord& record);

// The words for it, in events and in projections.
const char* word_of(VolumeState state);
const char* word_of(Policy policy);
const char* word_of(WriteCache cache);

// What leads from `before` to `after`, keys ascending; `remark` (empty: none) comes last.
std::string difference(const VolumeFields& before, const VolumeFields& after,
                       std::string_view remark);

[[nodiscard]] bool fold(std::string_view text, VolumeFields& state);

// Types of events that the controller writes; all of them fold alike. One that begins with '?'
// carries no state, and who does not know it may ignore it.
bool is_known_event(std::string_view type);

std::string escaped(std::string_view text);

}  // namespace seawall::controller
