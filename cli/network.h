// A loopback network for a local cluster: one /24 of 127.0.0.0/8, so that every daemon has an
// address of its own and tests can cut between any two.
#pragma once

#include <string>
#include <vector>

namespace seawall::cli {

// True for 127.x.y.0.
bool is_loopback_network(const std::string& text);

// The address as it is when a listener could be bound to it now; else the reason as a sentence.
std::string why_not_bindable(const std::string& address);

// A network on which all `hosts` (last byte and port, as ".11:7701") can be bound. Starts at a
// random place; Failure when none of 200 tries is free.
std::string choose_network(const std::vector<std::string>& hosts);

}  // namespace seawall::cli
