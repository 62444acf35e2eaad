#include "sim/generations/compare.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace seawall::sim {
namespace {

// "full x3, catch-up": runs of one way are counted.
std::string ways_text(const std::vector<RecoveryWay>& ways) {
  std::string text;
  for (std::size_t i = 0; i < ways.size();) {
    std::size_t end = i;
    while (end < ways.size() && ways[end] == ways[i]) ++end;
    if (!text.empty()) text += ", ";
    text += recovery_way_name(ways[i]);
    if (end - i > 1) text += " x" + std::to_string(end - i);
    i = end;
  }
  return text.empty() ? "-" : text;
}

std::string manner_text(const Measures& m) {
  if (m.as_it_is) return "believed";
  return m.accidental ? "accidental" : "explicit";
}

void pad(std::string& line, std::size_t upto) {
  line.resize(std::max(line.size() + 1, upto), ' ');
}

std::string cell_line(const Cell& cell, bool figures) {
  const Measures& m = cell.measures;
  std::string line = cell.scenario->id;
  pad(line, 6);
  line += cell.generation->name;
  pad(line, 12);
  line += m.safe ? "safe" : "UNSAFE";
  pad(line, 20);
  line += m.kept_out ? "kept out" : "SHOWN";
  pad(line, 30);
  line += m.completed ? "completed" : "stalled";
  pad(line, 41);
  line += manner_text(m);
  pad(line, 53);
  if (figures) {
    char numbers[96];
    std::snprintf(numbers, sizeof(numbers), "%8" PRIu64 " KiB %7" PRIu64 " ms %7" PRIu64 " ms  ",
                  m.bytes / 1024, m.to_in_sync / ms, m.stalled / ms);
    line += numbers;
  }
  line += ways_text(m.ways);
  return line;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

void add_samples(const Cell& cell, std::string& out) {
  out += ",\"samples\":[";
  for (std::size_t i = 0; i < cell.samples.size(); ++i) {
    const StageSample& sample = cell.samples[i];
    if (i > 0) out += ',';
    out += "[" + std::to_string(sample.time / ms) + "," + std::to_string(sample.completed);
    for (const StageSample::Replica& replica : sample.replicas) {
      out += std::string(",\"") + replica.state + "\"," + std::to_string(replica.written) + "," +
             std::to_string(replica.trimmed);
    }
    out += ']';
  }
  out += ']';
}

void add_cell(const Cell& cell, bool timeline, std::string& out) {
  const Measures& m = cell.measures;
  out += "{\"id\":" + quoted(cell.scenario->id) + ",\"title\":" + quoted(cell.scenario->title) +
         ",\"hook\":" + quoted(cell.scenario->hook) +
         ",\"generation\":" + quoted(cell.generation->name) +
         ",\"safe\":" + (m.safe ? "true" : "false") +
         ",\"kept_out\":" + (m.kept_out ? "true" : "false") +
         ",\"completed\":" + (m.completed ? "true" : "false") +
         ",\"manner\":" + quoted(manner_text(m)) + ",\"ways\":" + quoted(ways_text(m.ways)) +
         ",\"bytes\":" + std::to_string(m.bytes) +
         ",\"to_in_sync_ms\":" + std::to_string(m.to_in_sync / ms) +
         ",\"longest_wait_ms\":" + std::to_string(m.stalled / ms) +
         ",\"wrong\":" + quoted(m.wrong);
  if (timeline) {
    out += ",\"events\":[";
    for (std::size_t i = 0; i < cell.events.size(); ++i) {
      if (i > 0) out += ',';
      out += "[" + std::to_string(cell.events[i].time / ms) + "," +
             std::to_string(cell.events[i].node) + "," + quoted(cell.events[i].text) + "]";
    }
    out += ']';
    add_samples(cell, out);
  }
  out += '}';
}

std::string json_of(const std::vector<Cell>& cells, bool timeline) {
  std::string out = "[";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) out += ",\n";
    add_cell(cells[i], timeline, out);
  }
  return out + "]";
}

