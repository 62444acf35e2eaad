// seawall why VOLUME
#include "cli/why.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/command.h"
#include "cli/views.h"

namespace seawall::cli {
namespace {

boost::json::value or_null(const std::optional<std::uint64_t>& value) {
  return value ? boost::json::value(*value) : boost::json::value(nullptr);
}

}  // namespace

std::string human_duration(std::uint64_t ms) {
  const std::uint64_t seconds = ms / 1000;
  if (seconds < 60) return fmt::format("{}.{} s", seconds, ms % 1000 / 100);
  if (seconds < 3'600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{} h {} min", seconds / 3'600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86'400, seconds / 3'600 % 24);
}

std::string why_text(const Explanation& why, bool colours) {
  std::string state = why.state;
  std::transform(state.begin(), state.end(), state.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const std::string name = why.subject.substr(why.subject.find('/') + 1);
  std::string out = fmt::format("{}  {}  {}\n", paint(state, colour_of_health(why.state), colours),
                                paint(name, Colour::bold, colours), why.headline);
  for (const Fact& fact : why.chain) {
    out += fmt::format("  {:<9} {}", fact.label, fact.message);
    if (fact.for_ms) {
      const std::string time = human_duration(*fact.for_ms);
      out += fact.label == "failure" ? ", " + time + " ago" : ", for " + time;
    }
    out += "\n";
  }
  if (why.actions.empty()) out += fmt::format("  {:<9} nothing is to be done\n", "next");
  for (const Action& action : why.actions) {
    out += fmt::format("  {:<9} {}\n", "next", action.message);
    if (!action.command.empty()) out += fmt::format("  {:<9}   {}\n", "", action.command);
  }
  return out;
}

boost::json::object why_json(const Explanation& why) {
  boost::json::array chain;
  for (const Fact& fact : why.chain) {
    chain.push_back(boost::json::object{{"code", fact.code},
                                        {"since_ms", or_null(fact.for_ms)},
                                        {"facts", fact.facts},
                                        {"message", fact.message}});
  }
  boost::json::array actions;
  for (const Action& action : why.actions) {
    actions.push_back(boost::json::object{
        {"code", action.code},
        {"message", action.message},
        {"command", action.command.empty() ? boost::json::value(nullptr)
                                           : boost::json::value(action.command)}});
  }
  return {{"subject", why.subject},
          {"state", why.state},
          {"headline", why.headline},
          {"chain", std::move(chain)},
          {"actions", std::move(actions)}};
}

void add_why(CLI::App& app, Context& context) {
  CLI::App* const command =
      app.add_subcommand("why", "What is wrong with a volume, since when, and what would help");
  const auto name = std::make_shared<std::string>();
  command->add_option("VOLUME", *name, "Name of the volume")->required();
  command->callback([&context, name] {
    const Explanation why = explain(context.controller()->get_volume(*name));
    context.print(why_json(why), why_text(why, context.colours()));
    if (why.state == "healthy") return;
    const bool served = why.state == "degraded" || why.state == "recovering";
    context.result = served ? ExitCode::degraded : ExitCode::unavailable;
  });
}

}  // namespace seawall::cli
