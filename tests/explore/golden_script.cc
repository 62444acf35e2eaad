// A way through a World in the words of tests/script. Both worlds run the same Cores; what a script
// holds back (frames, appends, flushes, reads) is what the World has steps for, and everything else
// goes by itself in both.
#include "tests/explore/world.h"

#include "engine/engine.h"

namespace seawall::explore {
namespace {

constexpr const char* hold_links = " 1->2 2->1 1->3 3->1 2->3 3->2\n";

std::string hold_all(const char* word) {
  std::string text = std::string(word) + hold_links;
  for (const char* id : {"1", "2", "3"}) {
    text += std::string(word) + " " + id + " log flush read\n";
  }
  return text;
}

std::string pair_of(unsigned set) {
  return std::string((set & 2u) != 0 ? "1" : "2") + "-" + ((set & 8u) != 0 ? "3" : "2");
}

}  // namespace

std::string World::script_line(Step step, bool was_pending) {
  const unsigned argument = step & 15u;
  const std::string id = std::to_string(argument);
  const std::string epoch = std::to_string(own_.epoch);
  const std::string winner = "elect " + epoch + " assign to=" +
                             std::to_string(record().primary.value()) + " since_fence=" +
                             std::to_string(limits::settle_time_ms) + "\n";
  switch (static_cast<Kind>(step >> 4)) {
    case Kind::deliver:
      return "deliver " + std::to_string(argument / 4) + "->" + std::to_string(argument % 4) +
             " all\n";
    case Kind::disk: return "run " + id + " next\n";
    case Kind::write: return "write\n";
    case Kind::attach: return "attach " + id + "\nresend open\n";
    case Kind::elect: {
      std::string text = "fence " + epoch;
      for (unsigned each = 1; each <= nodes_max; ++each) {
        if (((argument >> each) & 1) != 0) text += " " + std::to_string(each);
      }
      text += "\ntick " + std::to_string(limits::lease_ms + 1) + "\n";
      return own_.pending ? text : text + winner;
    }
    case Kind::assign: return "tell " + id + "\n";
    case Kind::crash: return "crash " + id + "\n";
    case Kind::power: return "power-loss " + id + "\n";
    case Kind::restart: return "restart " + id + "\n";
    case Kind::cut: return "cut " + pair_of(argument) + " told\n";
    case Kind::pass_short: return "tick 500\n";
    case Kind::pass_long: return "tick 10000\n";
    case Kind::read: return "data " + id + "\n";
    case Kind::rest: return hold_all("release") + hold_all("hold");
    case Kind::decide: return was_pending ? winner : "";
    case Kind::heal: return "";  // golden_script() knows what is cut
  }
  return "";
}

std::string World::golden_script(const WorldOptions& options, const std::vector<Step>& way,
                                 const std::string& hazard) {
  World world(options);
  std::string text = "# Found by exploration: " + hazard + "\nreplicas n=3";
  if (options.policy == Policy::in_sync) text += " policy=in-sync";
  text += "\nmode silent\nassign 1 1 to=1,2,3\ntick 2000\nattach 1\n" + hold_all("hold");
  std::vector<std::string> cut;
  for (const Step step : way) {
    const auto kind = static_cast<Kind>(step >> 4);
    const bool was_pending = world.own_.pending;
    world.take(step);
    if (kind == Kind::cut) cut.push_back(pair_of(step & 15u));
    if (kind == Kind::heal) {
      for (const std::string& pair : cut) text += "heal " + pair + "\n";
      cut.clear();
    }
    text += world.script_line(step, was_pending);
  }
  return text + "status 1\nstatus 2\nstatus 3\n----\n\n";
}

std::string World::ends() const {
  std::string text;
  for (const walk::ModelNode& node : nodes()) {
    text += std::to_string(node.id.value()) + (node.alive ? " promised " : " down promised ") +
            std::to_string(node.disk.promised.value()) + " written " +
            std::to_string(node.disk.written.value()) + " durable " +
            std::to_string(node.disk.durable.value()) + "\n";
  }
  return text;
}

}  // namespace seawall::explore