bool write_file(const char* path, const std::string& text) {
  std::FILE* file = std::fopen(path, "w");
  if (file == nullptr) return false;
  const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return (std::fclose(file) == 0) && whole;
}

}  // namespace

std::string page_around(const std::string& cells_json);  // page.cc

Cell run_cell(const Scenario& scenario, const Generation& generation) {
  Stage stage(scenario.options, generation);
  scenario.play(stage);
  stage.load(false);
  stage.read_back();
  Cell cell;
  cell.scenario = &scenario;
  cell.generation = &generation;
  cell.measures = stage.finish();
  cell.events = stage.events();
  cell.samples = stage.samples();
  return cell;
}

std::vector<Cell> run_compare(std::string_view row) {
  std::vector<Cell> cells;
  for (const Scenario& scenario : all_scenarios()) {
    if (!std::string_view(scenario.id).starts_with(row)) continue;
    for (const Generation* generation : all_generations()) {
      cells.push_back(run_cell(scenario, *generation));
    }
  }
  return cells;
}

std::string compare_table(const std::vector<Cell>& cells, bool figures) {
  std::string text;
  const Scenario* last = nullptr;
  for (const Cell& cell : cells) {
    if (cell.scenario != last) {
      last = cell.scenario;
      text += std::string(last->id) + "  " + last->title + " (" + last->hook + ")\n";
    }
    text += "  " + cell_line(cell, figures) + "\n";
  }
  return text;
}

std::string compare_json(const std::vector<Cell>& cells) { return json_of(cells, false) + "\n"; }
std::string compare_page(const std::vector<Cell>& cells) {
  return page_around(json_of(cells, true));
}

int compare_main(int argc, char** argv) {
  constexpr const char* usage =
      "seawall-sim compare              scenarios G01 to G20 under v1, v1_5 and v2\n"
      "  --scenario G05                 only this one\n"
      "  --json FILE, --html FILE       the table for programs; a page with every run's timeline\n"
      "  --verdicts                     without figures: what tests/sim/generations.golden holds\n"
      "  --events                       what happened in each run\n"
      "exit status: 0 v2 is safe and completes everywhere; 31 it is not, 2 usage\n";
  std::string row;
  const char* json = nullptr;
  const char* html = nullptr;
  bool figures = true;
  bool events = false;
  for (int i = 0; i < argc; ++i) {
    const std::string_view name = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (name == "--verdicts") {
      figures = false;
    } else if (name == "--events") {
      events = true;
    } else if (value != nullptr && name == "--scenario") {
      row = argv[++i];
    } else if (value != nullptr && name == "--json") {
      json = argv[++i];
    } else if (value != nullptr && name == "--html") {
      html = argv[++i];
    } else {
      std::fputs(usage, name == "--help" ? stdout : stderr);
      return name == "--help" ? 0 : 2;
    }
  }
  const std::vector<Cell> cells = run_compare(row);
  if (cells.empty()) {
    std::fprintf(stderr, "seawall-sim compare: no scenario %s\n%s", row.c_str(), usage);
    return 2;
  }
  if (figures)
    std::fputs(
        "                                                       to them    in sync"
        "  longest wait\n",
        stdout);
  std::fputs(compare_table(cells, figures).c_str(), stdout);
  int status = 0;
  for (const Cell& cell : cells) {
    if (!cell.measures.wrong.empty()) {
      std::printf("%s %s: %.160s\n", cell.scenario->id, cell.generation->name,
                  cell.measures.wrong.c_str());
    }
    if (events) {
      for (const StageEvent& event : cell.events) {
        std::printf("  %s %-5s %8" PRIu64 " ms n%u %s\n", cell.scenario->id,
                    cell.generation->name, event.time / ms, event.node, event.text.c_str());
      }
    }
    const Measures& m = cell.measures;
    if (cell.generation == &generation_v2 && !(m.safe && m.kept_out && m.completed)) status = 31;
  }
  if (json != nullptr && !write_file(json, compare_json(cells))) return 2;
  if (html != nullptr && !write_file(html, compare_page(cells))) return 2;
  return status;
}

}  // namespace seawall::sim
