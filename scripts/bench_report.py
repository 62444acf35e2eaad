"""Tables, words and a plot from the results of bench.py. Pure: results in, text out."""

import statistics


def summarize(results):
    """{row: {system: {measure: (median, least, greatest)}}}, in the order of the results."""
    grouped = {}
    for result in results:
        cell = grouped.setdefault(result["row"], {}).setdefault(result["system"], {})
        for key, value in result.items():
            if isinstance(value, (int, float)) and key not in ("run", "took_s"):
                cell.setdefault(key, []).append(value)
    return {row: {system: {key: (statistics.median(values), min(values), max(values))
                           for key, values in cell.items()}
                  for system, cell in systems.items()}
            for row, systems in grouped.items()}


def table(summary):
    lines = [f"{'row':14} {'system':18} {'IOPS':>8} {'spread':>15} {'MB/s':>7} {'p50 us':>8} "
             f"{'p99 us':>8} {'p99.9 us':>9} {'CPU us/IO':>9} {'flush/IO':>8}"]
    for row, systems in summary.items():
        for system, cell in systems.items():
            iops = cell["iops"]
            flushes = cell.get("flushes_per_write")
            lines.append(
                f"{row:14} {system:18} {iops[0]:8.0f} {f'{iops[1]:.0f}-{iops[2]:.0f}':>15} "
                f"{cell['mb_per_s'][0]:7.0f} {cell['p50'][0]:8.0f} {cell['p99'][0]:8.0f} "
                f"{cell['p99_9'][0]:9.0f} {cell['cpu_us_per_io'][0]:9.1f} "
                f"{f'{flushes[0]:.3f}' if flushes else '-':>8}")
        lines.append("")
    return "\n".join(lines)


def compare(summary):
    """How we stand to each peer, by the medians of the same run."""
    lines = []
    for row, systems in summary.items():
        ours = systems.get("seawall durable")
        for system, cell in systems.items():
            if ours is None or system.startswith("seawall") or cell["iops"][0] == 0:
                continue
            lines.append(f"  {row:14} {ours['iops'][0] / cell['iops'][0]:5.1f} x the IOPS of {system}")
    return lines


def limit_of(row, cell, limits):
    """What bounds a row, as far as the measured primitives tell."""
    iops, cpu = cell["iops"][0], cell["cpu_us_per_io"][0]
    busy = iops * cpu / 1e6
    if row == "4k write QD1":
        disk = limits["write_us"] + limits["flush_us"]
        trips = 2 * limits["round_trip_us"]
        return (f"{1e6 / iops:.0f} us a write; of it the disk needs {disk:.0f} (write "
                f"{limits['write_us']:.0f}, flush {limits['flush_us']:.0f}), two round trips {trips:.0f}")
    if row == "4k read QD1":
        return (f"{1e6 / iops:.0f} us a read; the disk alone takes {1e6 / limits['read_qd1_iops']:.0f}, "
                f"one round trip {limits['round_trip_us']:.0f}")
    if row == "4k read QD32":
        return f"{iops:.0f} of the disk's {limits['read_qd32_iops']:.0f} IOPS; servers use {busy:.2f} cores"
    if row == "1M write QD8":
        moved = 3 * cell["mb_per_s"][0]
        return (f"{moved:.0f} MB/s reach the three copies at least once, twice with the log; the disk "
                f"takes {limits['large_write_mb_per_s']:.0f} MB/s from one writer")
    flushes = cell.get("flushes_per_write", (0,))[0]
    return (f"servers use {busy:.2f} cores at {cpu:.0f} us a write, {flushes:.2f} disk flushes a write "
            f"on all copies together")


def words(summary, limits):
    lines = ["what limits seawall durable:"]
    for row, systems in summary.items():
        if "seawall durable" in systems:
            lines.append(f"  {row:14} {limit_of(row, systems['seawall durable'], limits)}")
    against = compare(summary)
    return "\n".join(lines + (["", "beside the others:"] + against if against else []) + [""])


COLOURS = ["#1b6ca8", "#5aa9e6", "#9ad1f5", "#b08968", "#7f5539", "#999999"]


def plot(summary):
    """An SVG with a group of bars a row, each row scaled to its best system."""
    systems = list(dict.fromkeys(s for row in summary.values() for s in row))
    bar, gap, left, width = 16, 18, 130, 420
    lines, y = [], 30
    for row, cells in summary.items():
        best = max(cell["iops"][0] for cell in cells.values()) or 1
        lines.append(f'<text x="{left - 8}" y="{y + bar}" text-anchor="end">{row}</text>')
        for system, cell in cells.items():
            length = width * cell["iops"][0] / best
            colour = COLOURS[systems.index(system) % len(COLOURS)]
            lines.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" '
                         f'fill="{colour}"/>')
            lines.append(f'<text x="{left + length + 5:.1f}" y="{y + bar - 4}">'
                         f'{cell["iops"][0]:.0f} IOPS, {system}</text>')
            y += bar
        y += gap
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 230}" height="{y}" '
            f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" '
            f'fill="white"/>\n' + "\n".join(lines) + "\n</svg>\n")
